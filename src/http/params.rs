//! Request bodies: read within limits, JSON or form by their content type.

use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_ENCODING;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use futures_util::StreamExt as _;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize as _, Deserializer};
use tokio::time::timeout;

use crate::grant::ClientId;

/// No valid request needs a kilobyte.
const MAX_BODY: usize = 16 * 1024;
/// actix has a timeout for a request's head but not for its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A whole body.
#[derive(Debug)]
pub struct Body {
    pub form: BodyForm,
    bytes: Bytes,
}

/// By the content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyForm {
    /// An empty body, with any content type.
    Empty,
    /// `application/json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Urlencoded,
    /// Anything else.
    Other,
}

/// A body that can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More than 16 KiB.
    #[error("the body is too large")]
    TooLarge,
    /// Not complete after 10 s.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// It ended early, or its encoding is not the announced one.
    #[error("the body is incomplete")]
    Broken,
    #[error("the content type has to be application/json or application/x-www-form-urlencoded")]
    UnknownType,
    /// It has a `Content-Encoding`.
    #[error("the body must not be compressed")]
    Encoded,
    /// Not of the announced type, a malformed field, or a repeated one.
    #[error("the body can't be read")]
    Malformed,
}

impl Body {
    /// The fields of JSON or form; the defaults if the body is empty.
    pub fn fields<T: DeserializeOwned + Default>(&self) -> Result<T, BodyError> {
        match self.form {
            BodyForm::Empty => Ok(T::default()),
            // serde reads a struct from a JSON array too, which has no field names.
            BodyForm::Json if self.bytes.trim_ascii_start().first() != Some(&b'{') => Err(BodyError::Malformed),
            BodyForm::Json => serde_json::from_slice(&self.bytes).map_err(|_| BodyError::Malformed),
            BodyForm::Urlencoded => serde_urlencoded::from_bytes(&self.bytes).map_err(|_| BodyError::Malformed),
            BodyForm::Other => Err(BodyError::UnknownType),
        }
    }
}

impl FromRequest for Body {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let content_type = request.content_type().trim().to_ascii_lowercase();
        let is_encoded = request
            .headers()
            .get_all(CONTENT_ENCODING)
            .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
        let payload = payload.take();
        Box::pin(async move {
            if is_encoded {
                return Err(BodyRejected(BodyError::Encoded).into());
            }
            let bytes = read(payload).await.map_err(BodyRejected)?;
            let form = match content_type.as_str() {
                _ if bytes.is_empty() => BodyForm::Empty,
                "application/json" => BodyForm::Json,
                "application/x-www-form-urlencoded" => BodyForm::Urlencoded,
                _ => BodyForm::Other,
            };
            Ok(Self { form, bytes })
        })
    }
}

/// The field `client_id`. An empty one counts as omitted (RFC 6749 §3.1).
pub fn client_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ClientId>, D::Error> {
    let given = Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty());
    given.map(|text| text.parse()).transpose().map_err(D::Error::custom)
}

/// Carries a [`BodyError`] through actix. Handlers take `Result<Body, _>` and answer with JSON or a page.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct BodyRejected(BodyError);

impl actix_web::ResponseError for BodyRejected {}

pub fn rejection(error: &actix_web::Error) -> BodyError {
    error.as_error::<BodyRejected>().map_or(BodyError::Broken, |rejected| rejected.0)
}

async fn read(mut payload: Payload) -> Result<Bytes, BodyError> {
    let whole = async {
        let mut bytes = BytesMut::new();
        while let Some(part) = payload.next().await {
            let part = part.map_err(|_| BodyError::Broken)?;
            if bytes.len() + part.len() > MAX_BODY {
                return Err(BodyError::TooLarge);
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes.freeze())
    };
    timeout(BODY_TIMEOUT, whole).await.unwrap_or(Err(BodyError::TooSlow))
}
