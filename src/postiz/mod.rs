//! Postiz as OAuth provider: where a person approves, and the exchange of the code for a token.
//!
//! Either one app was made by hand, or a client is registered for each grant. Postiz's answers differ from the standard
//! (success is 201, errors may be the framework's), so the transport corrects them before the `oauth2` crate reads them.

mod discovery;
mod exchange;
mod inspect;
mod metadata;
mod registration;
mod transport;

use oauth2::basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse};
use oauth2::{
    AuthType, AuthUrl, Client, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, StandardRevocableToken, TokenUrl,
};
use secrecy::ExposeSecret as _;
use strum::VariantNames as _;
use tokio::sync::{Notify, watch};
use url::Url;

use crate::config::{BaseUrl, Config, PostizApp};
use crate::grant::{PostizClientId, State};
use crate::metrics::UpstreamMetrics;
use crate::secret::Secret;
use exchange::PostizToken;
use transport::Transport;

pub use metadata::{DiscoveryError, Endpoints};
pub use registration::client_name;
pub use transport::{Failure, Reason};

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

/// The label of an exchange that brought a token.
const GRANTED: &str = "granted";
/// The label of a registration that brought a client.
const REGISTERED: &str = "registered";

pub struct Postiz {
    transport: Transport,
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
        let app = match config.postiz_app() {
            PostizApp::ByHand { client_id, client_secret } => {
                let secret = ClientSecret::new(client_secret.expose_secret().to_owned());
                Some((ClientId::new(client_id.to_owned()), secret))
            }
            PostizApp::Registered => None,
        };
        let metrics = |success| UpstreamMetrics::new(Reason::VARIANTS.iter().copied().chain([success]));
        let postiz = Self {
            transport: Transport(http),
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

impl std::fmt::Debug for Postiz {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Postiz(..)")
    }
}
