//! Counts the open connections of each direct peer: without a proxy, idle connections of one client could take every socket.
//!
//! A connection past the bound is answered, and then closed. One that sends nothing is closed by the server's timeout for the head
//! of a request. A proxy has as many as it likes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

use crate::grant::Origin;
use crate::http::client_ip::ClientIp;

/// The part of all connections that one direct peer may keep.
const SHARE: usize = 8;

#[derive(Debug)]
pub struct Connections {
    most: usize,
    proxies: ClientIp,
    open: Mutex<HashMap<IpNet, usize>>,
}

/// One open connection; attached to it, and dropped with it.
#[derive(Debug)]
pub struct Connection {
    connections: Arc<Connections>,
    peer: Option<IpNet>,
    pub is_over: bool,
}

impl Connections {
    /// `total` is the number of connections that the server takes.
    pub fn new(total: usize, proxies: ClientIp) -> Arc<Self> {
        Arc::new(Self { most: total.div_ceil(SHARE), proxies, open: Mutex::default() })
    }

    pub fn opened(self: &Arc<Self>, peer: IpAddr) -> Connection {
        let peer = Origin::of(Some(peer).filter(|peer| !self.proxies.may_be_proxy(*peer))).client;
        let mut open = self.lock();
        let count = peer.map_or(0, |peer| {
            let count = open.entry(peer).or_default();
            *count += 1;
            *count
        });
        Connection { connections: Arc::clone(self), peer, is_over: count > self.most }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpNet, usize>> {
        // Nothing that runs under the lock can leave it half changed.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(peer) = self.peer else { return };
        let mut open = self.connections.lock();
        if let Some(count) = open.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                open.remove(&peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direct_peer_has_a_share_and_a_proxy_has_all() {
        let connections = Connections::new(16, ClientIp::for_tests(true, &["203.0.113.9/32"]));
        let opened = |peer: &str| connections.opened(peer.parse().unwrap());
        let first: Vec<_> = (0..2).map(|_| opened("198.51.100.1")).collect();
        assert!(first.iter().all(|connection| !connection.is_over));
        assert!(opened("198.51.100.1").is_over && !opened("198.51.100.2").is_over);
        let proxies: Vec<_> = (0..9).flat_map(|_| [opened("10.0.0.2"), opened("203.0.113.9")]).collect();
        assert!(proxies.iter().all(|connection| !connection.is_over));
        drop((first, proxies));
        assert!(connections.lock().is_empty());
    }
}
