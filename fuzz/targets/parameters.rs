//! Request bodies: any bytes under any content type are fields or an error, within the limit of size.
#![no_main]

use actix_web::FromRequest as _;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::test::TestRequest;
use libfuzzer_sys::fuzz_target;
use postiz_auth_server::http::protocol::Body;
use serde::Deserialize;

const CONTENT_TYPES: [&str; 4] =
    ["application/json", "application/x-www-form-urlencoded", "application/json; charset=utf-8", "text/plain"];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    grant_type: Option<String>,
    device_code: Option<String>,
}

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (kind, bytes) = input;
    let (length, content_type) = (bytes.len(), CONTENT_TYPES[usize::from(kind) % CONTENT_TYPES.len()]);
    let (request, mut payload) =
        TestRequest::default().insert_header((CONTENT_TYPE, content_type)).set_payload(bytes).to_http_parts();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    if let Ok(body) = runtime.block_on(Body::from_request(&request, &mut payload)) {
        assert!(length <= 16 * 1024);
        if let Ok(fields) = body.fields::<Fields>() {
            let read = fields.grant_type.map_or(0, |text| text.len()) + fields.device_code.map_or(0, |text| text.len());
            // What is not UTF-8 is replaced, by three bytes for one.
            assert!(read <= 3 * length);
        }
    }
});
