//! `postiz-auth-server`: see `postiz-auth-server help`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    postiz_auth_server::commands::run(std::env::args_os()).await
}
