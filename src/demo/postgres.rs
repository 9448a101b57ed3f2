//! A throw-away PostgreSQL for trying out and for tests: the machine's own programs on a fresh directory.
//!
//! It listens on a free port of 127.0.0.1, with one user, `postiz`, and a random password. A small shell script owns
//! it (`guard.sh`): when this process ends, were it by `kill -9`, the script stops the server and removes the directory.

mod found;
mod place;

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use self::place::{Account, Place};

const GUARD: &str = include_str!("postgres/guard.sh");
/// Another process may take a free port before PostgreSQL does.
const PORTS_TRIED: usize = 5;
/// How much of the log an error shows.
const LOG_LINES: usize = 20;

/// Why there is no PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No directory holds both `postgres` and `initdb`.
    #[error(
        "no PostgreSQL server found: install it (Debian, Ubuntu: `apt-get install postgresql`; \
         macOS: `brew install postgresql@17`), or set PG_BIN to the directory that holds `initdb` and `postgres`"
    )]
    NotFound,
    /// The directory or the process that owns it could not be made, or went away.
    #[error("PostgreSQL could not be run: {0}")]
    Io(#[from] io::Error),
    /// One of the steps (`init`, `start`, ..) failed.
    #[error("PostgreSQL's {step} failed; the end of its log:\n{log}")]
    Failed {
        /// What it was told to do.
        step: &'static str,
        /// The last lines of its log.
        log: String,
    },
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
    /// Closing it is the order to clean up.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Postgres {
    /// Makes a cluster and starts it; about half a second. Each of `settings` becomes `-c name=value`.
    ///
    /// Found by the variables `PG_BIN` and `PATH`, else in the places where packages are installed.
    #[expect(clippy::disallowed_methods, reason = "looks for a program, as a shell does; nothing of the server's")]
    pub fn start(settings: &[(&str, &str)]) -> Result<Self, PostgresError> {
        let chosen = std::env::var_os("PG_BIN").filter(|dir| !dir.is_empty());
        let path = std::env::var_os("PATH");
        let bin = found::bin_dir(chosen.as_deref().map(Path::new), path.as_deref()).ok_or(PostgresError::NotFound)?;
        Self::start_in(bin, settings)
    }

    fn start_in(bin: PathBuf, settings: &[(&str, &str)]) -> Result<Self, PostgresError> {
        Self::make(bin, format!("{:032x}", rand::random::<u128>()), ("init", String::new()), settings)
    }

    /// Makes a standby that follows this server by streaming and answers what only reads, until `pg_promote()`.
    pub fn standby(&self) -> Result<Self, PostgresError> {
        Self::make(self.bin.clone(), self.password.clone(), ("copy", self.port.to_string()), &[])
    }

    fn make(
        bin: PathBuf,
        password: String,
        (step, argument): (&'static str, String),
        settings: &[(&str, &str)],
    ) -> Result<Self, PostgresError> {
        let Place { directory, account } = Place::make(&password)?;
        let guard = Guard::spawn(&bin, &directory, account, settings).inspect_err(|_| {
            let _ = std::fs::remove_dir_all(&directory); // nobody owns it yet
        })?;
        let data = directory.join("data");
        let mut postgres = Self { guard: Mutex::new(guard), bin, directory, data, password, port: 0 };
        postgres.order(step, &argument)?;
        for _ in 1..PORTS_TRIED {
            postgres.port = free_port()?;
            match postgres.start_again() {
                Err(error) if lost_the_port(&error) => {}
                other => return other.map(|()| postgres),
            }
        }
        postgres.port = free_port()?;
        postgres.start_again().map(|()| postgres)
    }

    /// An address for `DATABASE_URL`: TCP to 127.0.0.1, the superuser `postiz`, no TLS. `postgres` is the database that exists.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postiz:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// The port on 127.0.0.1; it stays the same over [`start_again`](Self::start_again).
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The random password of the user `postiz`.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The cluster's data directory; only its owner (and root) can look into it.
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// Where the programs of this PostgreSQL's version are: `pg_dump`, `psql`, `pg_basebackup`.
    pub fn bin_dir(&self) -> &Path {
        &self.bin
    }

    /// Stops it as an operator would: sessions are ended, everything is written.
    pub fn stop_fast(&self) -> Result<(), PostgresError> {
        self.order("fast", "")
    }

    /// Stops it as a crash would: sessions are cut, the next start recovers from the write-ahead log.
    pub fn stop_immediate(&self) -> Result<(), PostgresError> {
        self.order("immediate", "")
    }

    /// Starts it after a stop, on the same port and data, and returns when it accepts connections.
    pub fn start_again(&self) -> Result<(), PostgresError> {
        self.order("start", &self.port.to_string())
    }

    /// Freezes all of its processes: connections stay open and nothing answers. Needs `ps`.
    pub fn pause(&self) -> Result<(), PostgresError> {
        self.order("pause", "")
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) -> Result<(), PostgresError> {
        self.order("resume", "")
    }

    /// The last lines that PostgreSQL wrote.
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
        // Its own process group: Ctrl-C in the terminal is for us, who then close its input.
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

fn lost_the_port(error: &PostgresError) -> bool {
    matches!(error, PostgresError::Failed { step: "start", log } if log.contains("could not bind"))
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests;
