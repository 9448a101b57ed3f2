//! What a poll keeps of its request, because it may be held for long.

use actix_web::ResponseError as _;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use actix_web::middleware::Next;

use crate::http::client_ip::CLIENT_IP_HEADERS;
use crate::http::errors::ClientError;

/// No terminal's request has a head of this size. The connection's buffer grows with it, and stays.
const MAX_HEAD: usize = 8 * 1024;
/// The others that are read.
const READ: [HeaderName; 5] = [
    CONTENT_TYPE,
    CONTENT_ENCODING,
    ORIGIN,
    HeaderName::from_static("prefer"),
    HeaderName::from_static("sec-fetch-site"),
];

/// Refuses large heads, and keeps the headers that are read, as copies in a map of their size: the originals would keep the
/// buffer that the whole request was read into, and their map has room for many more.
pub async fn lean(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    const LINE: usize = ": \r\n".len();
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + LINE);
    if request.uri().path().len() + headers.sum::<usize>() > MAX_HEAD {
        return Ok(request.into_response(ClientError::HeadTooLarge.error_response()));
    }
    let all = std::mem::take(request.headers_mut());
    *request.headers_mut() = copies(&all);
    drop(all);
    next.call(request).await
}

fn copies(all: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in CLIENT_IP_HEADERS.into_iter().chain(READ) {
        for value in all.get_all(&name) {
            if let Ok(copy) = HeaderValue::from_bytes(value.as_bytes()) {
                kept.append(name.clone(), copy);
            }
        }
    }
    kept
}
