//! What can be worked with, but is probably a mistake. No warning holds the value of a secret.

use super::base_url::BaseUrl;
use super::load::Config;
use super::network::is_too_wide;
use super::platform::ServerUrlSource;
use super::variables::DEFAULT_API;

pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = config.database.warnings.clone();
    warnings.extend(server_url(config));
    let apis = [("POSTIZ_API_URL", Some(&config.api_url)), ("POSTIZ_PUBLIC_API_URL", config.public_api.as_ref())];
    warnings.extend(apis.into_iter().filter_map(|(name, url)| versioned_api(name, url?)));
    if config.client_id.as_ref().is_some_and(|id| !["pca_", "pcd_"].iter().any(|prefix| id.starts_with(prefix))) {
        warnings.push(
            "POSTIZ_OAUTH_CLIENT_ID does not begin with pca_ or pcd_, as Postiz's client IDs do: Postiz has a variable of \
             the same name for its own sign-in"
                .to_owned(),
        );
    }
    let wide = config.trusted_proxies.iter().filter(|network| is_too_wide(network));
    warnings.extend(wide.map(|network| {
        format!(
            "TRUSTED_PROXIES holds {network}: every client in it can choose its own address, so name only your proxies"
        )
    }));
    warnings.extend_from_slice(&config.log_filter.warnings);
    warnings
}

fn server_url(config: &Config) -> Vec<String> {
    let url = &config.server_url;
    let mut warnings = Vec::new();
    if let (ServerUrlSource::Default, Some(platform)) = (config.server_url_source, config.platform) {
        warnings.push(format!("SERVER_URL is {url} although this runs on {platform}: {}", platform.advice()));
    }
    if !url.is_https() && !url.is_loopback() {
        warnings.push(format!("SERVER_URL is {url}: without https, anyone on the network path can take over a login"));
    }
    if let Some(word) = config.misleading_word() {
        warnings.push(format!(
            "SERVER_URL contains \"{word}\": people who are signed out get lost on Postiz's sign-in page"
        ));
    }
    warnings
}

/// The address in Postiz's documentation of its public API is one level too deep.
fn versioned_api(name: &str, url: &BaseUrl) -> Option<String> {
    let versioned = url.as_str().strip_suffix("/v1")?;
    let base = if versioned.ends_with("/api") { versioned } else { versioned.strip_suffix("/public")? };
    let api = if base == DEFAULT_API || base.ends_with("/api") { "" } else { "/api" };
    Some(format!("{name} is {url}, one of the API's own paths: write {base}{api}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(vars: &[(&str, &str)]) -> Vec<String> {
        let database = ("DATABASE_URL", "postgres://auth@db/auth");
        let vars = [&[database], vars].concat();
        Config::from_vars(vars.iter().map(|&(name, value)| (name.into(), value.into()))).unwrap().warnings
    }

    /// One warning with these words, or none.
    fn check(name: &str, value: &str, words: Option<&str>) {
        let warnings = warned(&[(name, value)]);
        assert_eq!(warnings.len(), usize::from(words.is_some()), "{name}={value}: {warnings:?}");
        assert!(warnings.iter().all(|warning| warning.contains(words.unwrap_or_default())), "{warnings:?}");
    }

    #[test]
    fn plain_http_and_words_that_mislead_postiz_are_warned_of() {
        for (url, words) in [
            ("http://auth.example.com", Some("without https")),
            ("http://localhost:3111", None),
            ("https://auth.example.com", None),
            ("https://google.example.com", Some("\"google\"")),
            ("https://example.com/settings/auth", Some("\"settings\"")),
        ] {
            check("SERVER_URL", url, words);
        }
    }

    #[test]
    fn an_address_of_the_versioned_api_is_corrected() {
        for (url, right) in [
            ("https://example.com/api", None),
            ("https://example.com/api/v1", Some("write https://example.com/api")),
            ("https://example.com/api/public/v1/", Some("write https://example.com/api")),
            ("https://example.com/public/v1", Some("write https://example.com/api")),
            ("https://api.postiz.com/public/v1", Some("write https://api.postiz.com")),
            ("https://example.com/v1", None),
        ] {
            check("POSTIZ_API_URL", url, right);
            check("POSTIZ_PUBLIC_API_URL", url, right);
        }
    }

    #[test]
    fn proxies_that_are_everybody_are_warned_of() {
        for (networks, words) in [
            ("0.0.0.0/0", Some("holds 0.0.0.0/0")),
            ("10.0.0.0/8,::/0", Some("holds ::/0")),
            ("128.0.0.0/1", Some("/1")),
            ("2000::/15", Some("/15")),
            ("10.0.0.0/8,2001::/16,192.0.2.1", None),
        ] {
            check("TRUSTED_PROXIES", networks, words);
        }
    }

    #[test]
    fn a_client_id_of_another_provider_is_warned_of_and_not_shown() {
        let secret = ("POSTIZ_OAUTH_CLIENT_SECRET", "secret");
        let warnings = warned(&[("POSTIZ_OAUTH_CLIENT_ID", "hunter4"), secret]);
        assert!(warnings[0].contains("pca_ or pcd_") && !warnings[0].contains("hunter4"), "{warnings:?}");
    }

    #[test]
    fn warnings_of_the_database_and_of_the_log_are_passed_on() {
        check("DATABASE_URL", "postgres://auth:hunter2@db/auth?schema=a", Some("\"schema\""));
        check("RUST_LOG", "verbose", Some("not a level"));
    }
}
