//! The hosting platforms that announce a service's public address in variables of their own.
//!
//! - Fly.io: <https://fly.io/docs/machines/runtime-environment/>
//! - Railway: <https://docs.railway.com/reference/variables>
//! - Render: <https://render.com/docs/environment-variables>

use super::base_url::BaseUrl;
use super::environment::Environment;

#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum Platform {
    /// Sets `FLY_APP_NAME`.
    #[strum(to_string = "Fly.io")]
    Fly,
    /// Sets `RAILWAY_PROJECT_ID`, and `RAILWAY_PUBLIC_DOMAIN` once the service has a domain.
    Railway,
    /// Sets `RENDER=true`, and `RENDER_EXTERNAL_URL` for a web service.
    Render,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerUrlSource {
    /// `SERVER_URL` is set.
    Set,
    /// The platform announces it in its own variables.
    Platform(Platform),
    /// `http://localhost` and the port.
    Default,
}

impl Platform {
    pub(super) fn recognise(environment: &Environment) -> Option<Self> {
        let has = |name| environment.get(name).is_some();
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

    /// The public URL that the platform announces, if there is one and it can be used.
    pub(super) fn public_url(self, environment: &Environment) -> Option<BaseUrl> {
        let url = match self {
            Self::Fly => format!("https://{}.fly.dev", environment.get("FLY_APP_NAME")?),
            Self::Railway => format!("https://{}", environment.get("RAILWAY_PUBLIC_DOMAIN")?),
            Self::Render => environment.get("RENDER_EXTERNAL_URL")?.to_owned(),
        };
        url.parse().ok()
    }

    /// What to do if the platform announces no public URL.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Fly => "FLY_APP_NAME does not make a host name: set SERVER_URL",
            Self::Railway => "RAILWAY_PUBLIC_DOMAIN is not set: generate a domain for this service, or set SERVER_URL",
            Self::Render => "RENDER_EXTERNAL_URL is not set: make this a web service, or set SERVER_URL",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::problems::Problems;
    use super::*;

    fn found(vars: &[(&str, &str)]) -> (Option<Platform>, Option<String>) {
        let vars = vars.iter().map(|&(name, value)| (name.into(), value.into()));
        let environment = Environment::read(vars, &mut Problems::default());
        let platform = Platform::recognise(&environment);
        (platform, platform.and_then(|platform| platform.public_url(&environment)).map(|url| url.to_string()))
    }

    #[test]
    fn each_platform_announces_its_public_url() {
        let railway = ("RAILWAY_PROJECT_ID", "7e0c");
        for (vars, platform, url) in [
            (vec![("FLY_APP_NAME", "my-auth")], Platform::Fly, "https://my-auth.fly.dev"),
            (
                vec![railway, ("RAILWAY_PUBLIC_DOMAIN", "a.up.railway.app")],
                Platform::Railway,
                "https://a.up.railway.app",
            ),
            (vec![("RENDER_EXTERNAL_URL", "https://a.onrender.com")], Platform::Render, "https://a.onrender.com"),
        ] {
            assert_eq!(found(&vars), (Some(platform), Some(url.to_owned())));
        }
    }

    #[test]
    fn a_platform_without_a_public_url_is_still_recognised() {
        assert_eq!(found(&[("FLY_APP_NAME", "no name")]), (Some(Platform::Fly), None));
        assert_eq!(found(&[("RAILWAY_PROJECT_ID", "7e0c")]), (Some(Platform::Railway), None));
        assert_eq!(found(&[("RENDER", "true"), ("RENDER_EXTERNAL_URL", "")]), (Some(Platform::Render), None));
        assert_eq!(found(&[("FLY_APP_NAME", " "), ("HOME", "/root")]), (None, None));
    }
}
