//! A poll may wait for long, and with it everything that its request brought.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONNECTION, CONTENT_LENGTH, HOST, HeaderName, USER_AGENT,
};
use actix_web::middleware::Next;

/// What nobody reads behind the routes, and every client sends.
const UNREAD: [HeaderName; 8] = [
    ACCEPT,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CONNECTION,
    CONTENT_LENGTH,
    HOST,
    USER_AGENT,
    HeaderName::from_static("sec-fetch-mode"),
];

/// Keeps only the headers that may yet be read, in a map of their size: the one that they came in has
/// room for many more and takes 7 kB, a third of all that a waiting terminal costs.
pub async fn lean(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let headers = std::mem::take(request.headers_mut());
    *request.headers_mut() = headers.into_iter().filter(|(name, _)| !UNREAD.contains(name)).collect();
    next.call(request).await
}
