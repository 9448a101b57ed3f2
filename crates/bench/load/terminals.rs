//! Terminals by the ten thousand, which poll as the CLI does, in processes of their own: one process has too few sockets
//! for all of them.
//!
//! Each process opens its logins and polls for them until its standard input is closed. For each line there, it prints
//! what its terminals have met.

use std::io::{BufRead as _, Result, Write as _};
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::login::{self, Login, Terminal};

/// The argument that makes this program a part of a crowd.
pub const TERMINALS: &str = "be-the-terminals";
/// Terminals in one process. Its limit of open files is often 20,000.
const IN_ONE_PROCESS: usize = 17_000;
/// Terminals that begin to poll in one second: the machine does their part of the work, too.
const ARRIVALS: u32 = 1_500;
/// A poll that is answered "pending" sooner was not held.
const HELD_FOR: Duration = Duration::from_secs(5);
/// A process ends by itself after this time.
const LIFETIME: Duration = Duration::from_mins(14);

pub struct Terminals(Vec<Part>);

struct Part {
    /// Ends with its owner.
    _child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub polls: usize,
    /// Terminals with a poll under way, and between two polls.
    pub polling: usize,
    pub sleeping: usize,
    /// Polls answered "pending" within a few seconds.
    pub not_held: usize,
    /// Broken connections, and answers that say anything else.
    pub errors: usize,
}

impl Terminals {
    /// Opens the logins. The terminals begin to poll at even distances over a time that fits their number.
    /// Each poll comes up to `scatter` later than its interval says.
    pub async fn start(count: usize, ports: &[u16], scatter: Duration) -> Self {
        let processes = count.div_ceil(IN_ONE_PROCESS);
        let mut crowd = Vec::new();
        for process in 0..processes {
            let share = (count + process) / processes;
            let arrival = Duration::from_secs(1) * u32::try_from(count).unwrap() / ARRIVALS;
            let mut arguments = vec![(process + 1).to_string(), share.to_string()];
            arguments.extend([arrival, scatter].map(|time| time.as_millis().to_string()));
            arguments.extend(ports.iter().map(u16::to_string));
            crowd.push(Part::start(&arguments));
        }
        let mut terminals = Self(crowd);
        terminals.counts().await;
        terminals
    }

    /// Returns after all logins are opened.
    pub async fn counts(&mut self) -> Counts {
        let mut sum = Counts::default();
        for part in &mut self.0 {
            part.orders.write_all(b"\n").await.unwrap();
        }
        for part in &mut self.0 {
            let line = part.answers.next_line().await.unwrap().expect("a process of the crowd has ended");
            let mut numbers = line.split(' ').map(|number| number.parse::<usize>().unwrap());
            for count in [&mut sum.polls, &mut sum.polling, &mut sum.sleeping, &mut sum.not_held, &mut sum.errors] {
                *count += numbers.next().unwrap();
            }
        }
        sum
    }
}

impl Part {
    fn start(arguments: &[String]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(TERMINALS).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (orders, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { _child: child, orders, answers: BufReader::new(answers).lines() }
    }
}

/// `process count arrival scatter port ..`
pub async fn be_the_terminals(arguments: &[String]) {
    let [process, count, arrival, scatter, ports @ ..] = arguments else { panic!("too few arguments") };
    // To one address and port, the kernel finds a free local port slowly once ten thousand are in use.
    let address = Ipv4Addr::new(127, 0, 0, process.parse().unwrap());
    let servers: Vec<_> = ports.iter().map(|port| (address, port.parse::<u16>().unwrap())).collect();
    let count: usize = count.parse().unwrap();
    let mut logins = Vec::new();
    for (at, server) in servers.iter().enumerate() {
        logins.extend(login::open_many(*server, (count + at) / servers.len()).await);
    }
    let [arrival, scatter] = [arrival, scatter].map(|time| Duration::from_millis(time.parse().unwrap()));
    let counts: Arc<Mutex<Counts>> = Arc::default();
    for (number, login) in logins.into_iter().enumerate() {
        let (counts, begin) = (Arc::clone(&counts), arrival.mul_f64(number as f64 / count as f64));
        let server = servers[number % servers.len()];
        tokio::spawn(async move {
            sleep(begin).await;
            wait(&counts, server, &login, scatter).await;
        });
    }
    let mut orders = orders();
    let ended = sleep(LIFETIME);
    tokio::pin!(ended);
    loop {
        tokio::select! {
            Some(()) = orders.recv() => {
                let Counts { polls, polling, sleeping, not_held, errors } = *lock(&counts);
                println!("{polls} {polling} {sleeping} {not_held} {errors}");
                let _ = std::io::stdout().flush();
            }
            () = &mut ended => return,
            else => return,
        }
    }
}

/// The lines of the standard input. Reading it blocks, so it has a thread.
fn orders() -> mpsc::UnboundedReceiver<()> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().lines().map_while(Result::ok);
        lines.map_while(|_| sender.send(()).ok()).for_each(drop);
        std::process::exit(0)
    });
    receiver
}

/// One terminal, without end.
async fn wait(counts: &Mutex<Counts>, server: (Ipv4Addr, u16), login: &Login, scatter: Duration) {
    let mut terminal = Terminal::new(server);
    loop {
        let begun = Instant::now();
        {
            let mut counts = lock(counts);
            counts.polls += 1;
            counts.polling += 1;
        }
        let answer = terminal.poll(login).await;
        {
            let mut counts = lock(counts);
            counts.polling -= 1;
            counts.sleeping += 1;
            match answer {
                Ok(None) => counts.not_held += usize::from(begun.elapsed() < HELD_FOR),
                Ok(Some(_)) => counts.errors += 1,
                Err(error) => {
                    // The first one is printed.
                    if counts.errors == 0 {
                        eprintln!("a terminal's poll failed: {error}");
                    }
                    counts.errors += 1;
                }
            }
        }
        sleep(login.interval + scatter.mul_f64(rand::random())).await;
        lock(counts).sleeping -= 1;
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap()
}
