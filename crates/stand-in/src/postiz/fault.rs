//! The ways in which an exchange can go wrong.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::postiz::wire;

/// What the token endpoint does instead of a normal answer. Each variant says whether a valid code is spent. A fault that
/// spends still refuses an invalid code.
#[derive(Debug, Clone)]
pub enum Fault {
    /// 401 `invalid_client`; the code survives.
    ClientRefused,
    /// 400 `invalid_grant` although the code is valid; it survives.
    CodeRefused,
    /// 400 in the framework's own format; the code survives.
    FrameworkError,
    /// 502 with a proxy's HTML; the code survives.
    BadGateway,
    /// 200 with a page, as from a wrong URL; the code survives.
    Page,
    /// 500 without a body; the code survives.
    ServerError,
    /// 500, and the code is spent.
    ServerErrorAfterSpending,
    /// Never answers; the code survives.
    Stall,
    /// Never answers, and the code is spent.
    StallAfterSpending,
    /// Closes the connection without an answer; the code survives.
    BreakOff,
    /// Closes the connection without an answer, and the code is spent.
    BreakOffAfterSpending,
    /// Resets the connection; the code survives.
    Reset,
    /// Resets the connection, and the code is spent.
    ResetAfterSpending,
    /// 201, and the connection breaks in the middle of the body; the code is spent.
    HalfAnswer,
    /// 201 with a body that is not JSON; the code is spent.
    Garbage,
    /// 201 with JSON without a token; the code is spent.
    NoToken,
    /// 307 to this URL, which a client with a secret must not follow; the code survives.
    Redirect(String),
    /// 201 with this number of bytes before the token; the code is spent.
    Huge(usize),
    /// 201 with a number as the organization and without a token type: unusual, but usable. The code is spent.
    OddlyTyped,
    /// Waits for the `Notify` between finding the code and spending it, then answers normally. Two of these can both get a
    /// token for one code, and one of the tokens works, as at Postiz.
    Hold(Arc<Notify>),
    /// Spends the code, waits for the `Notify`, then answers normally.
    HoldAfterSpending(Arc<Notify>),
}

/// What happens to a connection that gets no answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Break {
    NoAnswer,
    Close,
    Reset,
}

impl Fault {
    /// The answer that comes before the code is looked up; `None` if the lookup goes on.
    pub(super) async fn before(&self, wire: &wire::Wire) -> Option<HttpResponse> {
        let json = |status, body: &'static str| answer(status).content_type("application/json").body(body);
        Some(match self {
            Self::ClientRefused => json(401, r#"{"error":"invalid_client"}"#),
            Self::CodeRefused => json(400, r#"{"error":"invalid_grant"}"#),
            Self::FrameworkError => {
                json(400, r#"{"message":["code must be a string"],"error":"Bad Request","statusCode":400}"#)
            }
            Self::BadGateway => page(502, "<html><h1>502 Bad Gateway</h1></html>"),
            Self::Page => page(200, "<!doctype html><title>Postiz</title>"),
            Self::ServerError => answer(500).finish(),
            Self::Redirect(to) => answer(307).insert_header((LOCATION, to.as_str())).finish(),
            Self::Stall => wire.break_off(Break::NoAnswer).await,
            Self::BreakOff => wire.break_off(Break::Close).await,
            Self::Reset => wire.break_off(Break::Reset).await,
            Self::ServerErrorAfterSpending
            | Self::StallAfterSpending
            | Self::BreakOffAfterSpending
            | Self::ResetAfterSpending
            | Self::HalfAnswer
            | Self::Garbage
            | Self::NoToken
            | Self::Huge(_)
            | Self::OddlyTyped
            | Self::Hold(_)
            | Self::HoldAfterSpending(_) => return None,
        })
    }

    /// Runs between finding the code and spending it.
    pub(super) async fn between(&self) {
        if let Self::Hold(until) = self {
            until.notified().await;
        }
    }

    /// Turns the normal answer into the faulty one; the code is spent.
    pub(super) async fn after(&self, wire: &wire::Wire, mut normal: Value) -> HttpResponse {
        match self {
            Self::ServerErrorAfterSpending => return answer(500).finish(),
            Self::StallAfterSpending => return wire.break_off(Break::NoAnswer).await,
            Self::BreakOffAfterSpending => return wire.break_off(Break::Close).await,
            Self::ResetAfterSpending => return wire.break_off(Break::Reset).await,
            Self::HalfAnswer => return wire::half(&normal.to_string()),
            Self::Garbage => return answer(201).content_type("application/json").body("pos_garbage, not JSON"),
            Self::NoToken => drop(normal.as_object_mut().and_then(|fields| fields.remove("access_token"))),
            // JSON may begin with white space, so a client that reads only the beginning has no token.
            Self::Huge(bytes) => {
                let body = [vec![b' '; *bytes], normal.to_string().into_bytes()].concat();
                return HttpResponse::Created().content_type("application/json").body(body);
            }
            Self::OddlyTyped => {
                normal["id"] = json!(7);
                normal["scope"] = Value::Null;
                normal.as_object_mut().and_then(|fields| fields.remove("token_type"));
            }
            Self::HoldAfterSpending(until) => until.notified().await,
            _ => {}
        }
        HttpResponse::Created().json(normal)
    }
}

fn answer(status: u16) -> HttpResponseBuilder {
    HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
}

fn page(status: u16, body: &'static str) -> HttpResponse {
    answer(status).content_type("text/html").body(body)
}
