//! PgBouncer in transaction mode: each statement may meet another connection.

use super::database::cluster;
use super::guarded::{Guarded, free_port};

pub struct PgBouncer {
    port: u16,
    _process: Guarded,
}

impl PgBouncer {
    /// Before the shared cluster, with three connections to each of its databases.
    pub async fn start() -> Self {
        let port = free_port();
        let configuration = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postiz password={}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = 3\nmax_client_conn = 1000\nserver_idle_timeout = 5\n",
            cluster().port(),
            cluster().password(),
        );
        Self { port, _process: Guarded::start("pgbouncer", &["-q"], &configuration, port).await }
    }

    /// The address of one of the cluster's databases, through the pooler.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postiz@127.0.0.1:{}/{database}", self.port)
    }
}
