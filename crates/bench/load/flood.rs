//! Hostile clients, in a process of their own, so that their work does not delay the measured logins.
//!
//! Each connection asks again as fast as it is answered, until the standard input is closed. Every client that can go on
//! after a refusal goes on at once.

use std::io::{BufRead as _, BufReader, Read as _, Result, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::login::{self, Browser, HONEST_NETWORKS};
use crate::wire::Connection;

/// The argument that makes this program the flood.
pub const FLOOD: &str = "be-the-flood";
/// It ends by itself after this time.
const LIFETIME: Duration = Duration::from_mins(1);
/// Before a connection that was refused is made again.
const RECONNECT_AFTER: Duration = Duration::from_millis(50);

/// Each connection confirms a login of its own, again and again.
pub const CONFIRMATIONS: &str = "confirmations";
/// Each connection opens a login at an address that it has not used yet, and confirms it, again and again.
pub const REGISTRATIONS: &str = "registrations";

pub struct Flood(Child);

impl Flood {
    /// Returns when all of its connections are made and have a login.
    pub fn start(port: u16, kind: &str, networks: usize, connections: usize) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([FLOOD, kind]).args([port.to_string(), networks.to_string(), connections.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
        Self(child)
    }

    /// Returns its answers a second.
    pub fn stop(mut self) -> f64 {
        drop(self.0.stdin.take());
        let mut rate = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut rate).unwrap();
        rate.trim().parse().expect("the flood goes on until its end")
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `kind port networks connections`
pub async fn be_the_flood(arguments: &[String]) {
    let [kind, numbers @ ..] = arguments else { panic!("no kind") };
    let numbers: Vec<usize> = numbers.iter().map(|number| number.parse().unwrap()).collect();
    let [port, networks, connections] = numbers[..] else { panic!("three numbers") };
    let port = u16::try_from(port).unwrap();
    let answers = Arc::new(AtomicUsize::new(0));
    let attackers = (0..connections).map(|number| Attacker {
        port,
        network: HONEST_NETWORKS + number % networks,
        answers: Arc::clone(&answers),
    });
    let mut tasks = JoinSet::new();
    if kind == CONFIRMATIONS {
        let mut ready = Vec::new();
        for (number, attacker) in attackers.enumerate() {
            let mut connection = Connection::to(port).await.unwrap();
            let request = attacker.log_in(&mut connection, number / networks).await.unwrap();
            ready.push((attacker, connection, request));
        }
        for (attacker, connection, request) in ready {
            tasks.spawn(async move { attacker.confirm_for_ever(connection, &request).await });
        }
    } else {
        for attacker in attackers {
            tasks.spawn(async move { attacker.register_for_ever().await });
        }
    }
    println!("ready");
    let _ = std::io::stdout().flush();
    let (begun, before) = (Instant::now(), answers.load(Ordering::Relaxed));
    let closed = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let _ = timeout(LIFETIME, closed).await;
    println!("{}", (answers.load(Ordering::Relaxed) - before) as f64 / begun.elapsed().as_secs_f64());
    std::process::exit(0);
}

struct Attacker {
    port: u16,
    network: usize,
    answers: Arc<AtomicUsize>,
}

impl Attacker {
    /// Opens a login and its page. Returns the confirmation's request.
    async fn log_in(&self, connection: &mut Connection, line: usize) -> Result<Vec<u8>> {
        let login = login::open_from(connection, login::address(self.network, line)).await?;
        let mut browser = Browser::of(&login);
        browser.view(connection, &login.user_code).await?;
        Ok(browser.confirmation(&login.user_code))
    }

    async fn confirm_for_ever(&self, mut connection: Connection, request: &[u8]) {
        loop {
            while connection.status_of(request).await.is_ok() {
                self.answers.fetch_add(1, Ordering::Relaxed);
            }
            connection = self.reconnect().await;
        }
    }

    async fn register_for_ever(&self) {
        let mut connection = self.reconnect().await;
        loop {
            let line = usize::from(rand::random::<u16>());
            if let Ok(request) = self.log_in(&mut connection, line).await
                && connection.status_of(&request).await.is_ok()
            {
                self.answers.fetch_add(1, Ordering::Relaxed);
            } else {
                connection = self.reconnect().await;
            }
        }
    }

    async fn reconnect(&self) -> Connection {
        loop {
            match Connection::to(self.port).await {
                Ok(connection) => return connection,
                Err(_) => sleep(RECONNECT_AFTER).await,
            }
        }
    }
}
