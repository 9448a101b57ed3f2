//! The hosting platforms that say in variables of their own where a service is reached.
//!
//! - Fly.io: <https://fly.io/docs/machines/runtime-environment/>
//! - Railway: <https://docs.railway.com/reference/variables>
//! - Render: <https://render.com/docs/environment-variables>

use std::collections::BTreeMap;
use std::fmt;

use super::base_url::BaseUrl;

/// A hosting platform that is recognised by its own variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Fly.io, which sets `FLY_APP_NAME`.
    Fly,
    /// Railway, which sets `RAILWAY_PROJECT_ID`, and `RAILWAY_PUBLIC_DOMAIN` once the service has a domain.
    Railway,
    /// Render, which sets `RENDER=true`, and `RENDER_EXTERNAL_URL` for a web service.
    Render,
}

impl Platform {
    /// The platform that these variables come from.
    pub(super) fn recognise(vars: &BTreeMap<String, String>) -> Option<Self> {
        let has = |name: &str| vars.get(name).is_some_and(|value| !value.trim().is_empty());
        if has("FLY_APP_NAME") {
            Some(Self::Fly)
        } else if has("RAILWAY_PROJECT_ID") || has("RAILWAY_PUBLIC_DOMAIN") {
            Some(Self::Railway)
        } else if has("RENDER") || has("RENDER_EXTERNAL_URL") {
            Some(Self::Render)
        } else {
            None
        }
    }

    /// The public URL that the platform announces, if it announces one that can be used.
    pub(super) fn public_url(self, vars: &BTreeMap<String, String>) -> Option<BaseUrl> {
        let value = |name: &str| vars.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let url = match self {
            Self::Fly => format!("https://{}.fly.dev", value("FLY_APP_NAME")?),
            Self::Railway => format!("https://{}", value("RAILWAY_PUBLIC_DOMAIN")?),
            Self::Render => value("RENDER_EXTERNAL_URL")?.to_owned(),
        };
        url.parse().ok()
    }

    /// What the operator can do where no public URL is announced.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Fly => "FLY_APP_NAME does not make a host name: set SERVER_URL",
            Self::Railway => {
                "RAILWAY_PUBLIC_DOMAIN is not there: generate a domain for this service, or set SERVER_URL"
            }
            Self::Render => "RENDER_EXTERNAL_URL is not there: make this a web service, or set SERVER_URL",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fly => "Fly.io",
            Self::Railway => "Railway",
            Self::Render => "Render",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(vars: &[(&str, &str)]) -> (Option<Platform>, Option<String>) {
        let vars = vars.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let platform = Platform::recognise(&vars);
        (platform, platform.and_then(|platform| platform.public_url(&vars)).map(|url| url.to_string()))
    }

    #[test]
    fn each_platform_announces_its_public_url() {
        for (vars, platform, url) in [
            (vec![("FLY_APP_NAME", "my-auth")], Platform::Fly, "https://my-auth.fly.dev"),
            (
                vec![("RAILWAY_PROJECT_ID", "7e0c"), ("RAILWAY_PUBLIC_DOMAIN", "auth.up.railway.app")],
                Platform::Railway,
                "https://auth.up.railway.app",
            ),
            (
                vec![("RENDER", "true"), ("RENDER_EXTERNAL_URL", "https://auth.onrender.com")],
                Platform::Render,
                "https://auth.onrender.com",
            ),
        ] {
            assert_eq!(found(&vars), (Some(platform), Some(url.to_owned())));
        }
    }

    #[test]
    fn a_platform_without_a_public_url_is_still_recognised() {
        assert_eq!(found(&[("FLY_APP_NAME", "no name")]), (Some(Platform::Fly), None));
        assert_eq!(found(&[("RAILWAY_PROJECT_ID", "7e0c")]), (Some(Platform::Railway), None));
        assert_eq!(found(&[("RENDER", "true"), ("RENDER_EXTERNAL_URL", "")]), (Some(Platform::Render), None));
    }

    #[test]
    fn elsewhere_there_is_no_platform() {
        assert_eq!(found(&[("FLY_APP_NAME", " "), ("HOME", "/root")]), (None, None));
    }
}
