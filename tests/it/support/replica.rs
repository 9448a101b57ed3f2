//! The real server as a process of its own.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};

use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};

use super::PATIENCE;

/// Between two looks at a log.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(20);

pub struct Replica {
    child: Child,
    port: u16,
    log: Arc<Mutex<String>>,
}

impl Replica {
    /// Starts it and waits until it listens; says nothing about its database.
    pub fn start(variables: &HashMap<&'static str, String>) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_postiz-auth-server"))
            .env_clear()
            .envs(variables)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
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
        let port = block_in_place(|| port.recv_timeout(PATIENCE))
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
        let wait = async {
            loop {
                if let Some(line) = self.log().lines().find(|line| line.contains(words)) {
                    return serde_json::from_str(line).unwrap();
                }
                sleep(LOOK_AGAIN).await;
            }
        };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{words:?} is not in {}", self.log()))
    }

    /// The status of `/health`.
    pub async fn health(&self) -> u16 {
        crate::support::get(format!("{}/health", self.url())).await.status().as_u16()
    }

    /// Returns when `/health` is 200.
    pub async fn healthy(&self) {
        self.health_is(200).await;
    }

    /// Returns when `/health` has this status; asks without a pause, for the server answers from memory.
    pub async fn health_is(&self, status: u16) {
        let wait = async { while self.health().await != status {} };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("/health never was {status}: {}", self.log()));
    }

    /// Sends a signal by its name, `TERM` or `KILL`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> ExitStatus {
        tokio::task::spawn_blocking(move || self.child.wait().unwrap()).await.unwrap()
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
