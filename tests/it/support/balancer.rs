//! A TCP balancer before the replicas: its address is `SERVER_URL`.

use std::net::TcpListener as StdListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

pub struct Balancer {
    port: u16,
    ports: Arc<Mutex<Vec<u16>>>,
}

impl Balancer {
    pub fn start() -> Self {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let ports = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(serve(TcpListener::from_std(listener).unwrap(), Arc::clone(&ports)));
        Self { port, ports }
    }

    pub fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    pub fn add(&self, port: u16) {
        self.ports.lock().unwrap().push(port);
    }

    /// From now on all connections go to this replica.
    pub fn only(&self, port: u16) {
        *self.ports.lock().unwrap() = vec![port];
    }
}

async fn serve(listener: TcpListener, ports: Arc<Mutex<Vec<u16>>>) {
    let turn = AtomicUsize::new(0);
    while let Ok((mut client, _)) = listener.accept().await {
        let ports = ports.lock().unwrap().clone();
        if ports.is_empty() {
            continue;
        }
        let port = ports[turn.fetch_add(1, Ordering::Relaxed) % ports.len()];
        tokio::spawn(async move {
            if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}
