//! Terminals by the ten thousand, in processes of their own: one process has too few sockets for all of them.
//!
//! Each process takes orders in lines on its standard input, and answers in lines on its standard output.

mod child;
mod counts;

use std::collections::{BTreeMap, HashSet};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

pub use self::child::be_the_terminals;
pub use self::counts::{Count, Counts};
use crate::machine;

/// The argument that makes this program a part of a crowd.
pub const TERMINALS: &str = "terminals";
/// Terminals in one process. Its limit of open files is often 20,000.
const IN_ONE_PROCESS: usize = 17_000;

pub struct Crowd(Vec<Part>);

struct Part {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Crowd {
    /// Opens the logins of `count` terminals, which do not poll yet. With `renew`, a terminal replaces its login when it
    /// expires.
    pub async fn open(count: usize, ports: &[u16], renew: bool) -> Self {
        let processes = count.div_ceil(IN_ONE_PROCESS);
        let mut crowd = Self(Vec::new());
        let mut first = 0;
        for process in 0..processes {
            let share = (count - first).div_ceil(processes - process);
            crowd.0.push(Part::start(&[
                TERMINALS.to_owned(),
                first.to_string(),
                share.to_string(),
                list(ports),
                renew.to_string(),
            ]));
            first += share;
        }
        for part in &mut crowd.0 {
            assert_eq!(part.answer().await, "ready");
        }
        crowd
    }

    /// The terminals start to poll, at even distances over this time.
    pub async fn arrive(&mut self, time: Duration) {
        self.order(&format!("arrive {}", time.as_millis())).await;
    }

    /// New connections go to these replicas only.
    pub async fn route(&mut self, ports: &[u16]) {
        self.order(&format!("route {}", list(ports))).await;
    }

    /// User codes of at least `count` logins, if there are as many.
    pub async fn codes(&mut self, count: usize) -> Vec<String> {
        let share = count.div_ceil(self.0.len());
        let answers = self.ask(&format!("codes {share}")).await;
        answers.iter().flat_map(|answer| answer.split_whitespace()).take(count).map(str::to_owned).collect()
    }

    pub async fn counts(&mut self) -> Counts {
        let answers = self.ask("counts").await;
        answers.iter().map(|answer| Counts::parse(answer)).fold(Counts::default(), |sum, part| sum + part)
    }

    /// Polls sent, by the second since 1970.
    pub async fn polls(&mut self) -> BTreeMap<u64, usize> {
        let mut polls = BTreeMap::new();
        for answer in self.ask("polls").await {
            for (second, count) in answer.split_whitespace().filter_map(|entry| entry.split_once(':')) {
                *polls.entry(second.parse().unwrap()).or_default() += count.parse::<usize>().unwrap();
            }
        }
        polls
    }

    pub async fn tokens(&mut self) -> HashSet<String> {
        let answers = self.ask("tokens").await;
        answers.iter().flat_map(|answer| answer.split_whitespace()).map(str::to_owned).collect()
    }

    /// Processor time of its processes.
    pub fn cpu_seconds(&self) -> f64 {
        self.0.iter().filter_map(|part| part.child.id()).map(machine::cpu_seconds).sum()
    }

    async fn ask(&mut self, order: &str) -> Vec<String> {
        self.order(order).await;
        let mut answers = Vec::new();
        for part in &mut self.0 {
            answers.push(part.answer().await);
        }
        answers
    }

    async fn order(&mut self, order: &str) {
        for part in &mut self.0 {
            part.orders.write_all(format!("{order}\n").as_bytes()).await.unwrap();
        }
    }
}

impl Part {
    fn start(arguments: &[String]) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (orders, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, orders, answers: BufReader::new(answers).lines() }
    }

    async fn answer(&mut self) -> String {
        self.answers.next_line().await.unwrap().expect("a process of the crowd has ended")
    }
}

fn list(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",")
}
