//! Postiz as OAuth provider. Either one app was made by hand, or a client is registered for each grant. Here are the address where a
//! person approves, the way of each request, and why one failed: a [`Reason`] for the caller, with a sentence for the operator.
//!
//! Postiz answers a success with 201, and its framework's errors look like OAuth's. So any 2xx becomes 200 with JSON, and an
//! error is passed on to the `oauth2` crate only if it has the form of RFC 6749 §5.2. Everything else becomes a [`NoAnswer`],
//! which holds nothing of the body.
//!
//! Postiz spends a code even if its answer is lost, and of two concurrent exchanges both can seem to succeed. So a request is
//! retried only if it certainly did not reach Postiz.

mod discovery;
mod exchange;
mod inspect;
mod registration;

use std::time::Duration;

use oauth2::basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse};
use oauth2::{
    AuthType, AuthUrl, Client, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, StandardRevocableToken, TokenUrl, http,
};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Request, RequestBuilder, StatusCode};
use secrecy::ExposeSecret as _;
use strum::{IntoStaticStr, VariantNames};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout_at};
use url::Url;

use crate::config::{BaseUrl, Config};
use crate::grant::{PostizClientId, State};
use crate::metrics::UpstreamMetrics;
use crate::outbound::{Answer, NoAnswer, ask};
use crate::secret::Secret;
use exchange::PostizToken;

pub use discovery::{DiscoveryError, Endpoints};
pub use registration::client_name;

type PostizClient = Client<
    BasicErrorResponse,
    PostizToken,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

const RETRY_DELAY: Duration = Duration::from_millis(500);

/// The label of an exchange that brought a token.
const GRANTED: &str = "granted";
/// The label of a registration that brought a client.
const REGISTERED: &str = "registered";

pub struct Postiz {
    http: reqwest::Client,
    api_url: BaseUrl,
    callback_url: Url,
    /// Made by hand.
    app: Option<(ClientId, ClientSecret)>,
    /// Postiz in a browser, if the configuration says it.
    front_end: Option<BaseUrl>,
    endpoints: watch::Sender<Option<Endpoints>>,
    /// Postiz does not offer what the configuration needs.
    unusable: Notify,
    exchanges: UpstreamMetrics,
    registrations: UpstreamMetrics,
}

impl Postiz {
    /// Prepares requests; connects to nothing yet.
    pub fn new(config: &Config, http: reqwest::Client) -> Self {
        let app = config
            .app
            .as_ref()
            .map(|(id, secret)| (ClientId::new(id.clone()), ClientSecret::new(secret.expose_secret().to_owned())));
        let metrics = |success| UpstreamMetrics::new(Reason::VARIANTS.iter().copied().chain([success]));
        let postiz = Self {
            http,
            api_url: config.api_url.clone(),
            callback_url: config.callback_url(),
            app,
            front_end: config.frontend_url.clone(),
            endpoints: watch::Sender::default(),
            unusable: Notify::new(),
            exchanges: metrics(GRANTED),
            registrations: metrics(REGISTERED),
        };
        postiz.endpoints.send_replace(postiz.configured());
        postiz
    }

    pub fn exchanges(&self) -> &UpstreamMetrics {
        &self.exchanges
    }

    pub fn registrations(&self) -> &UpstreamMetrics {
        &self.registrations
    }

    /// Whether each grant gets a client of its own.
    pub fn registers(&self) -> bool {
        self.app.is_none()
    }

    /// Where the person is asked for approval (RFC 6749 §4.1.1), bound to `verifier` (RFC 7636). `client` is the grant's own;
    /// without one it is the app, and `None` if there is no app either.
    ///
    /// A person who is signed out would lose the request at Postiz's sign-in page; `returnUrl` brings them back to it.
    pub fn authorization_url(
        &self,
        endpoints: &Endpoints,
        client: Option<&PostizClientId>,
        verifier: &Secret,
        state: &State,
    ) -> Option<Url> {
        let verifier = PkceCodeVerifier::new(verifier.to_base64url());
        let (request, _) = self
            .client(client)?
            .set_auth_uri(AuthUrl::from_url(endpoints.authorization.clone()))
            .authorize_url(|| CsrfToken::new(state.to_query()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        let mut url = request.clone();
        url.query_pairs_mut().append_pair("returnUrl", request.as_str());
        Some(url)
    }

    /// The grant's own client, which is public, or the app.
    fn client(&self, registered: Option<&PostizClientId>) -> Option<PostizClient> {
        let client = match (registered, &self.app) {
            (Some(client), _) => Client::new(ClientId::new(client.as_str().to_owned())),
            (None, Some((id, secret))) => Client::new(id.clone()).set_client_secret(secret.clone()),
            (None, None) => return None,
        };
        let client = client
            .set_token_uri(TokenUrl::from_url(self.api_url.join("/oauth/token")))
            .set_redirect_uri(RedirectUrl::from_url(self.callback_url.clone()))
            // Postiz refuses Basic authentication.
            .set_auth_type(AuthType::RequestBody);
        Some(client)
    }
}

/// `limit` is for all attempts together.
async fn send(http: reqwest::Client, request: HttpRequest, limit: Duration) -> Result<HttpResponse, NoAnswer> {
    let deadline = Instant::now() + limit;
    loop {
        let attempt = RequestBuilder::from_parts(http.clone(), Request::try_from(request.clone())?);
        match timeout_at(deadline, ask(attempt)).await.unwrap_or(Err(NoAnswer::Slow)) {
            Err(NoAnswer::Unreachable(_)) if Instant::now() + RETRY_DELAY < deadline => sleep(RETRY_DELAY).await,
            answer => return standard(answer?),
        }
    }
}

fn standard(answer: Answer) -> Result<HttpResponse, NoAnswer> {
    let status = match answer.status {
        success if success.is_success() => StatusCode::OK,
        error if oauth_error(&answer.body).is_some() => error,
        _ => return Err(answer.odd()),
    };
    let mut response = http::Response::new(answer.body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// An error whose word is like those of RFC 6749 §5.2 and RFC 7591 §3.2.2, not a framework's "Bad Request".
fn oauth_error(body: &[u8]) -> Option<BasicErrorResponse> {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    serde_json::from_slice(body).ok().filter(|error: &BasicErrorResponse| is_word(error.error().as_ref()))
}

/// Why an exchange or a registration failed. The names are a label's values in the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantNames, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    #[error("Postiz can't be reached")]
    Unreachable,
    #[error("Postiz did not answer in time")]
    Slow,
    /// Postiz failed, or the connection broke.
    #[error("Postiz failed to answer")]
    Failed,
    /// Postiz refused our client id or secret: the operator has to act.
    #[error("Postiz refused POSTIZ_OAUTH_CLIENT_ID or POSTIZ_OAUTH_CLIENT_SECRET")]
    ClientRefused,
    /// Postiz no longer knows the client that was registered for this grant.
    #[error("Postiz has forgotten the client of this grant")]
    ClientForgotten,
    /// Postiz refused to register a client: the operator has to act.
    #[error("Postiz refused to register a client")]
    RegistrationRefused,
    /// Postiz refused the code: it is used, too old, or not ours.
    #[error("Postiz refused the authorization code")]
    CodeRefused,
    /// The answer was a success without what it should hold.
    #[error("Postiz's answer can't be read")]
    Unreadable,
}

impl Reason {
    /// Whether Postiz rejects the code from now on; otherwise it may still be good.
    pub fn spends_code(self) -> bool {
        matches!(self, Self::CodeRefused | Self::ClientForgotten | Self::Unreadable)
    }
}

/// A reason with its cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct Failure {
    pub reason: Reason,
    /// "Postiz answers with status 502". Holds no secret.
    pub cause: String,
}

impl Failure {
    /// Of a refusal. Its description is left out if it repeats a secret that was sent.
    fn refused(reason: Reason, refusal: &BasicErrorResponse, sent: &[&str]) -> Self {
        /// The longest description that is shown: a sentence.
        const SHOWN_CHARS: usize = 200;
        let plain = |text: &str| text.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect::<String>();
        let description = refusal.error_description().filter(|text| !sent.iter().any(|secret| text.contains(secret)));
        let description = description.map(|text| format!(" ({})", plain(text))).unwrap_or_default();
        Self { reason, cause: format!("Postiz says {}{description}", plain(refusal.error().as_ref())) }
    }

    /// Without an answer of its own to quote.
    fn plain(reason: Reason) -> Self {
        Self { reason, cause: reason.to_string() }
    }
}

impl From<NoAnswer> for Failure {
    fn from(no_answer: NoAnswer) -> Self {
        let reason = match &no_answer {
            NoAnswer::Unreachable(_) => Reason::Unreachable,
            NoAnswer::Slow => Reason::Slow,
            NoAnswer::Broken { status, .. } if status.is_some_and(|status| status.is_success()) => Reason::Unreadable,
            NoAnswer::Broken { .. } | NoAnswer::Odd { .. } => Reason::Failed,
        };
        Self { reason, cause: format!("Postiz {no_answer}") }
    }
}

#[cfg(test)]
mod tests {
    use oauth2::basic::BasicErrorResponseType;
    use reqwest::header::HeaderMap;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers: HeaderMap::new(), body: body.as_bytes().to_vec() }
    }

    #[test]
    fn answers_are_made_standard() {
        let created = standard(answer(201, "{}")).expect("a success");
        assert_eq!(created.status(), StatusCode::OK);
        let refused = standard(answer(400, r#"{"error":"invalid_grant"}"#)).expect("an OAuth error");
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn answers_other_than_oauth_are_not_passed_on() {
        for (status, body) in [
            (400, r#"{"message":["x"],"error":"Bad Request","statusCode":400}"#),
            (502, "<html>502</html>"),
            (500, ""),
            (307, ""),
        ] {
            let odd = standard(answer(status, body)).unwrap_err();
            assert_eq!(odd.to_string(), format!("answers with status {status}"));
        }
    }

    #[test]
    fn a_refusal_is_quoted_unless_it_repeats_what_was_sent() {
        let cause = |description: Option<&str>| {
            let description = description.map(str::to_owned);
            let refusal = BasicErrorResponse::new(BasicErrorResponseType::InvalidGrant, description, None);
            Failure::refused(Reason::CodeRefused, &refusal, &["the-code"]).cause
        };
        assert_eq!(cause(Some("redirect_uri\ndiffers")), "Postiz says invalid_grant (redirect_uridiffers)");
        assert_eq!(cause(Some("no code the-code")), "Postiz says invalid_grant");
        assert_eq!(cause(None), "Postiz says invalid_grant");
    }
}
