//! Builds the server, and installs what is missing on this machine in the same way as the tests.

use std::path::PathBuf;
use std::process::{Command, Stdio};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Builds the server as the Dockerfile does, without the features that this crate adds to shared dependencies. Returns
/// the path of the binary.
pub fn server() -> PathBuf {
    let build = ["build", "--release", "--locked", "--package", "postiz-auth-server"];
    let status = Command::new(env!("CARGO")).args(build).current_dir(ROOT).status().unwrap();
    assert!(status.success(), "the server does not build; see above");
    // This program is in the directory `deps` beside it.
    let program = std::env::current_exe().unwrap();
    program.ancestors().nth(2).unwrap().join("postiz-auth-server")
}

/// Installs PostgreSQL if it is missing.
pub fn postgres() {
    assert!(output_of("need_postgres; install_missing").is_some(), "there is no PostgreSQL; see above");
}

/// The published CLI, and a `PATH` with a Node.js for it; `None` if they can't be installed.
pub fn cli() -> Option<(String, String)> {
    let output = output_of("need_node; install_missing; install_cli >&2; printf '%s\\n%s' \"$POSTIZ_CLI\" \"$PATH\"")?;
    let (cli, path) = output.split_once('\n')?;
    Some((cli.to_owned(), path.to_owned()))
}

/// Node.js, which is installed if it is missing, and this build of the Node server.
pub fn node_server(build: PathBuf) -> Result<[PathBuf; 2], String> {
    if !build.is_file() {
        return Err(format!("--node={}: there is no such file", build.display()));
    }
    let node = output_of("need_node >&2; install_missing >&2; command -v node");
    Ok([node.ok_or("Node.js can't be installed; see above")?.trim().into(), build])
}

/// Runs these lines after scripts/lib/setup.sh. Returns what they print; `None` if they fail.
fn output_of(lines: &str) -> Option<String> {
    let script = format!("set -euo pipefail; . scripts/lib/setup.sh; {lines}");
    let output = Command::new("bash").args(["-c", &script]).current_dir(ROOT).stderr(Stdio::inherit()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
