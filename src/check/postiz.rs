//! Postiz: whether it answers, and whether client ID, callback and client secret are right.

use http::StatusCode;

use crate::check::report::Finding;
use crate::config::Config;
use crate::postiz::{ExchangeError, NoAnswer, Postiz, Registered};

const API: &str = "postiz.api";
const CLIENT: &str = "postiz.client_id";
const CALLBACK: &str = "postiz.callback";
const SECRET: &str = "postiz.client_secret";
const FRONT_END: &str = "postiz.front_end";

pub(super) struct Answers {
    registered: Result<Registered, NoAnswer>,
    accepts_secret: Result<bool, ExchangeError>,
    front_end: Result<StatusCode, NoAnswer>,
}

pub(super) async fn ask(postiz: &Postiz) -> Answers {
    let (registered, accepts_secret, front_end) =
        tokio::join!(postiz.registered(), postiz.accepts_secret(), postiz.front_end());
    Answers { registered, accepts_secret, front_end }
}

pub(super) fn findings(config: &Config, answers: &Answers) -> Vec<Finding> {
    let mut findings = vec![api(config, answers)];
    findings.extend(match &answers.registered {
        Ok(registered) => vec![client(config, registered), callback(config, registered), secret(answers)],
        Err(_) => [CLIENT, CALLBACK, SECRET].map(|check| Finding::skipped(check, "Postiz has to answer first.")).into(),
    });
    findings.push(front_end(config, answers));
    findings
}

fn api(config: &Config, answers: &Answers) -> Finding {
    let at = &config.api_url;
    let why = "This server gets each token there, and terminals send their requests to it.";
    match &answers.registered {
        Ok(_) => Finding::ok(API, format!("{at} answers.")),
        Err(NoAnswer::Unreachable(cause)) => Finding::fail(
            API,
            format!("POSTIZ_API_URL ({at}) can't be reached: {cause}."),
            why,
            "Set POSTIZ_API_URL to an address that works from this machine; check DNS, firewalls and HTTPS_PROXY.",
        ),
        Err(NoAnswer::NotTheApi(status)) => Finding::fail(
            API,
            format!("POSTIZ_API_URL ({at}) answers with status {status}, which Postiz's API never does here."),
            why,
            "A self-hosted Postiz has its API at https://your-host/api; Postiz's own is https://api.postiz.com.",
        ),
        Err(NoAnswer::Failed(status)) => Finding::fail(
            API,
            format!("POSTIZ_API_URL ({at}) fails with status {status}."),
            why,
            "Look at Postiz's log and at the proxy in front of it.",
        ),
    }
}

fn client(config: &Config, registered: &Registered) -> Finding {
    let id = &config.client_id;
    match registered {
        Registered::App { .. } | Registered::OtherCallback => Finding::ok(CLIENT, format!("Postiz knows {id}.")),
        Registered::NoApp => Finding::fail(
            CLIENT,
            format!("Postiz knows no app with the client ID {id}."),
            "People see an error at Postiz instead of the question whether to allow access.",
            "Copy POSTIZ_OAUTH_CLIENT_ID from Postiz, Settings → Developers; it belongs to the Postiz at POSTIZ_API_URL.",
        ),
    }
}

fn callback(config: &Config, registered: &Registered) -> Finding {
    let ours = config.callback_url();
    let found = match registered {
        Registered::NoApp => return Finding::skipped(CALLBACK, "The client ID has to be right first."),
        Registered::App { callback } if *callback == ours.as_str() => {
            return Finding::ok(CALLBACK, format!("{ours} is registered."));
        }
        Registered::App { callback } => {
            format!("The callback registered at Postiz is {callback}; this server's is {ours}.")
        }
        Registered::OtherCallback => format!("Postiz refuses the callback {ours} for this app."),
    };
    Finding::fail(
        CALLBACK,
        found,
        "After the approval, Postiz would send people elsewhere, and no login would finish.",
        format!(
            "At Postiz, Settings → Developers, set the app's redirect URL to {ours}; or set SERVER_URL to the \
             registered one, without /device/callback."
        ),
    )
}

fn secret(answers: &Answers) -> Finding {
    if answers.registered == Ok(Registered::NoApp) {
        return Finding::skipped(SECRET, "The client ID has to be right first.");
    }
    match &answers.accepts_secret {
        Ok(true) => Finding::ok(SECRET, "Postiz accepts it."),
        Ok(false) => Finding::fail(
            SECRET,
            "Postiz refuses POSTIZ_OAUTH_CLIENT_SECRET.",
            "People could approve, but no terminal would get its token.",
            "Copy the secret from Postiz, Settings → Developers; it is shown once, so make a new one if it is lost.",
        ),
        Err(failure) => Finding::fail(
            SECRET,
            format!("Postiz did not say whether the client secret is right: {failure}."),
            "Tokens come from the same endpoint.",
            "Look at Postiz's log and at the proxy in front of it; it has to pass requests to /oauth/token on.",
        ),
    }
}

fn front_end(config: &Config, answers: &Answers) -> Finding {
    let at = &config.frontend_url;
    let why = "People are sent there to approve. Their browsers may reach it even if this machine does not.";
    match &answers.front_end {
        Ok(status) if !status.is_server_error() => Finding::ok(FRONT_END, format!("{at} answers.")),
        Ok(status) => Finding::warn(
            FRONT_END,
            format!("POSTIZ_FRONTEND_URL ({at}) fails with status {status}."),
            why,
            "Open it in a browser.",
        ),
        Err(NoAnswer::Unreachable(cause)) => Finding::warn(
            FRONT_END,
            format!("POSTIZ_FRONTEND_URL ({at}) can't be reached from here: {cause}."),
            why,
            "Open it in a browser; set POSTIZ_FRONTEND_URL to the address of Postiz.",
        ),
        Err(NoAnswer::NotTheApi(status) | NoAnswer::Failed(status)) => {
            Finding::warn(FRONT_END, format!("{at} answers with {status}."), why, "Open it in a browser.")
        }
    }
}
