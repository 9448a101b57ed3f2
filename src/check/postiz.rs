//! Postiz: whether it answers, and whether client ID, callback and client secret are right.

use crate::check::report::Finding;
use crate::config::{Audience, BaseUrl, Config};
use crate::postiz::{ExchangeError, FrontEnd, NoAnswer, Postiz, Registered, SecretVerdict};

const API: &str = "postiz.api";
const CLIENT: &str = "postiz.client_id";
const CALLBACK: &str = "postiz.callback";
const SECRET: &str = "postiz.client_secret";
const FRONT_END: &str = "postiz.front_end";
const PUBLIC_API: &str = "postiz.public_api";

pub(super) struct Answers {
    registered: Result<Registered, NoAnswer>,
    accepts_secret: Result<SecretVerdict, ExchangeError>,
    front_end: Result<FrontEnd, NoAnswer>,
    own_address: Option<BaseUrl>,
}

pub(super) async fn ask(postiz: &Postiz) -> Answers {
    let (registered, accepts_secret, front_end, own_address) =
        tokio::join!(postiz.registered(), postiz.judge_secret(), postiz.front_end(), postiz.own_address());
    Answers { registered, accepts_secret, front_end, own_address }
}

pub(super) fn findings(config: &Config, answers: &Answers) -> Vec<Finding> {
    let mut findings = vec![api(config, answers)];
    findings.extend(match &answers.registered {
        Ok(registered) => vec![client(config, registered), callback(config, registered), secret(answers)],
        Err(_) => [CLIENT, CALLBACK, SECRET].map(|check| Finding::skipped(check, "Postiz has to answer first.")).into(),
    });
    findings.push(front_end(config, answers));
    findings.push(public_api(config));
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
        Registered::NoApp if !id.starts_with("pca_") && !id.starts_with("pcd_") => Finding::fail(
            CLIENT,
            "POSTIZ_OAUTH_CLIENT_ID does not begin with pca_ or pcd_, as Postiz's client IDs do.",
            "Postiz has a variable of the same name for its own sign-in, with another provider's client ID.",
            "Don't share Postiz's environment. Copy the client ID from Postiz, Settings → Developers.",
        ),
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
        // Postiz has compared ours with all that a pcd_ client registered, and shows the first of them. Of an app that was
        // made by hand it compares nothing.
        Registered::App { callback } if *callback == ours.as_str() || config.client_id.starts_with("pcd_") => {
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
        Ok(SecretVerdict::Ignored) => {
            Finding::skipped(SECRET, "Postiz takes any: it is a public client, which needs no secret.")
        }
        Ok(SecretVerdict::Right) => Finding::ok(SECRET, "Postiz accepts it."),
        Ok(SecretVerdict::Wrong) => Finding::fail(
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
    let blocked = "The button of the page leads nowhere in Chromium, whose form-action takes only POSTIZ_FRONTEND_URL, and \
                   Postiz's own page refuses requests from another address.";
    if let Some(own) = answers.own_address.as_ref().filter(|own| *own != at) {
        return Finding::fail(
            FRONT_END,
            format!("POSTIZ_FRONTEND_URL is {at}, but Postiz calls itself {own}."),
            blocked,
            format!("Set POSTIZ_FRONTEND_URL={own}, or FRONTEND_URL at Postiz to {at}."),
        );
    }
    match &answers.front_end {
        Ok(FrontEnd::Elsewhere(origin)) => Finding::fail(
            FRONT_END,
            format!("POSTIZ_FRONTEND_URL ({at}) redirects to {origin}."),
            blocked,
            format!("Set POSTIZ_FRONTEND_URL to the address of Postiz at {origin}."),
        ),
        Ok(FrontEnd::Here(status)) if !status.is_server_error() => Finding::ok(FRONT_END, format!("{at} answers.")),
        Ok(FrontEnd::Here(status)) => Finding::warn(
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

fn public_api(config: &Config) -> Finding {
    let at = config.public_api_url();
    let knows = match at.audience() {
        Audience::Machine => "this machine",
        Audience::Network => "this network",
        Audience::Everyone => return Finding::ok(PUBLIC_API, format!("Terminals send their requests to {at}.")),
    };
    if at.audience() == config.server_url.audience() {
        return Finding::ok(PUBLIC_API, format!("Terminals send their requests to {at}, on {knows}."));
    }
    Finding::warn(
        PUBLIC_API,
        format!("Terminals are told to send their requests to {at}, which only {knows} knows."),
        "A terminal elsewhere signs in, and then reaches nothing.",
        "Set POSTIZ_PUBLIC_API_URL to the address of Postiz's API for everyone, such as https://postiz.example.com/api.",
    )
}
