//! What is around the server: the hosting platform, and the proxies that tell the client's address.
//!
//! Platforms announce a service's public address in variables of their own:
//!
//! - Fly.io: <https://fly.io/docs/machines/runtime-environment/>
//! - Railway: <https://docs.railway.com/reference/variables>
//! - Render: <https://render.com/docs/environment-variables>

use strum::{Display, EnumString, VariantNames};

use super::base_url::BaseUrl;
use super::variables::Environment;

/// Where the client's address is taken from. Names are read in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString, Display, VariantNames)]
#[strum(ascii_case_insensitive)]
pub enum ClientIpSource {
    /// The platform's own header on a known platform; elsewhere `X-Forwarded-For`, as far as its proxies are trusted.
    #[default]
    Auto,
    /// The peer of the TCP connection; no header is trusted.
    Connection,
    /// The last address in `X-Forwarded-For`: the one that our own proxy wrote.
    RightmostXForwardedFor,
    /// `X-Real-IP`.
    XRealIp,
    /// `Fly-Client-IP`.
    FlyClientIp,
    /// `CF-Connecting-IP`.
    CfConnectingIp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Display)]
pub enum Platform {
    #[strum(to_string = "Fly.io")]
    Fly,
    Railway,
    Render,
}

impl Platform {
    /// With the public URL that it announces, if there is one and it can be used.
    pub(super) fn recognise(environment: &Environment) -> Option<(Self, Option<BaseUrl>)> {
        let (platform, url) = if let Some(app) = environment.get("FLY_APP_NAME") {
            (Self::Fly, Some(format!("https://{app}.fly.dev")))
        } else if environment.get("RAILWAY_PROJECT_ID").is_some() {
            let domain = environment.get("RAILWAY_PUBLIC_DOMAIN");
            (Self::Railway, domain.map(|domain| format!("https://{domain}")))
        } else if environment.get("RENDER").is_some() {
            (Self::Render, environment.get("RENDER_EXTERNAL_URL").map(str::to_owned))
        } else {
            return None;
        };
        Some((platform, url.and_then(|url| url.parse().ok())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_platform_is_recognised_and_may_announce_a_public_url() {
        for (vars, platform, url) in [
            (&[("FLY_APP_NAME", "my-auth")][..], Some(Platform::Fly), Some("https://my-auth.fly.dev")),
            (&[("FLY_APP_NAME", "no name")], Some(Platform::Fly), None),
            (
                &[("RAILWAY_PROJECT_ID", "7e0c"), ("RAILWAY_PUBLIC_DOMAIN", "a.up.railway.app")],
                Some(Platform::Railway),
                Some("https://a.up.railway.app"),
            ),
            (&[("RAILWAY_PROJECT_ID", "7e0c")], Some(Platform::Railway), None),
            (
                &[("RENDER", "true"), ("RENDER_EXTERNAL_URL", "https://a.onrender.com")],
                Some(Platform::Render),
                Some("https://a.onrender.com"),
            ),
            (&[("RENDER", "true"), ("RENDER_EXTERNAL_URL", "")], Some(Platform::Render), None),
            (&[("FLY_APP_NAME", " "), ("HOME", "/root")], None, None),
        ] {
            let environment = Environment::new(vars.iter().map(|&(name, value)| (name.into(), value.into())));
            let (found, announced) = Platform::recognise(&environment).unzip();
            assert_eq!((found, announced.flatten().map(|url| url.to_string()).as_deref()), (platform, url));
        }
    }
}
