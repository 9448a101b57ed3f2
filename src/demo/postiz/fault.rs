//! The ways in which an exchange can go wrong.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, LOCATION};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_util::{StreamExt as _, stream};
use tokio::sync::Notify;

/// What the token endpoint does instead of answering well.
#[derive(Debug, Clone)]
pub enum Fault {
    /// 401 `invalid_client`; the code survives.
    ClientRefused,
    /// 400 `invalid_grant`, although the code is good.
    CodeRefused,
    /// 400 in the framework's own form.
    FrameworkError,
    /// 502 with a proxy's HTML; the code survives.
    BadGateway,
    /// 500 without a body; the code survives.
    ServerError,
    /// 500, and the code is spent all the same.
    ServerErrorAfterSpending,
    /// Never answers; the code survives.
    Stall,
    /// Never answers, and the code is spent.
    StallAfterSpending,
    /// 201, and the connection breaks in the middle of the body; the code is spent.
    HalfAnswer,
    /// 201 with a body that is no JSON; the code is spent.
    Garbage,
    /// 201 with JSON that holds no token; the code is spent.
    NoToken,
    /// 307 to another place, which nobody should follow with a secret; the code survives.
    Redirect(String),
    /// 201 with a body of so many bytes; the code is spent.
    Huge(usize),
    /// 201 with a number for the organization and without a token type: odd, and good enough.
    OddlyTyped,
    /// Answers well once it is told to.
    Hold(Arc<Notify>),
}

impl Fault {
    /// Whether the code is used up by it.
    pub(super) fn spends(&self) -> bool {
        match self {
            Self::ServerErrorAfterSpending
            | Self::StallAfterSpending
            | Self::HalfAnswer
            | Self::Garbage
            | Self::NoToken
            | Self::Huge(_) => true,
            Self::ClientRefused
            | Self::CodeRefused
            | Self::FrameworkError
            | Self::BadGateway
            | Self::ServerError
            | Self::Stall
            | Self::Redirect(_)
            | Self::OddlyTyped
            | Self::Hold(_) => false,
        }
    }

    /// The faulty answer; `None` where a good one follows.
    pub(super) async fn answer(&self) -> Option<HttpResponse> {
        let json = |status, body: &'static str| answer(status).content_type("application/json").body(body);
        Some(match self {
            Self::ClientRefused => json(401, r#"{"error":"invalid_client"}"#),
            Self::CodeRefused => json(400, r#"{"error":"invalid_grant"}"#),
            Self::FrameworkError => {
                json(400, r#"{"message":["code must be a string"],"error":"Bad Request","statusCode":400}"#)
            }
            Self::BadGateway => answer(502).content_type("text/html").body("<html><h1>502 Bad Gateway</h1></html>"),
            Self::ServerError | Self::ServerErrorAfterSpending => answer(500).finish(),
            Self::Stall | Self::StallAfterSpending => std::future::pending().await,
            Self::HalfAnswer => {
                let half = stream::once(async { Ok(Bytes::from_static(br#"{"access_token":"pos_ha"#)) });
                let end = stream::once(async {
                    // The first half has left by then.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    Err(io::Error::other("broken off"))
                });
                answer(201).content_type("application/json").body(SizedStream::new(200, Box::pin(half.chain(end))))
            }
            Self::Garbage => json(201, "pos_garbage that is no JSON"),
            Self::NoToken => json(201, r#"{"id":"org_1","token_type":"bearer"}"#),
            Self::Redirect(to) => answer(307).insert_header((LOCATION, to.as_str())).finish(),
            Self::Huge(bytes) => answer(201).insert_header((CONTENT_TYPE, "application/json")).body(vec![b' '; *bytes]),
            Self::OddlyTyped => return None,
            Self::Hold(until) => {
                until.notified().await;
                return None;
            }
        })
    }
}

fn answer(status: u16) -> HttpResponseBuilder {
    HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
}
