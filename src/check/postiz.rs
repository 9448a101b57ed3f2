//! Postiz: whether it answers, and whether people can approve there: under an app, or under clients that it registers.

use crate::check::report::Finding;
use crate::config::{Audience, BaseUrl, Config, PostizApp};
use crate::grant::PostizClientId;
use crate::postiz::{
    DiscoveryError, Endpoints, FrontEnd, NoAnswer, Postiz, Reason, Registered, RegistrationError, SecretVerdict,
    Unusable,
};

const API: &str = "postiz.api";
const REGISTRATION: &str = "postiz.registration";
const CLIENT: &str = "postiz.client_id";
const CALLBACK: &str = "postiz.callback";
const SECRET: &str = "postiz.client_secret";
const FRONT_END: &str = "postiz.front_end";
const PUBLIC_API: &str = "postiz.public_api";

/// The name of the client that is registered to see whether Postiz allows it.
const PROBE_NAME: &str = "postiz-auth-server check (never used)";

/// Whether to register a client at Postiz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    Register,
    OnlyLook,
}

pub(super) struct Answers {
    client: ClientAnswers,
    front_end: Result<FrontEndAnswer, DiscoveryError>,
}

struct FrontEndAnswer {
    address: String,
    first_page: Result<FrontEnd, NoAnswer>,
    /// Its address by Postiz's metadata.
    own: Option<BaseUrl>,
}

/// The answers about the client under which people approve.
enum ClientAnswers {
    App {
        client_id: String,
        registered: Result<Registered, NoAnswer>,
        accepts_secret: Result<SecretVerdict, Reason>,
    },
    /// `probe` is the registered client; `None` if none was to be registered.
    Own {
        endpoints: Result<(), DiscoveryError>,
        probe: Option<Result<PostizClientId, RegistrationError>>,
        /// The steps, if Postiz registers no clients.
        fix: String,
    },
}

pub(super) async fn ask(postiz: &Postiz, config: &Config, probe: Probe) -> Answers {
    let endpoints = endpoints(postiz).await;
    let (client, front_end) =
        tokio::join!(client_answers(postiz, config, probe, &endpoints), front_end_answer(postiz, &endpoints));
    Answers { client, front_end }
}

/// From the configuration if it says enough, otherwise from the metadata.
async fn endpoints(postiz: &Postiz) -> Result<Endpoints, DiscoveryError> {
    match postiz.endpoints() {
        Some(endpoints) => Ok(endpoints),
        None => postiz.discover().await.map(|(endpoints, _)| endpoints),
    }
}

async fn client_answers(
    postiz: &Postiz,
    config: &Config,
    probe: Probe,
    endpoints: &Result<Endpoints, DiscoveryError>,
) -> ClientAnswers {
    match config.postiz_app() {
        PostizApp::ByHand { client_id, .. } => {
            let (registered, accepts_secret) = tokio::join!(postiz.registered(client_id), postiz.judge_secret());
            ClientAnswers::App { client_id: client_id.to_owned(), registered, accepts_secret }
        }
        PostizApp::Registered => {
            let client = match (endpoints, probe) {
                (Ok(endpoints), Probe::Register) => Some(postiz.register(endpoints, PROBE_NAME).await),
                (Ok(_), Probe::OnlyLook) | (Err(_), _) => None,
            };
            let fix = match endpoints {
                Err(DiscoveryError::Unusable(unusable)) => postiz.fix(unusable),
                Ok(_) | Err(DiscoveryError::NoAnswer(_)) => postiz.app_by_hand(),
            };
            ClientAnswers::Own { endpoints: endpoints.as_ref().map(|_| ()).map_err(Clone::clone), probe: client, fix }
        }
    }
}

async fn front_end_answer(
    postiz: &Postiz,
    endpoints: &Result<Endpoints, DiscoveryError>,
) -> Result<FrontEndAnswer, DiscoveryError> {
    let endpoints = endpoints.as_ref().map_err(Clone::clone)?;
    let (first_page, own) = tokio::join!(postiz.first_page(endpoints), postiz.own_front_end());
    Ok(FrontEndAnswer { address: endpoints.front_end(), first_page, own })
}

pub(super) fn findings(config: &Config, answers: &Answers) -> Vec<Finding> {
    let mut findings = match &answers.client {
        ClientAnswers::App { client_id, registered, accepts_secret } => {
            let mut findings = vec![api(config, registered.as_ref().err())];
            findings.extend(match registered {
                Ok(registered) => [
                    client(client_id, registered),
                    callback(config, client_id, registered),
                    secret(registered, *accepts_secret),
                ],
                Err(_) => {
                    [CLIENT, CALLBACK, SECRET].map(|check| Finding::skipped(check, "Postiz has to answer first."))
                }
            });
            findings
        }
        ClientAnswers::Own { endpoints, probe, fix } => {
            let no_answer = match endpoints {
                Err(DiscoveryError::NoAnswer(no_answer)) => Some(no_answer),
                Ok(()) | Err(DiscoveryError::Unusable(_)) => None,
            };
            vec![api(config, no_answer), registration(config, endpoints, probe.as_ref(), fix)]
        }
    };
    findings.push(front_end(answers));
    findings.push(public_api(config));
    findings
}

/// Whether Postiz registers a client for this server's callback.
fn registration(
    config: &Config,
    endpoints: &Result<(), DiscoveryError>,
    probe: Option<&Result<PostizClientId, RegistrationError>>,
    fix: &str,
) -> Finding {
    let callback = config.callback_url();
    let why = "Without an app, the server registers a client at Postiz for each login.";
    match (endpoints, probe) {
        (Err(DiscoveryError::NoAnswer(_)), _) => Finding::skipped(REGISTRATION, "Postiz has to answer first."),
        (Err(DiscoveryError::Unusable(unusable)), _) => {
            Finding::fail(REGISTRATION, format!("Postiz can't be used without an app: {unusable}."), why, fix)
        }
        (Ok(()), None) => Finding::ok(REGISTRATION, "Postiz says that it registers clients."),
        (Ok(()), Some(Ok(client))) => Finding::ok(
            REGISTRATION,
            format!("Postiz registers clients for {callback}. It deletes {client}, a trial, after 30 days."),
        ),
        (Ok(()), Some(Err(RegistrationError::Failed(Reason::RegistrationRefused)))) => Finding::fail(
            REGISTRATION,
            format!("Postiz refuses to register a client for {callback}."),
            why,
            format!("If Postiz sets DCR_VERIFIED_DOMAINS, add this server's host to it. Otherwise: {fix}"),
        ),
        (Ok(()), Some(Err(failure))) => Finding::fail(
            REGISTRATION,
            format!("Postiz registered no client: {failure}."),
            why,
            "Look at Postiz's log and at the proxy in front of it; the registration_endpoint of its OAuth metadata has to \
             be reachable from this machine.",
        ),
    }
}

fn api(config: &Config, no_answer: Option<&NoAnswer>) -> Finding {
    let at = &config.api_url;
    let why = "This server gets each token there, and terminals send their requests to it.";
    match no_answer {
        None => Finding::ok(API, format!("{at} answers.")),
        Some(NoAnswer::Unreachable(cause)) => Finding::fail(
            API,
            format!("POSTIZ_API_URL ({at}) can't be reached: {cause}."),
            why,
            "Set POSTIZ_API_URL to an address that works from this machine; check DNS, firewalls and HTTPS_PROXY.",
        ),
        Some(NoAnswer::NotTheApi(status)) => Finding::fail(
            API,
            format!("POSTIZ_API_URL ({at}) answers with status {status}, which Postiz's API never does here."),
            why,
            "A self-hosted Postiz has its API at https://your-host/api; Postiz's own is https://api.postiz.com.",
        ),
        Some(NoAnswer::Failed(status)) => Finding::fail(
            API,
            format!("POSTIZ_API_URL ({at}) fails with status {status}."),
            why,
            "Look at Postiz's log and at the proxy in front of it.",
        ),
    }
}

fn client(id: &str, registered: &Registered) -> Finding {
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

fn callback(config: &Config, id: &str, registered: &Registered) -> Finding {
    let ours = config.callback_url();
    let found = match registered {
        Registered::NoApp => return Finding::skipped(CALLBACK, "The client ID has to be right first."),
        // Postiz has compared ours with all that a pcd_ client registered, and shows the first of them. Of an app that was
        // made by hand it compares nothing.
        Registered::App { callback } if *callback == ours.as_str() || id.starts_with("pcd_") => {
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

fn secret(registered: &Registered, accepts_secret: Result<SecretVerdict, Reason>) -> Finding {
    if *registered == Registered::NoApp {
        return Finding::skipped(SECRET, "The client ID has to be right first.");
    }
    match accepts_secret {
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

fn front_end(answers: &Answers) -> Finding {
    let why = "People are sent there to approve. Their browsers may reach it even if this machine does not.";
    let FrontEndAnswer { address: at, first_page, own } = match &answers.front_end {
        Ok(answer) => answer,
        Err(DiscoveryError::NoAnswer(_)) => return Finding::skipped(FRONT_END, "Postiz has to answer first."),
        Err(DiscoveryError::Unusable(Unusable::NoRegistration)) => {
            return Finding::skipped(FRONT_END, "It is known once people can approve.");
        }
        Err(DiscoveryError::Unusable(unusable @ (Unusable::NoMetadata | Unusable::BadUrl { .. }))) => {
            return Finding::fail(
                FRONT_END,
                format!("The address of Postiz in a browser is not known: {unusable}."),
                why,
                "Set POSTIZ_FRONTEND_URL to it.",
            );
        }
    };
    front_end_finding(at, first_page, own.as_ref(), why)
}

fn front_end_finding(at: &str, first_page: &Result<FrontEnd, NoAnswer>, own: Option<&BaseUrl>, why: &str) -> Finding {
    let blocked = "The button of the page leads nowhere in Chromium, whose form-action takes only POSTIZ_FRONTEND_URL, and \
                   Postiz's own page refuses requests from another address.";
    if let Some(own) = own.filter(|own| own.as_str() != at) {
        return Finding::fail(
            FRONT_END,
            format!("POSTIZ_FRONTEND_URL is {at}, but Postiz calls itself {own}."),
            blocked,
            format!("Set POSTIZ_FRONTEND_URL={own}, or FRONTEND_URL at Postiz to {at}."),
        );
    }
    match first_page {
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
        format!("Terminals get {at} as the address of the API, which only {knows} knows."),
        "A terminal elsewhere signs in, and then reaches nothing.",
        "Set POSTIZ_PUBLIC_API_URL to the address of Postiz's API for everyone, such as https://postiz.example.com/api.",
    )
}
