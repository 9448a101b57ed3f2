//! Other people's programs, which end with us, however we end.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use tokio::net::TcpStream;

use super::{cluster, eventually};

/// Ends with the program, or ends the program when its own standard input closes.
const GUARD: &str = r#"exec 3<&0; "$@" </dev/null 3<&- & program=$!
    (read -r _ <&3; kill -KILL $program) & wait $program; kill $!; rm -rf "$0""#;

/// A program that listens on a port, with a directory for its configuration.
pub struct Guarded {
    guard: Child,
    life: Option<ChildStdin>,
}

impl Guarded {
    /// Starts it with `arguments` and the configuration's file, and waits until `port` answers.
    pub async fn start(program: &str, arguments: &[&str], configuration: &str, port: u16) -> Self {
        let directory = std::env::temp_dir().join(format!("{program}-{:016x}", rand::random::<u64>()));
        fs::create_dir(&directory).unwrap();
        let file = directory.join("configuration");
        fs::write(&file, configuration).unwrap();
        let output = File::create(directory.join("output")).unwrap();
        // Opened before the guard can remove it.
        let printed = File::open(directory.join("output")).unwrap();
        let mut command = Command::new("sh");
        command.args([OsStr::new("-c"), OsStr::new(GUARD), directory.as_os_str(), OsStr::new(program)]);
        command.args(arguments).arg(&file).stdin(Stdio::piped()).stdout(output.try_clone().unwrap()).stderr(output);
        // The account that it runs as may not be allowed into ours.
        command.current_dir(&directory);
        become_someone(&mut command, [&directory, &file]);
        let mut guard = command.spawn().unwrap();
        let life = guard.stdin.take();
        let mut started = Self { guard, life };
        let what = fmt::from_fn(|f| write!(f, "{program} on port {port}: {}", io::read_to_string(&printed).unwrap()));
        let listens = || {
            let ended = started.guard.try_wait().unwrap().is_some();
            assert!(!ended, "{program} does not start: {}", io::read_to_string(&printed).unwrap());
            async move { TcpStream::connect(("127.0.0.1", port)).await.is_ok() }
        };
        eventually(what, listens).await;
        started
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.life.take());
        let _ = self.guard.wait();
    }
}

/// Some programs refuse root; the owner of PostgreSQL's own directory will do.
fn become_someone(command: &mut Command, paths: [&PathBuf; 2]) {
    if fs::metadata(paths[0]).unwrap().uid() != 0 {
        return;
    }
    let owner = fs::metadata(cluster().data_dir()).unwrap();
    for path in paths {
        chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    fs::set_permissions(paths[0], fs::Permissions::from_mode(0o755)).unwrap();
    command.uid(owner.uid()).gid(owner.gid());
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
