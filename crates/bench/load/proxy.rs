//! A TCP proxy between a replica and PostgreSQL that counts bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

pub struct Proxy {
    pub port: u16,
    counts: Arc<[AtomicU64; 2]>,
}

impl Proxy {
    pub async fn before(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let counts: Arc<[AtomicU64; 2]> = Arc::default();
        tokio::spawn(serve(listener, target, Arc::clone(&counts)));
        Self { port, counts }
    }

    /// Bytes to PostgreSQL, and bytes from it.
    pub fn bytes(&self) -> (u64, u64) {
        (self.counts[0].load(Ordering::Relaxed), self.counts[1].load(Ordering::Relaxed))
    }
}

async fn serve(listener: TcpListener, target: u16, counts: Arc<[AtomicU64; 2]>) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        tokio::spawn(carry(from_client, to_server, Arc::clone(&counts), 0));
        tokio::spawn(carry(from_server, to_client, Arc::clone(&counts), 1));
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, counts: Arc<[AtomicU64; 2]>, direction: usize) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        counts[direction].fetch_add(read as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
