//! The health check's own connection: while all connections of the pool are in use, it still tells a busy replica from an
//! unavailable database.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_postgres::Client;

use crate::db::RowExt as _;
use crate::db::pool::Connector;

/// A connection that answers later than this is not used again.
const TIMEOUT: Duration = Duration::from_secs(2);
const PING: &str = "SELECT current_setting('transaction_read_only') = 'off' AS writable";

pub(super) struct Probe {
    connector: Connector,
    connection: Mutex<Option<Client>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pinged {
    Writable,
    /// It answers, but it is a standby or accepts no writes.
    ReadOnly,
    /// The connection was there and hangs.
    Hanging,
    /// Refused, unreachable or broken.
    Unavailable,
}

impl Probe {
    pub(super) fn new(connector: Connector) -> Self {
        Self { connector, connection: Mutex::new(None) }
    }

    /// Asks once, and connects first if there is no connection.
    pub(super) async fn ping(&self) -> Pinged {
        let mut kept = self.connection.lock().await;
        let client = match kept.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => match timeout(TIMEOUT, self.connector.open()).await {
                Ok(Ok((client, _))) => client,
                Ok(Err(_)) | Err(_) => return Pinged::Unavailable,
            },
        };
        let Ok(answer) = timeout(TIMEOUT, client.query_typed(PING, &[])).await else { return Pinged::Hanging };
        let Ok(rows) = answer else { return Pinged::Unavailable };
        if rows.first().is_some_and(|row| row.field("writable").unwrap_or(false)) {
            *kept = Some(client);
            Pinged::Writable
        } else {
            Pinged::ReadOnly
        }
    }

    /// Closes the connection, unless it is in use.
    pub(super) fn close(&self) {
        if let Ok(mut kept) = self.connection.try_lock() {
            kept.take();
        }
    }
}
