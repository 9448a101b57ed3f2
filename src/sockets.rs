//! The limit of open files: each held poll is a socket.

use tracing::warn;

/// With fewer, a busy replica runs out of sockets before it runs out of memory.
const RECOMMENDED: u64 = 16_384;

/// Raises the soft limit of open files to the hard one, and returns it. The soft limit is often 1,024, for the sake of
/// programs that use `select`.
pub(crate) fn raise_limit() -> u64 {
    let limit = rlimit::increase_nofile_limit(u64::MAX);
    match &limit {
        Ok(limit) if *limit < RECOMMENDED => warn!(limit, "low limit of open files: raise the hard limit (ulimit -Hn)"),
        Ok(_) => {}
        Err(error) => warn!(%error, "the limit of open files can't be raised"),
    }
    limit.unwrap_or(RECOMMENDED)
}
