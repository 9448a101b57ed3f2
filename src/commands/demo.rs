//! `demo`: a whole login on one machine, without Docker, Postgres to set up, or a Postiz account.

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::ExitCode;

use tokio::sync::mpsc::{self, UnboundedReceiver};

use crate::app::{App, Running, listen};
use crate::commands::{complain, say, signals};
use crate::config::Config;
use crate::demo::{Event, Postgres, RegisteredApp, StandIn};
use crate::secret::Secret;
use crate::telemetry::{self, Telemetry};

const USAGE: &str = "\
Usage: postiz-auth-server demo [--postiz-listen ADDRESS:PORT]

The stand-in for Postiz listens on ADDRESS:PORT, or on a free port of this machine. The server takes
PORT, or another one where that is taken; with DATABASE_URL set, it uses that database.
";

/// Runs until Ctrl-C.
pub async fn run(arguments: &[String]) -> ExitCode {
    let postiz_listen = match arguments {
        [] => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        [option, address] if option == "--postiz-listen" => address.parse().ok(),
        _ => None,
    };
    let Some(postiz_listen) = postiz_listen else {
        complain(USAGE);
        return ExitCode::from(2);
    };
    match start(postiz_listen).await {
        Ok(demo) => demo.run().await,
        Err(error) => {
            complain(&format!("The demo can't start: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

struct Demo {
    // Dropped in this order: the server first, its database last.
    running: Running,
    _postiz: StandIn,
    events: UnboundedReceiver<Event>,
    _postgres: Option<Postgres>,
    _telemetry: Telemetry,
    url: String,
}

async fn start(postiz_listen: SocketAddr) -> Result<Demo, Box<dyn std::error::Error>> {
    say("Starting a stand-in for Postiz, the server, and PostgreSQL where none is given ...\n");
    let (postgres, database_url) = database().await?;
    let port = Config::port_from_env();
    let listener = listen(port).or_else(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            say(&format!("Port {port} is taken; using another one.\n"));
            listen(0)
        }
        _ => Err(error),
    })?;
    let url = format!("http://localhost:{}", listener.local_addr()?.port());
    let app = RegisteredApp {
        client_id: "pcd_demo".to_owned(),
        client_secret: Secret::random().to_base64url(),
        redirect_uri: format!("{url}/device/callback"),
    };
    let (sender, events) = mpsc::unbounded_channel();
    let postiz = StandIn::start(app.clone(), TcpListener::bind(postiz_listen)?, Some(sender))?;
    let variables = [
        ("DATABASE_URL", database_url),
        ("POSTIZ_OAUTH_CLIENT_ID", app.client_id.into()),
        ("POSTIZ_OAUTH_CLIENT_SECRET", app.client_secret.into()),
        ("SERVER_URL", url.clone().into()),
        ("POSTIZ_FRONTEND_URL", postiz.frontend_url().into()),
        ("POSTIZ_API_URL", postiz.api_url().into()),
    ];
    let config = Config::from_vars(variables.map(|(name, value)| (OsString::from(name), value)))?;
    let telemetry = telemetry::init(&config);
    let running = App::start(&config, listener)?;
    Ok(Demo { _telemetry: telemetry, running, _postiz: postiz, events, _postgres: postgres, url })
}

async fn database() -> Result<(Option<Postgres>, OsString), Box<dyn std::error::Error>> {
    if let Some(given) = Config::database_url_from_env() {
        return Ok((None, given));
    }
    let postgres = tokio::task::spawn_blocking(|| Postgres::start(&[("fsync", "off")])).await??;
    let url = postgres.url("postgres").into();
    Ok((Some(postgres), url))
}

impl Demo {
    async fn run(mut self) -> ExitCode {
        say(&format!(
            "\nReady. In another terminal:\n\n\
             \x20   POSTIZ_AUTH_SERVER={0} npx postiz auth:login\n\
             \x20   npx postiz auth:status\n\n\
             The first opens {0}/device/verify in your browser. Each step shows up below; Ctrl-C ends the demo.\n\n",
            self.url
        ));
        let stop = signals::stop_signal();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(event) = self.events.recv() => {
                    say(&format!("  Postiz: {}\n", sentence(event)));
                }
            }
        }
        say("\nEnding the demo ...\n");
        self.running.stop().await;
        ExitCode::SUCCESS
    }
}

fn sentence(event: Event) -> &'static str {
    match event {
        Event::ConsentShown => "the consent page is shown",
        Event::Approved => "the person pressed Authorize; their older token works no more",
        Event::Denied => "the person pressed Deny",
        Event::Exchanged => "the server exchanged the code for a token",
        Event::ExchangeRefused => "an exchange was refused",
        Event::TokenUsed => "the CLI used its token",
    }
}
