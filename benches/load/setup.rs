//! What the harness needs of the machine is installed as the tests install it.

use std::process::{Command, Stdio};

/// PostgreSQL, unless it is there.
pub fn postgres() {
    assert!(installs("need_postgres; install_missing").is_some(), "there is no PostgreSQL; see above");
}

/// The published CLI, and the `PATH` on which its Node.js is found; `None` where they can't be had.
pub fn cli() -> Option<(String, String)> {
    let said = installs("need_node; install_missing; install_cli >&2; printf '%s\\n%s' \"$POSTIZ_CLI\" \"$PATH\"")?;
    let (cli, path) = said.split_once('\n')?;
    Some((cli.to_owned(), path.to_owned()))
}

/// What these lines say after scripts/lib/setup.sh; `None` where they fail.
fn installs(lines: &str) -> Option<String> {
    let script = format!("set -euo pipefail; . scripts/lib/setup.sh; {lines}");
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
