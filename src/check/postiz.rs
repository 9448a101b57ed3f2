//! Postiz: whether it answers, and whether people can approve there: under an app, or under clients that it registers.

use std::time::Duration;

use tokio::time::timeout;
use url::Url;

use crate::check::report::{Check, Finding};
use crate::config::{Audience, BaseUrl, Config, PostizApp};
use crate::outbound::{NoAnswer, OddAnswer};
use crate::postiz::{DiscoveryError, Endpoints, Failure, Postiz, Reason, Registered, SecretVerdict, Unusable};

const API: Check =
    Check::new("postiz.api", "This server gets each token there, and terminals send their requests to it.");
const REGISTRATION: Check =
    Check::new("postiz.registration", "Without an app, the server registers a client at Postiz for each login.");
const CLIENT: Check =
    Check::new("postiz.client_id", "People see an error at Postiz instead of the question whether to allow access.");
const CALLBACK: Check =
    Check::new("postiz.callback", "After the approval, Postiz would send people elsewhere, and no login would finish.");
const SECRET: Check = Check::new("postiz.client_secret", "People could approve, but no terminal would get its token.");
const FRONT_END: Check = Check::new(
    "postiz.front_end",
    "People are sent there to approve, also if this machine does not reach it. At another address than Postiz's own, the button of \
     the page leads nowhere in Chromium (form-action), and Postiz's page refuses requests.",
);
const PUBLIC_API: Check = Check::new("postiz.public_api", "A terminal elsewhere signs in, and then reaches nothing.");

/// The name of the client that is registered to see whether Postiz allows it.
const PROBE_NAME: &str = "postiz-auth-server check (never used)";
/// Of each question; two follow each other.
const TIMEOUT: Duration = Duration::from_secs(6);
const LOOK: &str = "Look at Postiz's log and at the proxy in front of it.";

/// Whether to register a client at Postiz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    Register,
    OnlyLook,
}

pub(super) async fn findings(postiz: &Postiz, config: &Config, probe: Probe) -> Vec<Finding> {
    // From the configuration if it says enough, otherwise from the metadata.
    let endpoints = match postiz.endpoints() {
        Some(endpoints) => Ok(endpoints),
        None => timeout(TIMEOUT, postiz.discover()).await.unwrap_or(Err(DiscoveryError::NoAnswer(NoAnswer::Slow))),
    };
    let client = async {
        match (config.postiz_app(), &endpoints) {
            (PostizApp::ByHand { client_id, .. }, _) => app(postiz, config, client_id).await,
            (PostizApp::Registered, Err(DiscoveryError::NoAnswer(no_answer))) => Err(no_answer.clone()),
            (PostizApp::Registered, Err(DiscoveryError::Unusable(unusable))) => Ok(vec![
                REGISTRATION.fail(format!("Postiz can't be used without an app: {unusable}."), postiz.fix(unusable)),
            ]),
            (PostizApp::Registered, Ok(endpoints)) => Ok(vec![registration(postiz, config, endpoints, probe).await]),
        }
    };
    let (client, front_end) = tokio::join!(client, front_end(postiz, &endpoints));
    // All that follows depends on an answer.
    let findings = match client {
        Ok(findings) => [vec![API.ok(format!("{} answers.", config.api_url))], findings].concat(),
        Err(no_answer) => vec![api(&config.api_url, &no_answer)],
    };
    findings.into_iter().chain(front_end).chain([public_api(config)]).collect()
}

async fn app(postiz: &Postiz, config: &Config, client_id: &str) -> Result<Vec<Finding>, NoAnswer> {
    let (registered, secret) =
        tokio::join!(timeout(TIMEOUT, postiz.registered(client_id)), timeout(TIMEOUT, postiz.judge_secret()));
    let registered = registered.unwrap_or(Err(NoAnswer::Slow))?;
    if registered == Registered::NoApp {
        return Ok(vec![no_app(client_id)]);
    }
    let known = CLIENT.ok(format!("Postiz knows {client_id}."));
    let secret = secret.unwrap_or_else(|_| Err(NoAnswer::Slow.into()));
    Ok(vec![known, callback(config, client_id, &registered), client_secret(secret)])
}

/// Whether Postiz registers a client for this server's callback.
async fn registration(postiz: &Postiz, config: &Config, endpoints: &Endpoints, probe: Probe) -> Finding {
    let callback = config.callback_url();
    if probe == Probe::OnlyLook {
        return REGISTRATION.ok("Postiz says that it registers clients.");
    }
    match postiz.try_register(endpoints, PROBE_NAME).await {
        Ok(client) => REGISTRATION.ok(format!(
            "Postiz registers clients for {callback}. It deletes {}, a trial, after 30 days.",
            client.as_str()
        )),
        Err(Failure { reason: Reason::RegistrationRefused, cause }) => REGISTRATION
            .fail(format!("Postiz refuses to register a client for {callback}: {cause}."), postiz.registration_fix()),
        Err(Failure { cause, .. }) => REGISTRATION.fail(
            format!("Postiz registered no client: {cause}."),
            format!("{LOOK} It has to pass requests to /oauth/register on."),
        ),
    }
}

fn api(at: &BaseUrl, no_answer: &NoAnswer) -> Finding {
    let fix = match no_answer {
        NoAnswer::Unreachable(_) => {
            "Set POSTIZ_API_URL to an address that works from this machine; check DNS, firewalls and HTTPS_PROXY."
                .to_owned()
        }
        NoAnswer::Slow | NoAnswer::Broken { .. } => LOOK.to_owned(),
        NoAnswer::Odd(odd) => not_the_api(at, odd),
    };
    API.fail(format!("POSTIZ_API_URL ({at}) {no_answer}."), fix)
}

/// What to do about an answer that is not the API's: it tells whose it is.
fn not_the_api(at: &BaseUrl, odd: &OddAnswer) -> String {
    let exempt = "Exempt the API's address from it: neither this server nor a terminal can answer that.";
    let to = |location: &str| at.join("").join(location).ok().filter(|to| to.origin() != at.join("").origin());
    match &odd.header {
        Some(("cf-mitigated", _)) => format!("Cloudflare asks for a challenge that only browsers pass. {exempt}"),
        Some(("www-authenticate", _)) => format!("A proxy in front of Postiz asks for a password. {exempt}"),
        Some(("location", location)) if odd.status.is_redirection() && to(location).is_some() => {
            let origin = to(location).map(|to: Url| to.origin().ascii_serialization()).unwrap_or_default();
            format!("Set POSTIZ_API_URL to the address of Postiz's API at {origin}.")
        }
        _ if odd.status.is_server_error() => LOOK.to_owned(),
        _ => "A self-hosted Postiz has its API at https://your-host/api, with nothing after it; Postiz's own is \
              https://api.postiz.com."
            .to_owned(),
    }
}

fn no_app(id: &str) -> Finding {
    if id.starts_with("pca_") || id.starts_with("pcd_") {
        CLIENT.fail(
            format!("Postiz knows no app with the client ID {id}."),
            "Copy POSTIZ_OAUTH_CLIENT_ID from Postiz, Developers → Apps; it belongs to the Postiz at POSTIZ_API_URL.",
        )
    } else {
        CLIENT.fail(
            "POSTIZ_OAUTH_CLIENT_ID does not begin with pca_ or pcd_, as Postiz's client IDs do. Postiz has a variable of the same \
             name for its own sign-in, with another provider's client ID.",
            "Don't share Postiz's environment. Copy the client ID from Postiz, Developers → Apps.",
        )
    }
}

fn callback(config: &Config, id: &str, registered: &Registered) -> Finding {
    let ours = config.callback_url();
    let found = match registered {
        // Postiz has compared ours with all that a pcd_ client registered, and shows the first of them. Of an app that was
        // made by hand it compares nothing.
        Registered::App { callback } if *callback == ours.as_str() || id.starts_with("pcd_") => {
            return CALLBACK.ok(format!("{ours} is registered."));
        }
        Registered::App { callback } => {
            format!("The callback registered at Postiz is {callback}; this server's is {ours}.")
        }
        Registered::OtherCallback | Registered::NoApp => format!("Postiz refuses the callback {ours} for this app."),
    };
    let fix = format!(
        "At Postiz, Developers → Apps, set the app's redirect URL to {ours}; or set SERVER_URL to the registered one, without \
         /device/callback."
    );
    CALLBACK.fail(found, fix)
}

fn client_secret(answer: Result<SecretVerdict, Failure>) -> Finding {
    match answer {
        Ok(SecretVerdict::Ignored) => SECRET.skipped("Postiz takes any: it is a public client, which needs no secret."),
        Ok(SecretVerdict::Right) => SECRET.ok("Postiz accepts it."),
        Ok(SecretVerdict::Wrong) => SECRET.fail(
            "Postiz refuses POSTIZ_OAUTH_CLIENT_SECRET.",
            "Copy the secret from Postiz, Developers → Apps; it is shown once, so make a new one if it is lost.",
        ),
        Err(Failure { cause, .. }) => SECRET.fail(
            format!("Postiz did not say whether the client secret is right: {cause}."),
            format!("{LOOK} It has to pass requests to /oauth/token on."),
        ),
    }
}

/// `None` if something else has to be fixed first.
async fn front_end(postiz: &Postiz, endpoints: &Result<Endpoints, DiscoveryError>) -> Option<Finding> {
    let endpoints = match endpoints {
        Ok(endpoints) => endpoints,
        Err(DiscoveryError::NoAnswer(_) | DiscoveryError::Unusable(Unusable::NoRegistration)) => return None,
        Err(DiscoveryError::Unusable(unusable)) => {
            let found = format!("The address of Postiz in a browser is not known: {unusable}.");
            return Some(FRONT_END.fail(found, "Set POSTIZ_FRONTEND_URL to it."));
        }
    };
    let (elsewhere, published) =
        tokio::join!(timeout(TIMEOUT, postiz.leads_elsewhere(endpoints)), timeout(TIMEOUT, postiz.published()));
    let own = published.ok().flatten();
    Some(front_end_found(endpoints, own.as_ref(), &elsewhere.unwrap_or(Err(NoAnswer::Slow))))
}

/// `published` is what Postiz's metadata says; its path counts, too.
fn front_end_found(
    used: &Endpoints,
    published: Option<&Endpoints>,
    elsewhere: &Result<Option<String>, NoAnswer>,
) -> Finding {
    let at = used.front_end();
    match (published.map(Endpoints::front_end), elsewhere) {
        (Some(own), _) if own != at => FRONT_END.fail(
            format!("POSTIZ_FRONTEND_URL is {at}, but Postiz calls itself {own}."),
            format!("Set POSTIZ_FRONTEND_URL={own}, or FRONTEND_URL at Postiz to {at}."),
        ),
        (_, Ok(Some(origin))) => FRONT_END.fail(
            format!("POSTIZ_FRONTEND_URL ({at}) redirects to {origin}."),
            format!("Set POSTIZ_FRONTEND_URL to the address of Postiz at {origin}."),
        ),
        (_, Ok(None)) => FRONT_END.ok(format!("{at} answers.")),
        (_, Err(no_answer)) => FRONT_END.warn(
            format!("From here, POSTIZ_FRONTEND_URL ({at}) {no_answer}."),
            "Open it in a browser; set POSTIZ_FRONTEND_URL to the address of Postiz.",
        ),
    }
}

fn public_api(config: &Config) -> Finding {
    let at = config.public_api_url();
    if at.audience() == Audience::Everyone || at.audience() == config.server_url.audience() {
        return PUBLIC_API.ok(format!("Terminals send their requests to {at}."));
    }
    let knows = if at.audience() == Audience::Machine { "this machine" } else { "this network" };
    PUBLIC_API.warn(
        format!("Terminals get {at} as the address of the API, which only {knows} knows."),
        "Set POSTIZ_PUBLIC_API_URL to the address of Postiz's API for everyone, such as https://postiz.example.com/api.",
    )
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    #[test]
    fn an_answer_that_is_not_the_apis_leads_to_the_fix_for_it() {
        let at: BaseUrl = "http://postiz.example.com".parse().unwrap();
        for (status, header, words) in [
            (404, None, "https://your-host/api, with nothing after it"),
            (200, None, "https://your-host/api"),
            (307, Some(("location", "/auth")), "https://your-host/api"),
            (301, Some(("location", "https://postiz.example.com/x")), "API at https://postiz.example.com."),
            (403, Some(("cf-mitigated", "challenge")), "Cloudflare"),
            (401, Some(("www-authenticate", "Basic")), "asks for a password"),
            (502, None, "Postiz's log"),
        ] {
            let header = header.map(|(name, value)| (name, value.to_owned()));
            let odd = OddAnswer { status: StatusCode::from_u16(status).unwrap(), header };
            let fix = not_the_api(&at, &odd);
            assert!(fix.contains(words), "{odd}: {fix}");
        }
    }
}
