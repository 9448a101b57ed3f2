//! What a poll keeps of its request, because it may be held for long.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest, ResponseError as _};

use crate::http::client_ip::CLIENT_IP_HEADERS;
use crate::http::errors::ClientError;

/// No terminal's request has a head of this size. The connection's buffer grows with it, and stays.
const MAX_HEAD: usize = 8 * 1024;
/// The others that are read.
const READ: [HeaderName; 4] =
    [CONTENT_TYPE, ORIGIN, HeaderName::from_static("prefer"), HeaderName::from_static("sec-fetch-site")];

#[derive(Debug, Clone, Copy)]
struct HeadBytes(usize);

/// Refuses large heads, and keeps the headers that are read, as copies in a map of their size: the originals would keep the
/// buffer that the whole request was read into, and their map has room for many more.
pub async fn lean(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let bytes = measure(&request);
    if bytes > MAX_HEAD {
        return Ok(request.into_response(ClientError::HeadTooLarge.error_response()));
    }
    let all = std::mem::take(request.headers_mut());
    *request.headers_mut() = copies(&all);
    drop(all);
    request.extensions_mut().insert(HeadBytes(bytes));
    next.call(request).await
}

/// The size of the request's head, as it arrived.
pub fn head_bytes(request: &HttpRequest) -> usize {
    request.extensions().get::<HeadBytes>().map_or(0, |bytes| bytes.0)
}

fn measure(request: &ServiceRequest) -> usize {
    const LINE: usize = ": \r\n".len();
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + LINE);
    request.uri().path_and_query().map_or(0, |path| path.as_str().len()) + headers.sum::<usize>()
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
