//! HTTP to Postiz and to this server's own public address, and the certificate authorities that all connections trust.
//!
//! A name may have several addresses, of which one answers nothing. hyper tries the two families 300 ms apart and divides the
//! connect timeout by a family's addresses, so the next address still gets its turn within one attempt. An address that accepts
//! and then says nothing takes the whole attempt; names are resolved in a random order, so a retry may meet another one.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rand::seq::SliceRandom as _;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, RequestBuilder, StatusCode};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::lookup_host;

use crate::log::error_chain;

/// From the first byte sent to the last byte read.
const TIMEOUT: Duration = Duration::from_secs(8);
/// For all addresses together, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Node closes idle connections after 5 s, and a POST must not meet a closed one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
const MAX_IDLE: usize = 4;
/// The longest body of an answer.
const MAX_BODY: usize = 64 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("TLS can't be set up")]
    Tls(#[from] rustls::Error),
    #[error("the HTTP client can't be set up")]
    Http(#[from] reqwest::Error),
}

/// Cheap to clone.
pub fn client() -> Result<reqwest::Client, SetupError> {
    Ok(builder()?.build()?)
}

fn builder() -> Result<ClientBuilder, rustls::Error> {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(public_roots())
        .with_no_client_auth();
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(RandomOrder)
        .user_agent(concat!("postiz-auth-server/", env!("CARGO_PKG_VERSION")))
        // Following one would send the secret to its target.
        .redirect(Policy::none())
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE);
    Ok(builder)
}

struct RandomOrder;

impl Resolve for RandomOrder {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let mut addresses: Vec<SocketAddr> = lookup_host((name.as_str(), 0)).await?.collect();
            addresses.shuffle(&mut rand::rng());
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Read once in a process.
static AUTHORITIES: LazyLock<(Arc<RootCertStore>, Vec<String>)> = LazyLock::new(|| {
    let mut store = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let found = rustls_native_certs::load_native_certs();
    store.add_parsable_certificates(found.certs);
    (Arc::new(store), found.errors.iter().map(ToString::to_string).collect())
});

/// The authorities that browsers trust, compiled in, and those of `SSL_CERT_FILE`, `SSL_CERT_DIR` or this machine.
///
/// An image without CA files still reaches Postiz, and an operator's own authority counts too.
pub fn public_roots() -> Arc<RootCertStore> {
    Arc::clone(&AUTHORITIES.0)
}

/// Files with authorities that could not be read, one sentence each. A private authority may be missing.
pub fn unreadable_authorities() -> Vec<String> {
    AUTHORITIES.1.iter().map(|error| format!("SSL_CERT_FILE or SSL_CERT_DIR: {error}")).collect()
}

/// Why there is no answer to read. Completes a sentence that begins with the server's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The request was certainly not sent.
    #[error("can't be reached: {0}")]
    Unreachable(String),
    #[error("does not answer in time")]
    Slow,
    #[error("breaks the connection off: {cause}")]
    Broken {
        /// If it had come.
        status: Option<StatusCode>,
        cause: String,
    },
    /// An answer that the server asked for never gives here: a proxy's, another program's, or that of a server that fails.
    #[error("answers with status {}{header}", status.as_u16())]
    Odd {
        status: StatusCode,
        /// The most telling header that it has, in brackets.
        header: String,
    },
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// Sends a request. An answer may have any status.
pub async fn ask(request: RequestBuilder) -> Result<Answer, NoAnswer> {
    let mut response = request.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let broken = |cause| NoAnswer::Broken { status: Some(status), cause };
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| broken(cause(error)))? {
        if body.len() + part.len() > MAX_BODY {
            return Err(broken("the answer is longer than 64 KiB".to_owned()));
        }
        body.extend_from_slice(&part);
    }
    Ok(Answer { status, headers, body })
}

impl From<reqwest::Error> for NoAnswer {
    fn from(error: reqwest::Error) -> Self {
        if error.is_connect() || error.is_builder() {
            Self::Unreachable(cause(error))
        } else if error.is_timeout() {
            Self::Slow
        } else {
            Self::Broken { status: None, cause: cause(error) }
        }
    }
}

/// In one line and without the URL: its query may hold a secret.
fn cause(error: reqwest::Error) -> String {
    error_chain(&error.without_url())
}

impl Answer {
    /// The first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn odd(&self) -> NoAnswer {
        /// The most telling first.
        const TELLING: [&str; 3] = ["cf-mitigated", "location", "www-authenticate"];
        let found = TELLING.into_iter().find_map(|name| Some((name, self.header(name)?)));
        // A query may repeat ours.
        let shown =
            |(name, value): (_, &str)| format!(" ({name}: {:.200})", value.split('?').next().unwrap_or_default());
        NoAnswer::Odd { status: self.status, header: found.map(shown).unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use socket2::{Domain, SockAddr, Socket, Type};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::{Instant, timeout};

    use super::*;

    #[test]
    fn an_odd_answer_says_whose_it_is_and_no_query() {
        for (headers, said) in [
            (&[][..], "status 403"),
            (&[("location", "/auth?code=secret")], "status 403 (location: /auth)"),
            (&[("www-authenticate", "Basic realm=x")], "status 403 (www-authenticate: Basic realm=x)"),
            (&[("location", "x"), ("cf-mitigated", "challenge")], "status 403 (cf-mitigated: challenge)"),
            (&[("location", &*"x".repeat(60_000))], &*format!("status 403 (location: {})", "x".repeat(200))),
        ] {
            let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            let answer = Answer { status: StatusCode::FORBIDDEN, headers: headers.collect(), body: Vec::new() };
            assert_eq!(answer.odd().to_string(), format!("answers with {said}"));
        }
    }

    /// Its backlog is full, so it drops each further connection, as a firewall does.
    fn unresponsive() -> (Socket, Vec<Socket>, SocketAddr) {
        let stream = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = stream();
        listener.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address: SockAddr = listener.local_addr().unwrap();
        let queued = (0..4).map(|_| {
            let socket = stream();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address);
            socket
        });
        (listener, queued.collect(), address.as_socket().unwrap())
    }

    #[tokio::test]
    async fn an_address_that_answers_nothing_leaves_time_for_the_next_one() {
        let (_listener, _queued, unresponsive) = unresponsive();
        let connects = timeout(Duration::from_millis(300), tokio::net::TcpStream::connect(unresponsive)).await;
        assert!(connects.is_err(), "the first address answers nothing");
        let good = TcpListener::bind("127.0.0.3:0").unwrap();
        let addresses = [unresponsive, good.local_addr().unwrap()];
        good.set_nonblocking(true).unwrap();
        let good = tokio::net::TcpListener::from_std(good).unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = good.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            std::future::pending::<()>().await;
        });
        let client = builder().unwrap().resolve_to_addrs("postiz.invalid", &addresses).build().unwrap();
        let start = Instant::now();
        let answer = ask(client.get("http://postiz.invalid/")).await.unwrap();
        assert_eq!(answer.status, 204);
        assert!(start.elapsed() < CONNECT_TIMEOUT, "{:?}", start.elapsed());
    }
}
