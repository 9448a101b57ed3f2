//! The real server as a process of its own.

use std::collections::HashMap;
use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};

use tokio::task::block_in_place;

use super::in_time::TIMEOUT;
use super::{eventually, eventually_some};

pub struct Replica {
    child: Child,
    port: u16,
    log: Arc<Mutex<String>>,
}

impl Replica {
    /// Starts it and waits until it listens; says nothing about its database.
    pub fn start(variables: &HashMap<&'static str, String>) -> Self {
        Self::of(env!("CARGO_BIN_EXE_postiz-auth-server"), variables)
    }

    /// The same for another build of the server.
    pub fn of(program: &str, variables: &HashMap<&'static str, String>) -> Self {
        let mut child = Command::new(program).env_clear().envs(variables).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (found, port) = mpsc::channel();
        let (lines, kept) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                if let Some(port) = listening(&line) {
                    let _ = found.send(port);
                }
                kept.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let port = block_in_place(|| port.recv_timeout(TIMEOUT))
            .unwrap_or_else(|_| panic!("not listening: {}", log.lock().unwrap()));
        Self { child, port, log }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Returns the first line of the log that holds these words, once there is one.
    pub async fn logged(&self, words: &str) -> serde_json::Value {
        let what = fmt::from_fn(|f| write!(f, "{words:?} in this log: {}", self.log()));
        let look = async || Some(serde_json::from_str(self.log().lines().find(|line| line.contains(words))?).unwrap());
        eventually_some(what, look).await
    }

    /// The status of `/health`.
    pub async fn health(&self) -> u16 {
        crate::support::get(format!("{}/health", self.url())).await.status().as_u16()
    }

    /// Returns when `/health` is 200.
    pub async fn healthy(&self) {
        self.health_is(200).await;
    }

    /// Returns when `/health` has this status.
    pub async fn health_is(&self, status: u16) {
        let what = fmt::from_fn(|f| write!(f, "/health to be {status}; the log: {}", self.log()));
        eventually(what, async || self.health().await == status).await;
    }

    /// Sends a signal by its name, `TERM` or `KILL`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> ExitStatus {
        eventually_some("a replica to end", || std::future::ready(self.child.try_wait().unwrap())).await
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The port in `{"message":"listening","address":"[::]:3111",..}`.
fn listening(line: &str) -> Option<u16> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    if line["message"] != "listening" {
        return None;
    }
    line["address"].as_str()?.rsplit(':').next()?.parse().ok()
}
