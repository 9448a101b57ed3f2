//! How many terminals may wait at this replica: as many as its memory and its open files allow.

use std::fmt;

use sysinfo::{MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, System};
use tracing::warn;

/// A held poll with its connection, without its request. At first it takes 16,000 bytes. Later requests and answers use the
/// rest of the connection's two buffers. The kernel's 1,500 bytes for the socket count as the container's, too.
pub const HELD_POLL_BYTES: usize = 24_500;
/// What the server takes without connections, its program file included.
const IDLE_BYTES: u64 = 24_000_000;
/// Of a container's memory, in percent: the other connections need the rest, and one that has no held poll takes as much.
const OF_CONTAINER: u64 = 75;
/// Of a machine's memory, in percent: PostgreSQL and others are there, too.
const OF_MACHINE: u64 = 50;
const SMALL_CONTAINER: u64 = 256 << 20;
const MEGABYTE: u64 = 1_000_000;
/// Grants in the pending cache for each held poll: it also holds those whose polls are answered at once.
const GRANTS_PER_POLL: usize = 4;
/// For the database, for Postiz, for metrics and the log.
const OWN_SOCKETS: u64 = 128;
/// With fewer, a busy replica runs out of sockets before it runs out of memory.
const RECOMMENDED_SOCKETS: u64 = 16_384;

/// What this process may use.
#[derive(Debug, Clone, Copy)]
pub struct Resources {
    /// Open files: each connection is one.
    pub sockets: u64,
    pub memory: Memory,
}

/// Where the memory for held polls comes from, in bytes.
#[derive(Debug, Clone, Copy)]
pub enum Memory {
    /// `HELD_POLLS_MEMORY_MB`: all of it is for held polls.
    Set(u64),
    Container(u64),
    Machine(u64),
    /// Taken for the smallest container that a platform offers.
    Unknown,
}

/// The limits that follow from the resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capacity {
    pub held_polls: usize,
    /// The memory of all held polls, as each is accounted with [`HELD_POLL_BYTES`] and its request.
    pub held_bytes: usize,
    /// Grants whose entries are kept in memory.
    pub grants: usize,
    /// Held polls, and room beside them.
    pub connections: usize,
}

impl Resources {
    /// Raises the soft limit of open files, which is often 1,024 for the sake of programs that use `select`.
    ///
    /// `megabytes` is `HELD_POLLS_MEMORY_MB`.
    pub fn of_this_process(megabytes: Option<u64>) -> Self {
        let limit = rlimit::increase_nofile_limit(u64::MAX);
        match &limit {
            Ok(limit) if *limit < RECOMMENDED_SOCKETS => {
                warn!(limit, "low limit of open files: raise the hard limit (ulimit -Hn)");
            }
            Ok(_) => {}
            Err(error) => warn!(%error, "the limit of open files can't be raised"),
        }
        let memory = megabytes.map_or_else(memory, |megabytes| Memory::Set(megabytes.saturating_mul(MEGABYTE)));
        Self { sockets: limit.unwrap_or(RECOMMENDED_SOCKETS), memory }
    }
}

/// The smallest limit of a control group (v2 or v1) that this process is in, or the machine's memory.
fn memory() -> Memory {
    let Ok(mut system) = System::new() else { return Memory::Unknown };
    let pid = Pid::from_u32(std::process::id());
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, ProcessRefreshKind::nothing());
    if let Some(limits) = system.process(pid).and_then(sysinfo::Process::cgroup_limits) {
        return Memory::Container(limits.total_memory);
    }
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    Memory::Machine(system.total_memory())
}

impl Capacity {
    pub fn of(resources: Resources) -> Self {
        let share = |memory: u64, percent| memory.saturating_sub(IDLE_BYTES) / 100 * percent;
        let held_bytes = whole(match resources.memory {
            Memory::Set(bytes) => bytes,
            Memory::Container(bytes) => share(bytes, OF_CONTAINER),
            Memory::Machine(bytes) => share(bytes, OF_MACHINE),
            Memory::Unknown => share(SMALL_CONTAINER, OF_CONTAINER),
        });
        let sockets = resources.sockets;
        // The rest is for requests that are not held: more of them where there are few.
        let others = (sockets / 10).max(256.min(sockets / 4));
        let held_polls = whole(sockets - others).min(held_bytes / HELD_POLL_BYTES);
        let connections = whole(sockets.saturating_sub(OWN_SOCKETS)).min(held_polls + held_polls / 4).max(held_polls);
        Self { held_polls, held_bytes, grants: held_polls * GRANTS_PER_POLL, connections }
    }
}

fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes, of) = match self {
            Self::Set(bytes) => (bytes, "HELD_POLLS_MEMORY_MB"),
            Self::Container(bytes) => (bytes, "the container"),
            Self::Machine(bytes) => (bytes, "the machine"),
            Self::Unknown => (&SMALL_CONTAINER, "a small container, because it is not known"),
        };
        write!(f, "{} MB of {of}", bytes / MEGABYTE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity(sockets: u64, memory: Memory) -> Capacity {
        Capacity::of(Resources { sockets, memory })
    }

    #[test]
    fn a_small_container_holds_what_its_memory_allows() {
        let small = capacity(1 << 20, Memory::Container(SMALL_CONTAINER));
        assert_eq!((small.held_polls, small.grants), (7_482, 29_928));
        let others = (small.connections - small.held_polls) * HELD_POLL_BYTES;
        assert!(small.held_bytes + others + whole(IDLE_BYTES) < whole(SMALL_CONTAINER), "{small:?}");
    }

    #[test]
    fn sockets_are_the_limit_where_there_is_memory() {
        let large = capacity(20_000, Memory::Machine(24 << 30));
        assert_eq!((large.held_polls, large.connections), (18_000, 19_872));
        let few = capacity(1_024, Memory::Machine(24 << 30));
        assert_eq!((few.held_polls, few.connections), (768, 896));
    }

    #[test]
    fn a_setting_is_taken_as_it_is() {
        assert_eq!(capacity(1 << 20, Memory::Set(245_000_000)).held_polls, 10_000);
        assert_eq!(capacity(1 << 20, Memory::Set(245_000_000)).held_bytes, 245_000_000);
    }

    #[test]
    fn no_resources_hold_nothing() {
        let none = capacity(0, Memory::Container(0));
        assert_eq!(none, Capacity::default());
    }
}
