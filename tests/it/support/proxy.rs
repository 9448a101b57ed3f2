//! A proxy that ends TLS, with the manners of good and bad ones.

use std::net::TcpListener as StdListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::encryption;

type Lines = &'static [&'static str];

pub struct Proxy {
    port: u16,
    upstream: Arc<AtomicU16>,
    authority: PathBuf,
}

impl Proxy {
    /// Takes headers by these names (in lower case) out of each request, and puts lines in.
    pub fn start(out: Lines, lines: Lines) -> Self {
        Self::with([out, lines, &[], &[]])
    }

    /// Puts lines into each request; takes headers out of each answer, and puts lines in.
    pub fn changing(request: Lines, out: Lines, lines: Lines) -> Self {
        Self::with([&[], request, out, lines])
    }

    fn with(manners: [Lines; 4]) -> Self {
        let issuer = encryption::issuer("proxies");
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let authority = std::env::temp_dir().join(format!("authority-{:016x}.pem", rand::random::<u64>()));
        std::fs::write(&authority, issuer.pem()).unwrap();
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let (port, upstream) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU16::new(0)));
        let (acceptor, to) = (encryption::acceptor(&leaf.pem(), &key.serialize_pem()), Arc::clone(&upstream));
        tokio::spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(acceptor.clone(), client, Arc::clone(&to), manners));
            }
        });
        Self { port, upstream, authority }
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// The file with the authority that signed its certificate: for `SSL_CERT_FILE`.
    pub fn authority(&self) -> String {
        self.authority.display().to_string()
    }

    /// Passes requests on to this port from now on.
    pub fn pass_to(&self, port: u16) {
        self.upstream.store(port, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.authority);
    }
}

/// One request; then both sides close.
async fn pass(
    acceptor: TlsAcceptor,
    client: TcpStream,
    upstream: Arc<AtomicU16>,
    [out, lines, answer_out, answer_lines]: [Lines; 4],
) {
    let Ok(mut client) = acceptor.accept(client).await else { return };
    let Some(request) = changed(&mut client, out, lines).await else { return };
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", upstream.load(Ordering::Relaxed))).await else { return };
    server.write_all(request.as_bytes()).await.unwrap();
    let Some(answer) = changed(&mut server, answer_out, answer_lines).await else { return };
    client.write_all(answer.as_bytes()).await.unwrap();
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

/// The head, changed, and what has come of the body.
async fn changed(from: &mut (impl AsyncRead + Unpin), out: Lines, lines: Lines) -> Option<String> {
    let (mut head, mut part) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match from.read(&mut part).await {
            Ok(read) if read > 0 => head.extend_from_slice(&part[..read]),
            _ => return None,
        }
    }
    let text = String::from_utf8(head).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let kept = head.split("\r\n").filter(|line| {
        let name = line.split(':').next().unwrap_or_default().to_lowercase();
        name != "connection" && !out.contains(&name.as_str())
    });
    let lines: Vec<&str> = kept.chain(lines.iter().copied()).chain(["Connection: close", "", body]).collect();
    Some(lines.join("\r\n"))
}
