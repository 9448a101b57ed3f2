//! The certificate authorities that are trusted.

use std::sync::{Arc, LazyLock};

use rustls::RootCertStore;

/// The authorities that browsers trust, compiled in, and those that this machine does.
///
/// An image without CA files still reaches Postiz, and an operator's own authority counts too.
/// Read once in a process.
pub(crate) fn public_roots() -> Arc<RootCertStore> {
    static ROOTS: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
        let mut store = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(store)
    });
    Arc::clone(&ROOTS)
}
