//! A whole login on one machine: the auth server, a stand-in for Postiz, and a throw-away PostgreSQL.

mod guide;
mod home;

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use postiz_auth_server::app::{App, Running, listen};
use postiz_auth_server::commands::serve::stop_signal;
use postiz_auth_server::config::Config;
use postiz_auth_server::log;
use postiz_auth_server::secret::Secret;
use stand_in::{Event, Postgres, RegisteredApp, StandIn};
use tokio::sync::mpsc::{self, UnboundedReceiver};

use crate::guide::Guide;
use crate::home::Home;

/// A whole login on this machine: the auth server, a stand-in for Postiz, and a throw-away PostgreSQL.
///
/// The server reads its usual variables. If `PORT` is taken, it uses another port. If `DATABASE_URL` is set, the demo uses
/// that database and starts none.
#[derive(Parser)]
struct Arguments {
    /// Use an OAuth app made by hand, as for a Postiz that does not register clients: a second login ends the first one's token
    #[arg(long)]
    app: bool,
    /// The address of the stand-in for Postiz; port 0 is a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    postiz_listen: SocketAddr,
    /// The address of the demo itself, if a proxy stands before it
    #[arg(long, value_name = "URL")]
    server_url: Option<String>,
    /// The HOME in the printed command; by default a temporary directory, which is removed at the end
    #[arg(long, value_name = "DIRECTORY")]
    home: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match Demo::start(arguments).await {
        Ok(demo) => {
            demo.run().await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "The demo can't start: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Demo {
    running: Running,
    events: UnboundedReceiver<Event>,
    guide: Guide,
    home: Home,
    // Stopped after the server, which uses both.
    postiz: StandIn,
    postgres: Option<Postgres>,
}

impl Demo {
    async fn start(arguments: Arguments) -> Result<Self, Box<dyn Error>> {
        let home = Home::new(arguments.home)?;
        let (postgres, database_url) = database().await?;
        let listener = server_listener()?;
        let port = listener.local_addr()?.port();
        let server_url = arguments.server_url.unwrap_or_else(|| format!("http://localhost:{port}"));
        let app = RegisteredApp {
            client_id: "pca_demo".to_owned(),
            client_secret: Secret::random().to_base64url(),
            redirect_uri: format!("{server_url}/device/callback"),
        };
        let (sender, events) = mpsc::unbounded_channel();
        let postiz = StandIn::start(app.clone(), TcpListener::bind(arguments.postiz_listen)?, Some(sender))?;
        // Empty counts as missing, also if the environment has a value.
        let (client_id, client_secret) =
            if arguments.app { (app.client_id, app.client_secret) } else { <_>::default() };
        let config = config([
            ("DATABASE_URL", database_url),
            ("PORT", port.to_string().into()),
            ("POSTIZ_OAUTH_CLIENT_ID", client_id.into()),
            ("POSTIZ_OAUTH_CLIENT_SECRET", client_secret.into()),
            ("SERVER_URL", server_url.clone().into()),
            ("POSTIZ_FRONTEND_URL", postiz.frontend_url().into()),
            ("POSTIZ_API_URL", postiz.api_url().into()),
        ])?;
        log::init(&config);
        let running = App::start(&config, listener)?;
        let guide = Guide { home: home.path.display().to_string(), server_url, has_app: arguments.app };
        Ok(Self { running, events, guide, home, postiz, postgres })
    }

    async fn run(mut self) {
        print(&self.guide.ready());
        let stop = stop_signal();
        tokio::pin!(stop);
        let mut signed_in = false;
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(event) = self.events.recv() => {
                    print(&format!("- {}\n", self.guide.step(event)));
                    if event == Event::Exchanged && !signed_in {
                        signed_in = true;
                        print(&self.guide.next_steps());
                    }
                }
            }
        }
        print("\nStopping ...\n");
        self.running.stop().await;
        drop(self.postiz);
        let has_own_database = self.postgres.is_some();
        drop(self.postgres);
        let removed = self.home.remove();
        print(&self.guide.end(has_own_database, removed));
    }
}

/// The database in the environment, or a new one with its owner.
async fn database() -> Result<(Option<Postgres>, OsString), Box<dyn Error>> {
    if let Some(url) = variable("DATABASE_URL") {
        return Ok((None, url));
    }
    print("Starting a throw-away PostgreSQL ...\n");
    let postgres = tokio::task::spawn_blocking(|| Postgres::start(&[("fsync", "off")])).await??;
    let url = postgres.url("postgres").into();
    Ok((Some(postgres), url))
}

fn server_listener() -> io::Result<TcpListener> {
    let port = Config::port_from_env();
    listen(port).or_else(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            print(&format!("Port {port} is taken; using another one.\n"));
            listen(0)
        }
        _ => Err(error),
    })
}

/// The environment's configuration with the demo's own values. Warnings only, so that the log leaves the guide readable.
fn config<const N: usize>(own: [(&str, OsString); N]) -> Result<Config, Box<dyn Error>> {
    let defaults = [("LOG_FORMAT", "text".into()), ("RUST_LOG", "warn".into())];
    let owned = |(name, value): (&str, OsString)| (OsString::from(name), value);
    let variables = defaults.map(owned).into_iter().chain(env::vars_os()).chain(own.map(owned));
    Ok(Config::from_vars(variables)?)
}

fn variable(wanted: &str) -> Option<OsString> {
    env::vars_os().find_map(|(name, value)| (name == wanted && !value.is_empty()).then_some(value))
}

/// Colours are left out if standard output is no terminal, or if `NO_COLOR` is set.
fn print(text: &str) {
    let mut stdout = anstream::stdout().lock();
    // A reader that is gone is no reason to stop the server.
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
