//! A machine without a browser, with a home of its own: programs run on it.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use super::in_time;

pub struct Machine {
    pub home: PathBuf,
    server: String,
}

/// A program that runs, and what it has printed until now.
pub struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    printed: String,
}

/// How a program ended.
pub struct Ended {
    pub code: Option<i32>,
    pub printed: String,
    pub errors: String,
}

impl Machine {
    /// `server` is where its programs sign in.
    pub fn new(server: &str) -> Self {
        let home = std::env::temp_dir().join(format!("machine-{:016x}", rand::random::<u64>()));
        std::fs::create_dir(&home).unwrap();
        Self { home, server: server.to_owned() }
    }

    pub fn start(&self, program: &str, arguments: &[&str]) -> Running {
        #[expect(clippy::disallowed_methods, reason = "where programs are")]
        let path = std::env::var_os("PATH").unwrap();
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("PATH", path).env("HOME", &self.home);
        command.env("POSTIZ_AUTH_SERVER", &self.server).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Running { child, stdout, printed: String::new() }
    }

    /// Where programs save the token.
    pub fn credentials(&self) -> PathBuf {
        self.home.join(".postiz/credentials.json")
    }

    /// A file where the folder should be: nobody can write below it, root included.
    pub fn prevent_saving(&self) {
        std::fs::write(self.home.join(".postiz"), "").unwrap();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

impl Running {
    /// Reads its lines until one holds what is looked for.
    pub async fn printed<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> T {
        loop {
            let mut line = String::new();
            let read = in_time("a line of the program", self.stdout.read_line(&mut line)).await.unwrap();
            assert_ne!(read, 0, "it ended: {}", self.printed);
            self.printed += &line;
            if let Some(found) = find(line.trim_end()) {
                return found;
            }
        }
    }

    pub async fn ended(mut self) -> Ended {
        let (mut errors, mut stderr) = (String::new(), self.child.stderr.take().unwrap());
        let output = async {
            tokio::try_join!(self.stdout.read_to_string(&mut self.printed), stderr.read_to_string(&mut errors))
        };
        in_time("the program to end", output).await.unwrap();
        Ended { code: self.child.wait().await.unwrap().code(), printed: self.printed, errors }
    }
}

impl Ended {
    /// Fails unless it ended with this code, and said this.
    pub fn assert(&self, code: i32, words: &str) {
        let text = format!("{}{}", self.printed, self.errors);
        assert_eq!(self.code, Some(code), "{text}");
        assert!(text.contains(words), "{words:?}: {text}");
    }
}
