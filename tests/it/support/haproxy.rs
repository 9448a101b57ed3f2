//! `HAProxy` as `deploy/haproxy/haproxy.cfg` sets it up: smaller, with other addresses, and without TLS.

use std::fmt::Write as _;

use super::guarded::{Guarded, free_port};

const SAMPLE: &str = include_str!("../../../deploy/haproxy/haproxy.cfg");

pub struct HaProxy {
    port: u16,
    _process: Guarded,
}

impl HaProxy {
    /// Before replicas on these ports.
    pub async fn before(replicas: &[u16]) -> Self {
        let port = free_port();
        Self { port, _process: Guarded::start("haproxy", &["-db", "-f"], &configuration(port, replicas), port).await }
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

fn configuration(port: u16, replicas: &[u16]) -> String {
    let ours = |line: &&str| {
        let word = line.split_whitespace().next().unwrap_or_default();
        !["bind", "server", "maxconn"].contains(&word) && !line.contains("redirect scheme https")
    };
    let mut text = String::new();
    for line in SAMPLE.lines().filter(ours) {
        text += line;
        text.push('\n');
        if line == "global" {
            text += "    maxconn 200\n";
        }
        if line.starts_with("frontend") {
            writeln!(text, "    bind 127.0.0.1:{port}").unwrap();
        }
    }
    // The backend comes last.
    for replica in replicas {
        writeln!(text, "    server checked-{replica} 127.0.0.1:{replica} check").unwrap();
        writeln!(text, "    server backup-{replica} 127.0.0.1:{replica} backup").unwrap();
    }
    text
}
