//! A replica with metrics, for many held polls.

use crate::stage::{Process, Stage, free_port};
use crate::wire::{self, Connection};

/// More than a replica's held polls need, so that its sockets are their only limit.
const HELD_POLLS_MEMORY_MB: &str = "1000";
/// Logins must not expire during a figure.
const DEVICE_CODE_TTL: &str = "3600";

pub struct Replica {
    pub process: Process,
    metrics_port: u16,
}

impl Replica {
    /// Returns at once; the replica is not healthy yet.
    pub fn start(stage: &Stage, database_url: &str) -> Self {
        let metrics_port = free_port();
        let port = metrics_port.to_string();
        let variables = [
            ("METRICS_PORT", port.as_str()),
            ("HELD_POLLS_MEMORY_MB", HELD_POLLS_MEMORY_MB),
            ("DEVICE_CODE_TTL", DEVICE_CODE_TTL),
        ];
        Self { process: stage.start_replica(database_url, &variables), metrics_port }
    }

    pub fn port(&self) -> u16 {
        self.process.port
    }

    /// Held polls, by its own metric.
    pub async fn held(&self) -> usize {
        let mut connection = Connection::to(self.metrics_port).await.unwrap();
        let answer = connection.ask(&wire::get("/metrics", "")).await.unwrap();
        let value = answer.body.lines().find_map(|line| line.strip_prefix("postiz_auth_polls_held "));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no metric of held polls: {}", answer.body))
    }
}

/// Starts as many replicas, and waits until they are healthy.
pub async fn replicas(stage: &Stage, database_url: &str, count: usize) -> Vec<Replica> {
    let mut replicas = Vec::new();
    for _ in 0..count {
        let replica = Replica::start(stage, database_url);
        replica.process.healthy().await;
        replicas.push(replica);
    }
    replicas
}

pub async fn held(replicas: &[Replica]) -> usize {
    let mut held = 0;
    for replica in replicas {
        held += replica.held().await;
    }
    held
}

pub fn ports(replicas: &[Replica]) -> Vec<u16> {
    replicas.iter().map(Replica::port).collect()
}
