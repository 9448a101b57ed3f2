//! PostgreSQL's own load program runs the same statements one by one, for comparison.

use std::time::Duration;

use tokio::process::Command;

use crate::stage::{Database, Stage};

/// Looks one login up.
pub const LOOK_UP: &str = include_str!("sql/look_up.sql");
/// Inserts the logins that `LOOK_UP` finds.
pub const LOOKED_UP: &str = include_str!("sql/looked_up.sql");
/// Inserts one login.
pub const OPEN: &str = include_str!("sql/open.sql");
/// All statements of one login, from opening to token.
pub const LOGIN: &str = include_str!("sql/login.sql");

/// Runs of the script a second, with prepared statements.
pub async fn per_second(stage: &Stage, database: &Database, script: &str, clients: usize, time: Duration) -> f64 {
    let file = std::env::temp_dir().join(format!("postiz-auth-bench-{:016x}.sql", rand::random::<u64>()));
    std::fs::write(&file, script).unwrap();
    let output = Command::new(stage.postgres.bin_dir().join("pgbench"))
        .args(["-n", "-M", "prepared", "-j", "2", "-c", &clients.to_string()])
        .args(["-T", &time.as_secs().max(1).to_string(), "-f"])
        .args([file.as_os_str(), database.url.as_ref()])
        .output()
        .await
        .expect("pgbench, which comes with PostgreSQL");
    let _ = std::fs::remove_file(&file);
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    rate.unwrap_or_else(|| panic!("pgbench: {text}{}", String::from_utf8_lossy(&output.stderr)))
}
