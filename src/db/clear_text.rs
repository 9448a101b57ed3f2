//! Refuses to send the password in clear text to a public host, unless `sslmode` is `require` or stronger.
//!
//! tokio-postgres accepts every way of authentication that the server asks for. So for these hosts this connector negotiates TLS
//! itself, and reads the server's first message before the driver does.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio_postgres::config::{SslMode as NegotiatedTls, SslNegotiation};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::{Client, Config as PostgresConfig, Connection, Error, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::either::Either;

use crate::config::is_private;

/// `SSLRequest` of PostgreSQL's protocol.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// A request for authentication: tag, length (4 bytes) and method (4 bytes). No first message of a server is shorter.
const HEAD: usize = 9;
const AUTHENTICATION: u8 = b'R';
const CLEAR_TEXT_PASSWORD: u8 = 3;

#[derive(Debug, thiserror::Error)]
#[error("the server asks for the password in clear text, which is refused without sslmode=require or stronger")]
pub(super) struct ClearTextRefused;

type RustlsConnect = <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect;
type RustlsStream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;
type Stream = Guarded<Either<Socket, RustlsStream>>;

/// Whether the password must not be sent to this host in clear text.
pub(super) fn is_refused(host: &PostgresConfig) -> bool {
    host.get_ssl_mode() != NegotiatedTls::Require && !is_private(host)
}

/// Connects with TLS if the server has it and `tls` is not `None`.
pub(super) async fn connect(
    mut host: PostgresConfig,
    tls: Option<MakeRustlsConnect>,
) -> Result<(Client, Connection<Socket, Stream>), Error> {
    // With these, tokio-postgres hands the bare socket to the connector, and wants a name for it.
    host.ssl_mode(NegotiatedTls::Require).ssl_negotiation(SslNegotiation::Direct);
    if let ([], [address]) = (host.get_hosts(), host.get_hostaddrs()) {
        let name = address.to_string();
        host.host(name);
    }
    host.connect(Connector(tls)).await
}

struct Connector<T>(Option<T>);

impl MakeTlsConnect<Socket> for Connector<MakeRustlsConnect> {
    type Stream = Stream;
    type TlsConnect = Connector<RustlsConnect>;
    type Error = io::Error;

    fn make_tls_connect(&mut self, domain: &str) -> io::Result<Self::TlsConnect> {
        let connect = |tls| MakeTlsConnect::<Socket>::make_tls_connect(tls, domain);
        self.0.as_mut().map(connect).transpose().map(Connector).map_err(io::Error::other)
    }
}

impl TlsConnect<Socket> for Connector<RustlsConnect> {
    type Stream = Stream;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Stream>>;

    fn connect(self, mut socket: Socket) -> Self::Future {
        Box::pin(async move {
            let stream = match self.0 {
                Some(tls) if offers_tls(&mut socket).await? => Either::Right(tls.connect(socket).await?),
                _ => Either::Left(socket),
            };
            Ok(Guarded::new(stream))
        })
    }
}

async fn offers_tls(socket: &mut Socket) -> io::Result<bool> {
    socket.write_all(&SSL_REQUEST).await?;
    Ok(socket.read_u8().await? == b'S')
}

/// A stream whose first message is not a request for the password in clear text.
pub(super) struct Guarded<S> {
    stream: S,
    /// The beginning of the first message, until the driver has read it.
    head: Vec<u8>,
    is_checked: bool,
}

impl<S> Guarded<S> {
    fn new(stream: S) -> Self {
        Self { stream, head: Vec::with_capacity(HEAD), is_checked: false }
    }
}

impl<S: AsyncRead + Unpin> Guarded<S> {
    /// Ready when the server has sent enough to be judged, or ended the connection.
    fn poll_check(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.is_checked {
            let mut part = [0; HEAD];
            let mut part = ReadBuf::new(&mut part[self.head.len()..]);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
            self.head.extend_from_slice(part.filled());
            self.is_checked = part.filled().is_empty() || self.head.len() == HEAD;
        }
        if matches!(self.head[..], [AUTHENTICATION, _, _, _, _, 0, 0, 0, CLEAR_TEXT_PASSWORD]) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::PermissionDenied, ClearTextRefused)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_check(cx))?;
        if self.head.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let length = self.head.len().min(buffer.remaining());
        buffer.put_slice(&self.head[..length]);
        self.head.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl TlsStream for Stream {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.stream {
            Either::Left(_) => ChannelBinding::none(),
            Either::Right(tls) => tls.channel_binding(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the driver reads if the server sends these bytes one by one and ends the connection.
    async fn read(sent: &[u8]) -> io::Result<Vec<u8>> {
        let (mut server, client) = tokio::io::duplex(1);
        let sending = async {
            // Fails once the reader has refused to go on.
            let _ = server.write_all(sent).await;
            drop(server);
        };
        let mut read = Vec::new();
        let reading = async {
            Guarded::new(client).read_to_end(&mut read).await?;
            Ok(())
        };
        let ((), result): ((), io::Result<()>) = tokio::join!(sending, reading);
        result.map(|()| read)
    }

    #[tokio::test]
    async fn a_request_for_the_password_in_clear_text_is_an_error_however_slowly_it_comes() {
        let error = read(b"R\0\0\0\x08\0\0\0\x03").await.unwrap_err();
        assert!(error.get_ref().unwrap().is::<ClearTextRefused>(), "{error:?}");
    }

    #[tokio::test]
    async fn everything_else_arrives_unchanged() {
        for sent in [
            &b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"[..],
            b"R\0\0\0\x0c\0\0\0\x05saltR\0\0\0\x08\0\0\0\x03",
            b"E\0\0\0\x03\0\0\0\x03",
            b"R\0\0\0\x08\0\0\0",
            b"",
        ] {
            assert_eq!(read(sent).await.unwrap(), sent);
        }
    }
}
