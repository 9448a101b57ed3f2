//! A stand-in for Postiz: its consent page and its API, as observed from a real Postiz, with state.
//!
//! One port serves both: the pages at the root, the API below `/api`. Each browser is a person with an organization.
//! [`Fault`]s make it misbehave.

mod api;
mod consent;
mod exchange;
mod fault;
mod registration;
mod state;
mod subscription;
mod token_request;
mod wire;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::web::{self, Data, ServiceConfig, get, post, resource, scope};
use actix_web::{App, HttpServer, rt};
use tokio::sync::mpsc::UnboundedSender;

pub use fault::Fault;
pub use state::{Event, Exchange, Metadata, RegisteredApp, RegisteredClient};
pub use subscription::{Subscription, Trial};

use state::State;

/// A running stand-in. Dropping it stops it.
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    state: Arc<State>,
    server: ServerHandle,
}

impl StandIn {
    /// Starts on `listener`, and sends each step to `events`. It has a thread of its own, so that a caller that blocks its
    /// runtime does not make Postiz slow.
    pub fn start(
        app: RegisteredApp,
        listener: TcpListener,
        events: Option<UnboundedSender<Event>>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let state = Arc::new(State::new(app, events));
        let data = Data::from(Arc::clone(&state));
        let server = HttpServer::new(move || App::new().app_data(Data::clone(&data)).configure(routes))
            .on_connect(wire::keep_socket)
            .h1_allow_half_closed(false) // stops serving a client that has disconnected
            .workers(1)
            .disable_signals()
            .listen(listener)?
            .run();
        let handle = server.handle();
        std::thread::Builder::new().name("stand-in-postiz".to_owned()).spawn(|| rt::System::new().block_on(server))?;
        Ok(Self { address, state, server: handle })
    }

    /// The value for `POSTIZ_FRONTEND_URL`.
    pub fn frontend_url(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    /// The value for `POSTIZ_API_URL`.
    pub fn api_url(&self) -> String {
        format!("{}/api", self.frontend_url())
    }

    /// `pcd_` at its start makes it a dynamically registered app, for which PKCE is demanded.
    pub fn set_client_id(&self, client_id: &str) {
        client_id.clone_into(&mut self.state.lock().app.client_id);
    }

    /// A rotated secret.
    pub fn set_client_secret(&self, client_secret: &str) {
        client_secret.clone_into(&mut self.state.lock().app.client_secret);
    }

    pub fn set_redirect_uri(&self, redirect_uri: &str) {
        redirect_uri.clone_into(&mut self.state.lock().app.redirect_uri);
    }

    pub fn set_subscription(&self, subscription: Subscription) {
        self.state.lock().subscription = subscription;
    }

    /// All trials of tokens, oldest first.
    pub fn trials(&self) -> Vec<Trial> {
        self.state.lock().trials.clone()
    }

    /// The `Cookie` headers of all exchanges. A client that does not pass them on leaves this empty.
    pub fn cookies(&self) -> Vec<String> {
        self.state.lock().cookies.clone()
    }

    /// Makes the next exchanges fail, in this order.
    pub fn next_exchanges(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state.lock().faults.extend(faults);
    }

    /// Makes the next registrations of clients fail, in this order. A code plays no part in them.
    pub fn next_registrations(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state.lock().registration_faults.extend(faults);
    }

    pub fn set_metadata(&self, metadata: Metadata) {
        self.state.lock().metadata = metadata;
    }

    /// From now on registrations are refused with `invalid_redirect_uri`, as with `DCR_VERIFIED_DOMAINS`.
    pub fn verify_domains(&self) {
        self.state.lock().verifies_domains = true;
    }

    /// The clients that have registered themselves, oldest first.
    pub fn clients(&self) -> Vec<RegisteredClient> {
        self.state.lock().clients.clone()
    }

    /// Forgets these clients, as Postiz does after 30 days without an authorization.
    pub fn forget_clients(&self) {
        self.state.lock().clients.clear();
    }

    /// Returns when `count` registrations have been asked for.
    pub async fn registration_begun(&self, count: usize) {
        loop {
            let recorded = self.state.registration_recorded.notified();
            if self.registrations_begun() >= count {
                return;
            }
            recorded.await;
        }
    }

    /// How many registrations have been asked for.
    pub fn registrations_begun(&self) -> usize {
        self.state.lock().registrations_begun
    }

    /// All exchanges, oldest first. Self-checks are left out.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.state.lock().exchanges.clone()
    }

    /// Returns when `count` exchanges have reached the token endpoint.
    pub async fn exchange_begun(&self, count: usize) {
        loop {
            let recorded = self.state.exchange_recorded.notified();
            if self.state.lock().exchanges.len() >= count {
                return;
            }
            recorded.await;
        }
    }

    /// The queries of the consent page, oldest first.
    pub fn authorizations(&self) -> Vec<Vec<(String, String)>> {
        self.state.lock().authorizations.clone()
    }

    /// The token that was issued last, if it still works.
    pub fn live_token(&self) -> Option<String> {
        let memory = self.state.lock();
        memory.issued.last().filter(|token| memory.is_live(token)).cloned()
    }

    /// Whether the API accepts this token. Only the newest token of a person for a client can be live.
    pub fn is_live(&self, token: &str) -> bool {
        self.state.lock().is_live(token)
    }

    /// All tokens, oldest first.
    pub fn tokens_issued(&self) -> Vec<String> {
        self.state.lock().issued.clone()
    }

    /// Signs all people out: the next request for the consent page redirects to the sign-in page.
    pub fn sign_out(&self) {
        self.state.lock().signed_in = false;
    }

    /// Expires all codes that were not exchanged.
    pub fn expire_codes(&self) {
        self.state.lock().expire_codes();
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // This sends the command; the returned future only waits for the end.
        drop(self.server.stop(false));
    }
}

fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/oauth/authorize").route(get().to(consent::page)).route(post().to(consent::decide)))
        .service(resource("/auth").route(get().to(consent::sign_in_page)).route(post().to(consent::sign_in)))
        .service(
            scope("/api")
                .service(resource("/oauth/authorize").route(get().to(api::registered_app)))
                .service(
                    resource("/.well-known/oauth-authorization-server/mcp-oauth")
                        .route(get().to(registration::metadata)),
                )
                .service(
                    resource("/.well-known/oauth-authorization-server")
                        .route(get().to(registration::metadata_without_suffix)),
                )
                .service(resource("/oauth/register").route(post().to(registration::register)))
                .service(resource("/oauth/token").route(post().to(exchange::token)))
                .service(resource("/public/v1/is-connected").route(get().to(subscription::is_connected)))
                .service(resource("/public/v1/integrations").route(get().to(api::integrations)))
                .default_service(web::to(api::not_found)),
        )
        .default_service(web::to(consent::unknown_path));
}

#[cfg(test)]
mod tests;
