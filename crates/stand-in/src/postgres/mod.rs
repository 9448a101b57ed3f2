//! A throw-away PostgreSQL: the programs that this machine has, on a fresh directory.
//!
//! It listens on a free port of 127.0.0.1, with one user, `postiz`, and a random password. A small shell script
//! (`guard.sh`) owns it. When this process ends, even by `kill -9`, the script stops PostgreSQL and removes the directory.

mod found;
mod place;

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use self::place::{Account, Place};

const GUARD: &str = include_str!("guard.sh");
/// Another process can take a free port before PostgreSQL does.
const PORT_ATTEMPTS: usize = 5;
/// Lines of the log in an error.
const LOG_LINES: usize = 20;

#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No directory holds both `postgres` and `initdb`.
    #[error(
        "no PostgreSQL server found: install it (Debian, Ubuntu: `apt-get install postgresql`; \
         macOS: `brew install postgresql@17`), or set PG_BIN to the directory that holds `initdb` and `postgres`"
    )]
    NotFound,
    /// The directory or the guard process could not be created, or the guard is gone.
    #[error("PostgreSQL could not be run: {0}")]
    Io(#[from] io::Error),
    #[error("PostgreSQL's {step} failed; the end of its log:\n{log}")]
    Failed { step: &'static str, log: String },
}

/// A running PostgreSQL. Dropping it stops the server and removes its directory.
#[derive(Debug)]
pub struct Postgres {
    guard: Mutex<Guard>,
    bin: PathBuf,
    directory: PathBuf,
    data: PathBuf,
    password: String,
    port: u16,
}

#[derive(Debug)]
struct Guard {
    process: Child,
    /// The guard cleans up when this is closed.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Postgres {
    /// Creates a cluster and starts it, in about half a second. Each of `settings` becomes `-c name=value`.
    ///
    /// Takes the programs in `PG_BIN`, else those on the `PATH`, else the newest of those that packages have installed.
    #[expect(
        clippy::disallowed_methods,
        reason = "looks for a program, as a shell does; nothing here configures the server"
    )]
    pub fn start(settings: &[(&str, &str)]) -> Result<Self, PostgresError> {
        let chosen = std::env::var_os("PG_BIN").filter(|dir| !dir.is_empty());
        let path = std::env::var_os("PATH");
        let bin = found::bin_dir(chosen.as_deref().map(Path::new), path.as_deref()).ok_or(PostgresError::NotFound)?;
        Self::start_in(bin, settings)
    }

    fn start_in(bin: PathBuf, settings: &[(&str, &str)]) -> Result<Self, PostgresError> {
        Self::create(bin, format!("{:032x}", rand::random::<u128>()), ("init", String::new()), settings)
    }

    /// Starts a standby that replicates from this server by streaming. It is read-only until `pg_promote()`.
    pub fn standby(&self) -> Result<Self, PostgresError> {
        Self::create(self.bin.clone(), self.password.clone(), ("copy", self.port.to_string()), &[])
    }

    fn create(
        bin: PathBuf,
        password: String,
        (step, argument): (&'static str, String),
        settings: &[(&str, &str)],
    ) -> Result<Self, PostgresError> {
        let Place { directory, account } = Place::create(&password)?;
        let guard = Guard::spawn(&bin, &directory, account, settings).inspect_err(|_| {
            let _ = std::fs::remove_dir_all(&directory); // no guard that would remove it
        })?;
        let data = directory.join("data");
        let mut postgres = Self { guard: Mutex::new(guard), bin, directory, data, password, port: 0 };
        postgres.order(step, &argument)?;
        for _ in 1..PORT_ATTEMPTS {
            postgres.port = free_port()?;
            match postgres.start_again() {
                Err(error) if port_was_taken(&error) => {}
                other => return other.map(|()| postgres),
            }
        }
        postgres.port = free_port()?;
        postgres.start_again().map(|()| postgres)
    }

    /// A value for `DATABASE_URL`: TCP to 127.0.0.1, the superuser `postiz`, no TLS. A new cluster has the database `postgres`.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postiz:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// The port on 127.0.0.1; [`start_again`](Self::start_again) keeps it.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn password(&self) -> &str {
        &self.password
    }

    /// Readable by PostgreSQL's account and root only.
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// The directory with the client programs of the same version: `pg_dump`, `psql`, `pg_basebackup`.
    pub fn bin_dir(&self) -> &Path {
        &self.bin
    }

    /// A fast shutdown, as an operator does it: ends all sessions and writes a checkpoint.
    pub fn stop_fast(&self) -> Result<(), PostgresError> {
        self.order("fast", "")
    }

    /// An immediate shutdown, which is like a crash: the next start recovers from the write-ahead log.
    pub fn stop_immediate(&self) -> Result<(), PostgresError> {
        self.order("immediate", "")
    }

    /// Starts it after a stop, on the same port and data. Returns when it accepts connections.
    pub fn start_again(&self) -> Result<(), PostgresError> {
        self.order("start", &self.port.to_string())
    }

    /// Stops all of its processes with SIGSTOP: connections stay open and get no answer. Needs `ps`.
    pub fn pause(&self) -> Result<(), PostgresError> {
        self.order("pause", "")
    }

    pub fn resume(&self) -> Result<(), PostgresError> {
        self.order("resume", "")
    }

    /// The last lines of PostgreSQL's log.
    pub fn log_tail(&self) -> String {
        let log = std::fs::read(self.directory.join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    fn order(&self, step: &'static str, argument: &str) -> Result<(), PostgresError> {
        let answer = self.guard.lock().unwrap_or_else(PoisonError::into_inner).order(step, argument)?;
        if answer.trim_end() == "done" { Ok(()) } else { Err(PostgresError::Failed { step, log: self.log_tail() }) }
    }
}

impl Guard {
    fn spawn(bin: &Path, directory: &Path, account: Option<Account>, settings: &[(&str, &str)]) -> io::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "postgres-guard"]).args([bin, directory]);
        for (name, value) in [("listen_addresses", "127.0.0.1"), ("unix_socket_directories", "")].iter().chain(settings)
        {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        if let Some(Account { uid, gid }) = account {
            command.uid(uid).gid(gid);
        }
        // A process group of its own: Ctrl-C in the terminal reaches this process only, which then closes the guard's input.
        command.process_group(0).current_dir("/").env("LC_ALL", "C");
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (orders, answers) = (process.stdin.take(), process.stdout.take());
        let answers = BufReader::new(answers.ok_or_else(|| io::Error::other("no standard output"))?);
        Ok(Self { process, orders, answers })
    }

    fn order(&mut self, step: &str, argument: &str) -> io::Result<String> {
        let orders = self.orders.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(orders, "{step} {argument}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.process.wait();
    }
}

fn port_was_taken(error: &PostgresError) -> bool {
    matches!(error, PostgresError::Failed { step: "start", log } if log.contains("could not bind"))
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests;
