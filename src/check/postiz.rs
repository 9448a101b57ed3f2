//! Postiz: reached, the client known, its callback ours, its secret right.

use http::StatusCode;

use crate::check::report::Finding;
use crate::config::Config;
use crate::postiz::{ExchangeError, NoAnswer, Postiz, Registered};

const API: &str = "postiz.api";
const CLIENT: &str = "postiz.client_id";
const CALLBACK: &str = "postiz.callback";
const SECRET: &str = "postiz.client_secret";
const FRONT_END: &str = "postiz.front_end";

/// What Postiz was asked, and what it answered.
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

/// What was found, in sentences.
pub(super) fn findings(config: &Config, answers: &Answers) -> Vec<Finding> {
    let mut findings = vec![api(config, answers)];
    findings.extend(match &answers.registered {
        Ok(registered) => vec![client(config, registered), callback(config, registered), secret(answers)],
        Err(_) => [CLIENT, CALLBACK, SECRET].map(|check| Finding::unknown(check, "Postiz has to answer first.")).into(),
    });
    findings.push(front_end(config, answers));
    findings
}

fn api(config: &Config, answers: &Answers) -> Finding {
    let at = &config.api_url;
    let why = "This server gets each token there, and terminals are told to use it.";
    match &answers.registered {
        Ok(_) => Finding::right(API, format!("{at} answers.")),
        Err(NoAnswer::Unreachable(cause)) => Finding::wrong(
            API,
            format!("POSTIZ_API_URL ({at}) can't be reached: {cause}."),
            why,
            "Set POSTIZ_API_URL to an address that works from this machine; look at DNS, firewalls and HTTPS_PROXY.",
        ),
        Err(NoAnswer::NotTheApi(status)) => Finding::wrong(
            API,
            format!("POSTIZ_API_URL ({at}) answers with status {status}, as Postiz's API does not."),
            why,
            "A self-hosted Postiz has its API at https://your-host/api; Postiz's own is https://api.postiz.com.",
        ),
        Err(NoAnswer::Failed(status)) => Finding::wrong(
            API,
            format!("POSTIZ_API_URL ({at}) fails with status {status}."),
            why,
            "Look at Postiz and at the proxy in front of it.",
        ),
    }
}

fn client(config: &Config, registered: &Registered) -> Finding {
    let id = &config.client_id;
    match registered {
        Registered::App { .. } | Registered::OtherCallback => Finding::right(CLIENT, format!("Postiz knows {id}.")),
        Registered::NoApp => Finding::wrong(
            CLIENT,
            format!("Postiz knows no app with the client id {id}."),
            "People see an error at Postiz in place of the question.",
            "Copy POSTIZ_OAUTH_CLIENT_ID from Postiz, Settings → Developers; it belongs to the Postiz at POSTIZ_API_URL.",
        ),
    }
}

fn callback(config: &Config, registered: &Registered) -> Finding {
    let ours = config.callback_url();
    let found = match registered {
        Registered::NoApp => return Finding::unknown(CALLBACK, "The client id has to be right first."),
        Registered::App { callback } if *callback == ours.as_str() => {
            return Finding::right(CALLBACK, format!("{ours} is registered."));
        }
        Registered::App { callback } => format!("Registered at Postiz is the callback {callback}, and ours is {ours}."),
        Registered::OtherCallback => format!("Postiz does not take our callback, {ours}, for this app."),
    };
    Finding::wrong(
        CALLBACK,
        found,
        "After their approval Postiz would send people elsewhere, and no login would end.",
        format!(
            "At Postiz, Settings → Developers, set the app's redirect URL to {ours}; or set SERVER_URL to what is \
             registered, without /device/callback."
        ),
    )
}

fn secret(answers: &Answers) -> Finding {
    if answers.registered == Ok(Registered::NoApp) {
        return Finding::unknown(SECRET, "The client id has to be right first.");
    }
    match &answers.accepts_secret {
        Ok(true) => Finding::right(SECRET, "Postiz takes it."),
        Ok(false) => Finding::wrong(
            SECRET,
            "Postiz refuses POSTIZ_OAUTH_CLIENT_SECRET.",
            "People could approve, and no terminal would get its token.",
            "Copy the secret from Postiz, Settings → Developers; it is shown once, so make a new one if it is lost.",
        ),
        Err(failure) => Finding::wrong(
            SECRET,
            format!("Whether Postiz takes the client secret can't be told: {failure}."),
            "Tokens are got at the same address.",
            "Look at Postiz and at the proxy in front of it; requests to /oauth/token have to get through.",
        ),
    }
}

fn front_end(config: &Config, answers: &Answers) -> Finding {
    let at = &config.frontend_url;
    let why = "People are sent there to approve. Their browsers may well reach what this machine does not.";
    match &answers.front_end {
        Ok(status) if !status.is_server_error() => Finding::right(FRONT_END, format!("{at} answers.")),
        Ok(status) => Finding::doubtful(
            FRONT_END,
            format!("POSTIZ_FRONTEND_URL ({at}) fails with status {status}."),
            why,
            "Open it in a browser.",
        ),
        Err(NoAnswer::Unreachable(cause)) => Finding::doubtful(
            FRONT_END,
            format!("POSTIZ_FRONTEND_URL ({at}) can't be reached from here: {cause}."),
            why,
            "Open it in a browser; set POSTIZ_FRONTEND_URL to where Postiz is.",
        ),
        Err(NoAnswer::NotTheApi(status) | NoAnswer::Failed(status)) => {
            Finding::doubtful(FRONT_END, format!("{at} answers with {status}."), why, "Open it in a browser.")
        }
    }
}
