//! The certificate authorities that are trusted.

use rustls::RootCertStore;

/// The authorities that browsers trust, compiled in, and those that this machine does.
///
/// An image without CA files still reaches Postiz, and an operator's own authority counts too.
pub(crate) fn public_roots() -> RootCertStore {
    let mut store = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    store
}
