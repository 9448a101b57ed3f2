//! The ways in which an exchange can go wrong.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::demo::postiz::wire;

/// What the token endpoint does instead of answering well. A good code is spent or survives as each says; a bad one is
/// refused as ever by those that spend.
#[derive(Debug, Clone)]
pub enum Fault {
    /// 401 `invalid_client`; the code survives.
    ClientRefused,
    /// 400 `invalid_grant`, although the code is good; it survives.
    CodeRefused,
    /// 400 in the framework's own form; the code survives.
    FrameworkError,
    /// 502 with a proxy's HTML; the code survives.
    BadGateway,
    /// 200 with a page, as a wrong address answers; the code survives.
    Page,
    /// 500 without a body; the code survives.
    ServerError,
    /// 500, and the code is spent all the same.
    ServerErrorAfterSpending,
    /// Never answers; the code survives.
    Stall,
    /// Never answers, and the code is spent.
    StallAfterSpending,
    /// Closes the connection without a word; the code survives.
    BreakOff,
    /// Closes the connection without a word, and the code is spent.
    BreakOffAfterSpending,
    /// Resets the connection; the code survives.
    Reset,
    /// Resets the connection, and the code is spent.
    ResetAfterSpending,
    /// 201, and the connection breaks in the middle of the body; the code is spent.
    HalfAnswer,
    /// 201 with a body that is no JSON; the code is spent.
    Garbage,
    /// 201 with JSON that holds no token; the code is spent.
    NoToken,
    /// 307 to another place, which nobody should follow with a secret; the code survives.
    Redirect(String),
    /// 201 with a body of so many bytes before the token; the code is spent.
    Huge(usize),
    /// 201 with a number for the organization and without a token type: odd, and good enough.
    OddlyTyped,
    /// Answers well once it is told to. The code has been found by then and is spent only then: two of these can both be
    /// given a token for one code, of which one works, as at Postiz.
    Hold(Arc<Notify>),
    /// Answers well once it is told to; the code is spent at once.
    HoldAfterSpending(Arc<Notify>),
}

/// How a connection ends without an answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Break {
    Silence,
    Close,
    Reset,
}

impl Fault {
    /// Answers before the code is looked at; `None` where it will be.
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
            Self::Stall => wire.break_off(Break::Silence).await,
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

    /// Waits between finding the code and spending it.
    pub(super) async fn between(&self) {
        if let Self::Hold(until) = self {
            until.notified().await;
        }
    }

    /// What becomes of the good answer, now that the code is spent.
    pub(super) async fn after(&self, wire: &wire::Wire, mut good: Value) -> HttpResponse {
        match self {
            Self::ServerErrorAfterSpending => return answer(500).finish(),
            Self::StallAfterSpending => return wire.break_off(Break::Silence).await,
            Self::BreakOffAfterSpending => return wire.break_off(Break::Close).await,
            Self::ResetAfterSpending => return wire.break_off(Break::Reset).await,
            Self::HalfAnswer => return wire::half(&good.to_string()),
            Self::Garbage => return answer(201).content_type("application/json").body("pos_garbage that is no JSON"),
            Self::NoToken => drop(good.as_object_mut().and_then(|fields| fields.remove("access_token"))),
            // White space may stand before JSON; who reads only the beginning has not read the token.
            Self::Huge(bytes) => {
                let body = [vec![b' '; *bytes], good.to_string().into_bytes()].concat();
                return HttpResponse::Created().content_type("application/json").body(body);
            }
            Self::OddlyTyped => {
                good["id"] = json!(7);
                good["scope"] = Value::Null;
                good.as_object_mut().and_then(|fields| fields.remove("token_type"));
            }
            Self::HoldAfterSpending(until) => until.notified().await,
            _ => {}
        }
        HttpResponse::Created().json(good)
    }
}

fn answer(status: u16) -> HttpResponseBuilder {
    HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
}

fn page(status: u16, body: &'static str) -> HttpResponse {
    answer(status).content_type("text/html").body(body)
}
