//! One process of a crowd: opens its logins, then polls for them as the CLI does.

use std::collections::BTreeMap;
use std::io::{BufRead as _, Result, Write as _};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::IN_ONE_PROCESS;
use super::counts::{Count, Counts};
use crate::load::open_logins;
use crate::login::{self, Login, Polled};
use crate::wire::{self, Connection};

/// A poll that is answered "pending" sooner was not held.
const HELD_FOR: Duration = Duration::from_secs(5);

struct Terminals {
    /// The replicas' address for this process. To one address and port, the kernel finds a free local port slowly once
    /// ten thousand are in use.
    address: Ipv4Addr,
    /// Whether a terminal opens another login when its own has expired.
    renew: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The replicas that the load balancer uses, with this process's connections to each.
    backends: Vec<(u16, usize)>,
    counts: Counts,
    /// By the second, since 1970.
    polls: BTreeMap<u64, usize>,
    tokens: Vec<String>,
}

/// Obeys the lines of the standard input until it is closed.
pub async fn be_the_terminals(first: usize, count: usize, ports: &str, renew: bool) {
    let process = u8::try_from(1 + first.div_ceil(IN_ONE_PROCESS)).unwrap();
    let terminals = Arc::new(Terminals { address: Ipv4Addr::new(127, 0, 0, process), renew, state: Mutex::default() });
    terminals.route(ports);
    let logins = open_logins(terminals.backend(first), count).await;
    answer("ready");
    let mut orders = orders();
    while let Some(order) = orders.recv().await {
        let (order, argument) = order.split_once(' ').unwrap_or((&order, ""));
        match order {
            "arrive" => arrive(&terminals, &logins, first, Duration::from_millis(argument.parse().unwrap())),
            "route" => terminals.route(argument),
            "codes" => {
                let codes = logins.iter().take(argument.parse().unwrap()).map(|login| login.user_code.as_str());
                answer(&codes.collect::<Vec<_>>().join(" "));
            }
            "counts" => answer(&terminals.state().counts.to_string()),
            "polls" => {
                let state = terminals.state();
                let polls = state.polls.iter().map(|(second, polls)| format!("{second}:{polls}"));
                answer(&polls.collect::<Vec<_>>().join(" "));
            }
            "tokens" => answer(&terminals.state().tokens.join(" ")),
            _ => panic!("no such order: {order}"),
        }
    }
}

/// The lines of the standard input. Reading it blocks, so it has a thread.
fn orders() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn answer(line: &str) {
    println!("{line}");
    let _ = std::io::stdout().flush();
}

/// The terminals start at even distances over `time`.
fn arrive(terminals: &Arc<Terminals>, logins: &[Login], first: usize, time: Duration) {
    let count = u32::try_from(logins.len()).unwrap();
    for (place, login) in (0..).zip(logins.iter().cloned()) {
        let (terminals, number) = (Arc::clone(terminals), first + place as usize);
        tokio::spawn(async move {
            sleep(time * place / count).await;
            terminals.wait(login, number).await;
        });
    }
}

impl Terminals {
    /// One terminal, until it has its token.
    async fn wait(&self, mut login: Login, number: usize) {
        loop {
            let poll = wire::from_network(number, &login.poll);
            match self.poll_until_decided(&poll, login.interval).await {
                Polled::Token(token) => {
                    self.count(Count::Tokens);
                    return self.state().tokens.push(token);
                }
                Polled::Expired if self.renew => login = self.open().await,
                Polled::Failed(answer) => return self.failed(&answer),
                other => return self.failed(&format!("{other:?}")),
            }
            self.count(Count::Renewed);
        }
    }

    /// Sleeps after each poll, and goes on after a broken connection.
    async fn poll_until_decided(&self, poll: &[u8], interval: Duration) -> Polled {
        loop {
            let Ok((mut connection, _place)) = self.connect().await else {
                self.count(Count::Refused);
                sleep(interval).await;
                continue;
            };
            loop {
                let asked = Instant::now();
                self.count_poll();
                let Ok(answer) = connection.ask(poll).await else { break };
                match login::polled(&answer) {
                    Polled::Pending if asked.elapsed() < HELD_FOR => self.count(Count::NotHeld),
                    Polled::Pending => {}
                    Polled::Unreadable => self.count(Count::Unreadable),
                    decided => return decided,
                }
                self.count(Count::Sleeping);
                sleep(interval).await;
                self.state().counts.remove(Count::Sleeping);
            }
            self.count(Count::Broken);
            sleep(interval).await;
        }
    }

    async fn open(&self) -> Login {
        loop {
            if let Ok((mut connection, _place)) = self.connect().await
                && let Ok(login) = login::open(&mut connection).await
            {
                return login;
            }
            self.count(Count::Failed);
            sleep(HELD_FOR).await;
        }
    }

    /// A load balancer's choice: the replica with the fewest connections.
    async fn connect(&self) -> Result<(Connection, Place<'_>)> {
        let port = {
            let mut state = self.state();
            let (port, connections) = state.backends.iter_mut().min_by_key(|(_, connections)| *connections).unwrap();
            *connections += 1;
            *port
        };
        let place = Place { terminals: self, port };
        Ok((Connection::to_address(self.address, port).await?, place))
    }

    fn backend(&self, number: usize) -> u16 {
        let state = self.state();
        state.backends[number % state.backends.len()].0
    }

    /// Replicas that stay keep their connections.
    fn route(&self, ports: &str) {
        let mut state = self.state();
        let backends = ports.split(',').map(|port| {
            let port = port.parse().unwrap();
            (port, state.backends.iter().find(|(known, _)| *known == port).map_or(0, |(_, connections)| *connections))
        });
        state.backends = backends.collect();
    }

    /// The first one is printed.
    fn failed(&self, why: &str) {
        if self.state().counts.of(Count::Failed) == 0 {
            eprintln!("a login has failed: {why}");
        }
        self.count(Count::Failed);
    }

    fn count(&self, count: Count) {
        self.state().counts.add(count);
    }

    fn count_poll(&self) {
        let second = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let mut state = self.state();
        state.counts.add(Count::Polls);
        *state.polls.entry(second).or_default() += 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// A connection of a backend, until it is dropped.
struct Place<'a> {
    terminals: &'a Terminals,
    port: u16,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.terminals.state();
        // A backend that was replaced is not in the list.
        if let Some((_, connections)) = state.backends.iter_mut().find(|(port, _)| *port == self.port) {
            *connections -= 1;
        }
    }
}
