//! Other people's programs, which end with us, however we end.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{PATIENCE, cluster};

/// Its own standard input is our sign of life.
const GUARD: &str = r#""$@" </dev/null & read -r _; kill -KILL $!; wait; rm -rf "$0""#;

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
        let mut command = Command::new("sh");
        command.args([OsStr::new("-c"), OsStr::new(GUARD), directory.as_os_str(), OsStr::new(program)]);
        command.args(arguments).arg(&file).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        become_someone(&mut command, [&directory, &file]);
        let mut guard = command.spawn().unwrap();
        let life = guard.stdin.take();
        let answers = async { while TcpStream::connect(("127.0.0.1", port)).await.is_err() {} };
        timeout(PATIENCE, answers).await.unwrap_or_else(|_| panic!("no {program}; scripts/test installs it"));
        Self { guard, life }
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
