//! Tells a connection to a server process of its own from one through a pooler, and cancels statements.
//!
//! A server announces its process id when a connection starts. A pooler announces a number of its own, because each
//! statement may meet another process. tokio-postgres shows the announced id only in a request to cancel, so that is written to
//! memory here. The driver's own way to send it closes the connection at once: PgBouncer then forgets the request, and version
//! 1.18 ends itself.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::future::{Ready, ready};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{Client, Error};

/// PostgreSQL's `CancelRequest`: length, code, process id and key.
type CancelRequest = [u8; 16];

/// The process id that was announced, to compare with `pg_backend_pid()`.
pub(super) async fn announced_process(client: &Client) -> Result<i32, Error> {
    let [.., a, b, c, d, _, _, _, _] = cancel_request(client).await?;
    Ok(i32::from_be_bytes([a, b, c, d]))
}

/// Sends a request to cancel. As in libpq before version 17, it is not encrypted.
pub(super) async fn send(request: CancelRequest, address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&request).await?;
    // Until the other side closes it.
    stream.read(&mut [0]).await.map(drop)
}

/// The request to cancel the statement under way.
pub(super) async fn cancel_request(client: &Client) -> Result<CancelRequest, Error> {
    let written = Written::default();
    client.cancel_token().cancel_query_raw(written.clone(), written.clone()).await?;
    let all = written.0.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(all.last_chunk().copied().unwrap_or_default())
}

/// Keeps what is written. Agrees if it is asked for TLS, and is its own TLS.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl TlsConnect<Self> for Written {
    type Stream = Self;
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn connect(self, stream: Self) -> Self::Future {
        ready(Ok(stream))
    }
}

impl AsyncRead for Written {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        buffer.put_slice(b"S");
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Written {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl TlsStream for Written {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}
