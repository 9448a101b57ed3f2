//! How many sockets this process may have: each terminal that waits is one.

use tracing::warn;

/// With fewer, a busy replica runs out of them before it runs out of memory.
const PLENTY: u64 = 16_384;

/// Raises the limit of open files as far as the system lets us, and returns it. Often the soft limit
/// is 1,024, for the sake of programs that can't do with more, and the hard one is far above.
pub(crate) fn raise_limit() -> u64 {
    let limit = rlimit::increase_nofile_limit(u64::MAX);
    match &limit {
        Ok(limit) if *limit < PLENTY => warn!(limit, "few open files are allowed: raise the hard limit (ulimit -Hn)"),
        Ok(_) => {}
        Err(error) => warn!(%error, "the limit of open files can't be raised"),
    }
    limit.unwrap_or(PLENTY)
}
