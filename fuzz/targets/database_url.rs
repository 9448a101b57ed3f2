//! DATABASE_URL: any text is an address or refused with a reason that does not quote it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postiz_auth_server::config::DatabaseUrl;

const PASSWORD: &str = "Tr0ub4dor3";

fuzz_target!(|text: &str| {
    let _ = DatabaseUrl::parse(text);
    // The same with a password in it that must not come out again.
    let url = format!("postgres://user:{PASSWORD}@{text}");
    let said = match DatabaseUrl::parse(&url) {
        Ok(url) => format!("{url:?} {:?}", url.warnings),
        Err(reason) => reason,
    };
    assert!(!said.contains(PASSWORD), "{said}");
});
