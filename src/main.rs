//! `postiz-auth-server`: see `postiz-auth-server help`.

use std::process::ExitCode;

/// Requests are served by actix's workers. What they wait for, database and Postiz, is a few system calls for many requests: a
/// second thread would take no load, but would be woken for each of them.
#[tokio::main(worker_threads = 1)]
async fn main() -> ExitCode {
    postiz_auth_server::commands::run(std::env::args_os()).await
}
