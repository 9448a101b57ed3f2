//! Tells a connection to a server process of its own from one through a pooler.
//!
//! A server announces its process id when a connection starts. A pooler announces a number of its own, because each
//! statement may meet another process.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::{Ready, ready};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{Client, Error};

use crate::db::RowExt as _;

const PID: &str = "SELECT pg_backend_pid() AS pid";
/// `SSLRequest` and `CancelRequest` of PostgreSQL's protocol: length, code, and for the second process id and key.
const SSL_REQUEST: usize = 8;
const CANCEL_REQUEST: usize = 16;

/// Whether all statements of this connection run in the process that announced itself.
pub(super) async fn is_direct(client: &Client) -> Result<bool, Error> {
    let rows = client.query_typed(PID, &[]).await?;
    let answered: Option<i32> = rows.first().and_then(|row| row.field("pid").ok());
    Ok(answered.is_some() && answered == announced(client).await.ok())
}

/// The process id that was announced. tokio-postgres shows it only in a request to cancel, which goes to memory here.
async fn announced(client: &Client) -> io::Result<i32> {
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
        let [.., a, b, c, d, _, _, _, _] = request;
        Ok(i32::from_be_bytes([a, b, c, d]))
    };
    let ((), pid) = tokio::try_join!(written, read)?;
    Ok(pid)
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
