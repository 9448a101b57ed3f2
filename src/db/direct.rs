//! Tells a connection to a server process of its own from one through a pooler, and cancels statements.
//!
//! A server announces its process id when a connection starts. A pooler announces a number of its own, because each
//! statement may meet another process. tokio-postgres shows the announced id only in a request to cancel, so that is written to
//! memory here. The driver's own way to send it closes the connection at once: PgBouncer then forgets the request, and version
//! 1.18 ends itself.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::{Ready, ready};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex};
use tokio::net::TcpStream;
use tokio_postgres::Client;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// `SSLRequest` and `CancelRequest` of PostgreSQL's protocol: length, code, and for the second process id and key.
const SSL_REQUEST: usize = 8;
const CANCEL_REQUEST: usize = 16;

/// The process id that was announced, to compare with `pg_backend_pid()`.
pub(super) async fn announced_process(client: &Client) -> io::Result<i32> {
    let [.., a, b, c, d, _, _, _, _] = cancel_request(client).await?;
    Ok(i32::from_be_bytes([a, b, c, d]))
}

/// Sends a request to cancel. As in libpq before version 17, it is not encrypted.
pub(super) async fn send(request: [u8; CANCEL_REQUEST], address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&request).await?;
    // Until the other side closes it.
    stream.read(&mut [0]).await.map(drop)
}

/// The request to cancel the statement under way.
pub(super) async fn cancel_request(client: &Client) -> io::Result<[u8; CANCEL_REQUEST]> {
    let (mut here, there) = duplex(CANCEL_REQUEST);
    let written = async {
        // With `sslmode=require` it asks for TLS first, and the stream below is its TLS.
        client.cancel_token().cancel_query_raw(there, InMemory).await.map_err(io::Error::other)
    };
    let read = async {
        let mut request = [0; CANCEL_REQUEST];
        here.read_exact(&mut request[..SSL_REQUEST]).await?;
        if usize::from(request[3]) == SSL_REQUEST {
            here.write_u8(b'S').await?;
            here.read_exact(&mut request[..SSL_REQUEST]).await?;
        }
        here.read_exact(&mut request[SSL_REQUEST..]).await?;
        Ok(request)
    };
    let ((), request) = tokio::try_join!(written, read)?;
    Ok(request)
}

struct InMemory;

impl TlsConnect<DuplexStream> for InMemory {
    type Stream = Plain;
    type Error = io::Error;
    type Future = Ready<io::Result<Plain>>;

    fn connect(self, stream: DuplexStream) -> Self::Future {
        ready(Ok(Plain(stream)))
    }
}

struct Plain(DuplexStream);

impl AsyncRead for Plain {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Plain {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl TlsStream for Plain {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}
