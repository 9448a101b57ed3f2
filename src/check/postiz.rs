//! Postiz: whether it answers, and whether people can approve there: under an app, or under clients that it registers.

use std::time::Duration;

use tokio::time::timeout;

use crate::check::report::Finding;
use crate::config::{Audience, Config};
use crate::outbound::NoAnswer;
use crate::postiz::{DiscoveryError, Endpoints, Postiz, Reason};

const API: &str = "postiz.api";
const CLIENT: &str = "postiz.client";
const FRONT_END: &str = "postiz.front_end";
const PUBLIC_API: &str = "postiz.public_api";

/// The name of the client that is registered to see whether Postiz allows it.
const PROBE_NAME: &str = "postiz-auth-server check (never used)";
/// For each question; two follow each other.
const TIMEOUT: Duration = Duration::from_secs(6);
const LOOK: &str =
    "Look at Postiz's log, and at DNS, firewalls and proxies in between, which have to pass all paths of the API on.";

/// `registers` allows to register a client at Postiz.
pub(super) async fn findings(config: &Config, postiz: &Postiz, registers: bool) -> Vec<Finding> {
    let discovered = timeout(TIMEOUT, postiz.discover()).await.unwrap_or(Err(NoAnswer::Slow.into()));
    let client = match (&config.app, &discovered) {
        (Some((client_id, _)), _) => app(config, postiz, client_id).await,
        (None, Err(DiscoveryError::NoAnswer(no_answer))) => Err(no_answer.clone()),
        (None, Err(DiscoveryError::Unusable(why))) => {
            Ok(Finding::fail(CLIENT, format!("Postiz can't be used without an app: {why}."), postiz.fix()))
        }
        (None, Ok(_)) if registers => Ok(registration(config, postiz).await),
        (None, Ok(_)) => Ok(Finding::ok(CLIENT, "Postiz says that it registers clients.")),
    };
    // All that follows depends on an answer.
    let mut findings = match client {
        Ok(client) => vec![Finding::ok(API, format!("{} answers.", config.api_url)), client],
        Err(no_answer) => vec![api(config, &no_answer)],
    };
    findings.extend(front_end(postiz, &discovered));
    findings.push(public_api(config));
    findings
}

fn api(config: &Config, no_answer: &NoAnswer) -> Finding {
    let fix = match no_answer {
        NoAnswer::Odd { status, .. } if !status.is_server_error() => {
            "A self-hosted Postiz has its API at https://your-host/api, with nothing after it; Postiz's own is \
             https://api.postiz.com. Exempt that address from redirects, passwords and Cloudflare's challenges: neither this \
             server nor a terminal can answer them."
        }
        _ => LOOK,
    };
    Finding::fail(API, format!("POSTIZ_API_URL ({}) {no_answer}.", config.api_url), fix)
}

/// Whether the app at Postiz is the one in the configuration.
async fn app(config: &Config, postiz: &Postiz, client_id: &str) -> Result<Finding, NoAnswer> {
    let ours = config.callback_url();
    let (registered, secret) =
        tokio::join!(timeout(TIMEOUT, postiz.registered(client_id)), timeout(TIMEOUT, postiz.try_secret()));
    let secret = secret.unwrap_or(Err(NoAnswer::Slow.into()));
    let what = match (registered.unwrap_or(Err(NoAnswer::Slow))?, secret) {
        (None, _) => format!("Postiz knows no app with POSTIZ_OAUTH_CLIENT_ID and the redirect URL {ours}."),
        // Postiz has compared ours with all that a pcd_ client registered, and shows the first of them. Of an app that was
        // made by hand it compares nothing.
        (Some(registered), _) if registered != ours.as_str() && !client_id.starts_with("pcd_") => {
            format!("The app's redirect URL at Postiz is {registered}, and not {ours}.")
        }
        (Some(_), Err(failure)) if failure.reason != Reason::ClientRefused => {
            let what = format!("The client secret could not be tried: {failure}.");
            return Ok(Finding::fail(CLIENT, what, LOOK));
        }
        (Some(_), Err(failure)) => format!("POSTIZ_OAUTH_CLIENT_SECRET can't be used: {failure}."),
        (Some(_), Ok(())) => return Ok(Finding::ok(CLIENT, format!("Postiz knows the app, its secret and {ours}."))),
    };
    let fix = format!(
        "At Postiz, Developers → Apps, set the app's redirect URL to {ours}, and copy its client ID and its secret, or a new one \
         if it is lost. Don't share Postiz's environment: it has variables of the same names for its own sign-in."
    );
    Ok(Finding::fail(CLIENT, what, fix))
}

/// Whether Postiz registers a client for this server's callback.
async fn registration(config: &Config, postiz: &Postiz) -> Finding {
    let callback = config.callback_url();
    match postiz.try_register(PROBE_NAME).await {
        Ok(client) => {
            let what = format!(
                "Postiz registers clients for {callback}. It deletes {}, a trial, after 30 days.",
                client.as_str()
            );
            Finding::ok(CLIENT, what)
        }
        Err(failure) => {
            let what = format!("Postiz registered no client for {callback}: {failure}.");
            let is_refused = failure.reason == Reason::RegistrationRefused;
            Finding::fail(CLIENT, what, if is_refused { postiz.fix() } else { LOOK.to_owned() })
        }
    }
}

/// `None` if something else has to be fixed first.
fn front_end(postiz: &Postiz, discovered: &Result<Endpoints, DiscoveryError>) -> Option<Finding> {
    let endpoints = match discovered {
        Ok(endpoints) => endpoints,
        Err(DiscoveryError::Unusable(why)) if !postiz.registers() => {
            return Some(Finding::fail(FRONT_END, format!("Nothing says where people approve: {why}."), postiz.fix()));
        }
        Err(_) => return None,
    };
    let at = endpoints.front_end();
    let Some(own) = endpoints.published_front_end().filter(|own| *own != at) else {
        return Some(Finding::ok(FRONT_END, format!("People approve at {at}.")));
    };
    let what = format!(
        "POSTIZ_FRONTEND_URL is {at}, but Postiz calls itself {own}. Chromium blocks the way there (form-action), and Postiz's \
         page refuses requests."
    );
    let fix = format!("Set POSTIZ_FRONTEND_URL={own}, or FRONTEND_URL at Postiz to {at}.");
    Some(Finding::fail(FRONT_END, what, fix))
}

fn public_api(config: &Config) -> Finding {
    let at = config.public_api_url();
    if at.audience() == Audience::Everyone || at.audience() == config.server_url.audience() {
        return Finding::ok(PUBLIC_API, format!("Terminals send their requests to {at}."));
    }
    let what = format!("Terminals get {at} as the address of the API, which only this machine or network knows.");
    let fix = "Set POSTIZ_PUBLIC_API_URL to the API's address for everyone, such as https://postiz.example.com/api.";
    Finding::warn(PUBLIC_API, what, fix)
}
