//! Postiz's OAuth metadata (RFC 8414), and what this server takes from it.
//!
//! Its URLs may have another origin than the API: a replica often reaches Postiz by an internal name. Postiz is trusted with
//! more than them, because every token comes from it. A registration carries no secret. Only a step down from https is
//! refused. Postiz joins these URLs from its own settings, and a setting that ends with a slash makes `https://host//oauth/..`,
//! which its page can't take: doubled slashes become one.

use serde::Deserialize;
use url::Url;

use crate::config::{BaseUrl, Config, PostizApp};
use crate::outbound::NoAnswer;

/// Of the consent page, below the front end.
const AUTHORIZE: &str = "/oauth/authorize";

/// Where to send people and registrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    pub(super) authorization: Url,
    /// Where to try it, in this order; empty with an app that was made by hand.
    pub(super) registration: Vec<Url>,
}

/// What the configuration leaves to the metadata.
#[derive(Debug, Clone)]
pub(super) struct Needs {
    /// Postiz in a browser, if the configuration says it.
    pub(super) front_end: Option<BaseUrl>,
    pub(super) registration: bool,
    api: BaseUrl,
}

/// What is known of Postiz.
#[derive(Debug, Clone)]
pub(super) enum Knowledge {
    /// It has not answered yet.
    Nothing,
    Endpoints(Endpoints),
    /// It does not offer what the configuration needs.
    Unusable,
}

/// Postiz does not offer what this configuration needs: the operator has to act. Completes "Postiz can't be used: ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("it has no OAuth metadata")]
    NoMetadata,
    #[error("its OAuth metadata names no registration_endpoint, so it registers no clients")]
    NoRegistration,
    #[error("its OAuth metadata has the {name} {value:?}, which can't be used")]
    BadUrl { name: &'static str, value: String },
}

/// Why the endpoints are not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiscoveryError {
    NoAnswer(NoAnswer),
    Unusable(Unusable),
}

#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    authorization_endpoint: String,
    registration_endpoint: Option<String>,
}

impl Endpoints {
    /// Postiz in a browser: the authorization endpoint without its path below the front end.
    pub fn front_end(&self) -> &str {
        let url = self.authorization.as_str();
        url.strip_suffix(AUTHORIZE).unwrap_or(url)
    }
}

impl Needs {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            front_end: config.frontend_url.clone(),
            registration: matches!(config.postiz_app(), PostizApp::Registered),
            api: config.api_url.clone(),
        }
    }

    /// What is known without the metadata.
    pub(super) fn known(&self) -> Knowledge {
        match &self.front_end {
            Some(front_end) if !self.registration => {
                Knowledge::Endpoints(Endpoints { authorization: authorize(front_end), registration: Vec::new() })
            }
            _ => Knowledge::Nothing,
        }
    }

    /// What the document says, also if the configuration says otherwise.
    pub(super) fn published(&self, metadata: &Metadata) -> Result<Endpoints, Unusable> {
        Self { front_end: None, registration: false, ..self.clone() }.endpoints(metadata)
    }

    pub(super) fn endpoints(&self, metadata: &Metadata) -> Result<Endpoints, Unusable> {
        let authorization = match &self.front_end {
            Some(front_end) => authorize(front_end),
            None => self.url("authorization_endpoint", &metadata.authorization_endpoint)?,
        };
        let registration = match &metadata.registration_endpoint {
            _ if !self.registration => Vec::new(),
            Some(url) => self.ways_to_register(self.url("registration_endpoint", url)?),
            None => return Err(Unusable::NoRegistration),
        };
        Ok(Endpoints { authorization, registration })
    }

    /// The document names its public address, which an internal network may not reach: the API's own one goes first.
    fn ways_to_register(&self, published: Url) -> Vec<Url> {
        const PATH: &str = "/oauth/register";
        let own = self.api.join(PATH);
        if own != published && published.path().ends_with(PATH) { vec![own, published] } else { vec![published] }
    }

    fn url(&self, name: &'static str, text: &str) -> Result<Url, Unusable> {
        /// Enough of a bad value to recognise it.
        const SHOWN_CHARS: usize = 80;
        let allowed = |url: &Url| {
            (url.scheme() == "https" || url.scheme() == "http" && !self.api.is_https())
                && url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none()
        };
        let url = Url::parse(text).ok().filter(allowed).map(with_single_slashes);
        url.ok_or_else(|| Unusable::BadUrl { name, value: text.chars().take(SHOWN_CHARS).collect() })
    }
}

fn with_single_slashes(mut url: Url) -> Url {
    let mut path = url.path().to_owned();
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    url.set_path(&path);
    url
}

fn authorize(front_end: &BaseUrl) -> Url {
    front_end.join(AUTHORIZE)
}

/// Whether a 404 is Postiz's own, and not that of a proxy before a Postiz that is just starting.
pub(super) fn is_from_postiz(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(rename = "statusCode")]
        status_code: u16,
    }
    serde_json::from_slice::<Refusal>(body).is_ok_and(|refusal| refusal.status_code == 404)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(api: &str, front_end: Option<&str>) -> Needs {
        Needs { front_end: front_end.map(|url| url.parse().unwrap()), registration: true, api: api.parse().unwrap() }
    }

    fn metadata(authorization: &str, registration: Option<&str>) -> Metadata {
        Metadata {
            authorization_endpoint: authorization.to_owned(),
            registration_endpoint: registration.map(str::to_owned),
        }
    }

    #[test]
    fn endpoints_may_have_another_origin_and_no_weaker_scheme() {
        let (people, ours) = ("https://p.example/oauth/authorize", "https://api.example/register");
        let found = |api, document: &Metadata| needs(api, None).endpoints(document);
        let both = metadata(people, Some(ours));
        assert_eq!(found("http://postiz:5000", &both).unwrap().authorization.as_str(), people);
        assert_eq!(found("https://p.example/api", &both).unwrap().registration[0].as_str(), ours);
        assert_eq!(found("https://p.example/api", &metadata(people, None)), Err(Unusable::NoRegistration));
        for bad in
            ["http://p.example/x", "ftp://p.example", "/register", "https://u:p@p.example/x", "https://p.example/#a"]
        {
            for document in [metadata(bad, Some(ours)), metadata(people, Some(bad))] {
                let refused = found("https://p.example/api", &document);
                assert!(
                    matches!(refused, Err(Unusable::BadUrl { ref value, .. }) if value == bad),
                    "{bad}: {refused:?}"
                );
            }
        }
        assert!(found("http://localhost/api", &metadata(people, Some("http://localhost/register"))).is_ok());
    }

    #[test]
    fn doubled_slashes_become_one() {
        let needs = needs("https://p.example/api", None);
        for (named, used) in [
            ("https://p.example//oauth/authorize", "https://p.example/oauth/authorize"),
            ("https://p.example/sub///oauth//authorize", "https://p.example/sub/oauth/authorize"),
        ] {
            let found = needs.endpoints(&metadata(named, Some("https://p.example//oauth/register"))).unwrap();
            assert_eq!(found.authorization.as_str(), used);
            assert_eq!(found.registration[1].as_str(), "https://p.example/oauth/register");
        }
    }

    #[test]
    fn a_registration_goes_to_the_apis_own_address_first() {
        let register = |api, published: &str| {
            let found = needs(api, None).endpoints(&metadata("https://p.example/oauth/authorize", Some(published)));
            found.unwrap().registration.iter().map(Url::to_string).collect::<Vec<_>>()
        };
        let public = "https://p.example/api/oauth/register";
        assert_eq!(register("http://postiz:5000/api", public), ["http://postiz:5000/api/oauth/register", public]);
        assert_eq!(register("http://postiz:3000", public), ["http://postiz:3000/oauth/register", public]);
        assert_eq!(register("https://p.example/api", public), [public]);
        assert_eq!(register("http://postiz:5000/api", "https://p.example/other"), ["https://p.example/other"]);
    }

    #[test]
    fn the_configured_front_end_wins_over_the_metadata() {
        let needs = needs("https://p.example/api", Some("https://www.p.example"));
        let found = needs.endpoints(&metadata("nonsense", Some("https://p.example/register"))).unwrap();
        assert_eq!(found.authorization.as_str(), "https://www.p.example/oauth/authorize");
    }

    #[test]
    fn only_postizs_own_404_says_that_a_path_is_missing() {
        assert!(is_from_postiz(br#"{"message":"Cannot GET /x","error":"Not Found","statusCode":404}"#));
        for body in ["", "<html>404</html>", r#"{"error":"not found"}"#, r#"{"statusCode":502}"#] {
            assert!(!is_from_postiz(body.as_bytes()), "{body}");
        }
    }
}
