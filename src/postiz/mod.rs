//! Postiz as OAuth provider: where a person approves, and the exchange of the code for a token.
//!
//! Its answers differ from the standard (success is 201, errors may be the framework's), so the transport corrects them
//! before the `oauth2` crate reads them.

mod exchange;
mod failure;
mod inspect;
mod token_response;
mod transport;
mod trial;

use oauth2::basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse};
use oauth2::{
    AuthType, AuthUrl, Client, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, StandardRevocableToken, TokenUrl,
};
use secrecy::ExposeSecret as _;
use strum::VariantNames as _;
use url::Url;

use crate::config::Config;
use crate::grant::{BrowserKey, State};
use crate::metrics::ExchangeMetrics;
use token_response::PostizToken;
use transport::Transport;

pub use failure::{ExchangeError, Reason};
pub use inspect::{FrontEnd, MADE_UP_CODE, NoAnswer, Registered, SecretVerdict};

type PostizClient = Client<
    BasicErrorResponse,
    PostizToken,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// Our app at Postiz.
pub struct Postiz {
    client: PostizClient,
    transport: Transport,
    /// Where the API describes an app.
    app_url: Url,
    /// Where a new token is tried.
    trial_url: Url,
    frontend_url: Url,
    /// Where the metadata document may be; older versions have the second one.
    metadata_urls: [Url; 2],
    exchanges: ExchangeMetrics,
}

impl Postiz {
    /// Prepares the client; connects to nothing yet.
    pub fn new(config: &Config, http: reqwest::Client) -> Self {
        let client = Client::new(ClientId::new(config.client_id.clone()))
            .set_client_secret(ClientSecret::new(config.client_secret.expose_secret().to_owned()))
            .set_auth_uri(AuthUrl::from_url(config.frontend_url.join("/oauth/authorize")))
            .set_token_uri(TokenUrl::from_url(config.api_url.join("/oauth/token")))
            .set_redirect_uri(RedirectUrl::from_url(config.callback_url()))
            // Postiz refuses Basic authentication.
            .set_auth_type(AuthType::RequestBody);
        Self {
            client,
            transport: Transport(http),
            app_url: config.api_url.join("/oauth/authorize"),
            trial_url: config.api_url.join("/public/v1/is-connected"),
            frontend_url: config.frontend_url.join("/"),
            metadata_urls: ["/mcp-oauth", ""]
                .map(|suffix| config.api_url.join(&format!("/.well-known/oauth-authorization-server{suffix}"))),
            exchanges: ExchangeMetrics::new(Reason::VARIANTS.iter().copied().chain([failure::GRANTED])),
        }
    }

    pub fn exchanges(&self) -> &ExchangeMetrics {
        &self.exchanges
    }

    /// Where the person is asked for approval (RFC 6749 §4.1.1), bound to their browser.
    ///
    /// A person who is signed out would lose the request at Postiz's sign-in page; `returnUrl` brings them back to it.
    pub fn authorization_url(&self, browser: &BrowserKey, state: &State) -> Url {
        let verifier = PkceCodeVerifier::new(browser.code_verifier(state).to_base64url());
        let (request, _) = self
            .client
            .authorize_url(|| CsrfToken::new(state.to_query()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        let mut url = request.clone();
        url.query_pairs_mut().append_pair("returnUrl", request.as_str());
        url
    }
}

impl std::fmt::Debug for Postiz {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Postiz(..)")
    }
}
