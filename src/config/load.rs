//! From the environment to a [`Config`]: every variable is read before one of them can end it, so that one start shows all
//! problems. No problem and no warning holds the value of a secret.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use super::base_url::BaseUrl;
use super::database_url::DatabaseUrl;
use super::platform::{ClientIpSource, Platform};
use super::values::{
    LogFormat, metrics_address, networks, number, one_of, operator_name, operator_url, seconds, visible_ascii,
};
use super::variables::{ALL, DEFAULT_API, Environment, Variable};

/// The front end of the default API.
const POSTIZ_FRONTEND: &str = "https://platform.postiz.com";
const HALF_AN_APP: &str = "is missing: of an app, set the ID and the secret, or neither";
/// A trusted network with a shorter prefix is more than the proxies of anybody: clients are taken for proxies.
const SHORTEST_PREFIX: u8 = 8;

/// The checked settings of a server. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Config {
    pub database: DatabaseUrl,
    /// The client ID and client secret of one app for all logins. `None`: a client is registered at Postiz for each (RFC 7591).
    pub app: Option<(String, SecretString)>,
    pub port: u16,
    pub metrics_address: Option<SocketAddr>,
    pub server_url: BaseUrl,
    /// Known for the default API; elsewhere, Postiz's metadata tells it.
    pub frontend_url: Option<BaseUrl>,
    pub api_url: BaseUrl,
    pub public_api: Option<BaseUrl>,
    pub long_poll: Duration,
    pub max_held_polls: usize,
    pub device_code_ttl: Duration,
    pub database_pool_size: usize,
    pub drain: Duration,
    pub log_format: LogFormat,
    /// A level, or directives for modules.
    pub log_filter: String,
    pub client_ip_source: ClientIpSource,
    pub trusted_proxies: Vec<IpNet>,
    /// 0 sets no limit.
    pub rate_limit_guesses: u32,
    /// 0 sets no limit.
    pub rate_limit_codes: u32,
    pub operator_name: Option<String>,
    /// `http`, `https` or `mailto`.
    pub operator_url: Option<Url>,
    pub platform: Option<Platform>,
}

impl Config {
    pub const VARIABLES: &'static [Variable] = ALL;

    pub fn from_env() -> Result<Self, Problems> {
        Self::from_vars(std::env::vars_os())
    }

    /// Ignores variables that are not in the table.
    pub fn from_vars(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, Problems> {
        let mut reader = Reader { environment: Environment::new(vars), problems: Vec::new() };
        reader.config().filter(|_| reader.problems.is_empty()).ok_or(Problems(reader.problems))
    }

    /// The port of a server that runs with this environment, even if other variables are wrong.
    pub fn port_from_env() -> u16 {
        Reader { environment: Environment::new(std::env::vars_os()), problems: Vec::new() }.port()
    }

    /// The API for terminals.
    pub fn public_api_url(&self) -> &BaseUrl {
        self.public_api.as_ref().unwrap_or(&self.api_url)
    }

    /// The redirection endpoint (RFC 6749 section 3.1.2), to be registered at Postiz.
    pub fn callback_url(&self) -> Url {
        self.server_url.join("/device/callback")
    }

    /// What can be worked with, but is probably a mistake: sentences without a full stop.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.database.warnings.clone();
        // They mislead Postiz's sign-in page.
        if let Some(word) = ["google", "settings"].iter().find(|word| self.callback_url().as_str().contains(*word)) {
            warnings.push(format!("SERVER_URL contains \"{word}\": people who are signed out of Postiz never arrive"));
        }
        for url in [Some(&self.api_url), self.public_api.as_ref()].into_iter().flatten() {
            if url.as_str().ends_with("/v1") {
                warnings.push(format!("{url} is one of the API's own paths: leave /public/v1 or /v1 out"));
            }
        }
        for network in self.trusted_proxies.iter().filter(|network| network.prefix_len() < SHORTEST_PREFIX) {
            warnings.push(format!("TRUSTED_PROXIES holds {network}, in which every client can choose its own address"));
        }
        warnings
    }
}

/// One variable that keeps the server from starting.
#[derive(Debug)]
pub struct Problem {
    pub variable: &'static str,
    /// Completes the sentence that begins with the variable's name.
    pub why: String,
}

/// Every problem of a configuration, at most one for each variable.
#[derive(Debug)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// `EX_CONFIG` of sysexits.h.
    pub const EXIT_CODE: u8 = 78;
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "These variables can't be used. docs/reference.md and .env.example say more.")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n{} {}", problem.variable, problem.why))
    }
}

impl std::error::Error for Problems {}

struct Reader {
    environment: Environment,
    problems: Vec<Problem>,
}

impl Reader {
    fn config(&mut self) -> Option<Config> {
        let database = self.optional("DATABASE_URL", DatabaseUrl::parse);
        if database.is_none() {
            self.note("DATABASE_URL", "is missing".to_owned());
        }
        let client_id = self.optional("POSTIZ_OAUTH_CLIENT_ID", visible_ascii);
        let client_secret = self.optional("POSTIZ_OAUTH_CLIENT_SECRET", visible_ascii).map(SecretString::from);
        match (&client_id, &client_secret) {
            (Some(_), None) => self.note("POSTIZ_OAUTH_CLIENT_SECRET", HALF_AN_APP.to_owned()),
            (None, Some(_)) => self.note("POSTIZ_OAUTH_CLIENT_ID", HALF_AN_APP.to_owned()),
            (Some(_), Some(_)) | (None, None) => {}
        }
        let port = self.port();
        let (platform, announced) = Platform::recognise(&self.environment).unzip();
        let server_url = self.optional("SERVER_URL", str::parse).or(announced.flatten());
        let api_url = self.optional::<BaseUrl>("POSTIZ_API_URL", str::parse);
        let cloud = api_url.as_ref().filter(|url| url.as_str() == DEFAULT_API).and(POSTIZ_FRONTEND.parse().ok());
        Some(Config {
            app: client_id.zip(client_secret),
            port,
            metrics_address: self.optional("METRICS_ADDRESS", metrics_address),
            frontend_url: self.optional("POSTIZ_FRONTEND_URL", str::parse).or(cloud),
            public_api: self.optional("POSTIZ_PUBLIC_API_URL", str::parse),
            long_poll: self.value("LONG_POLL_SECONDS", seconds(0..=55)),
            max_held_polls: self.value("MAX_HELD_POLLS", number(1..=1_000_000)),
            device_code_ttl: self.value("DEVICE_CODE_TTL", seconds(1..=3600)),
            database_pool_size: self.value("DATABASE_POOL_SIZE", number(1..=100)),
            drain: self.value("DRAIN_SECONDS", seconds(0..=300)),
            log_format: self.optional("LOG_FORMAT", one_of).unwrap_or_else(LogFormat::by_default),
            log_filter: self.value("RUST_LOG", |text| Ok(text.to_owned())),
            client_ip_source: self.value("CLIENT_IP_SOURCE", one_of),
            trusted_proxies: self.value("TRUSTED_PROXIES", networks),
            rate_limit_guesses: self.value("RATE_LIMIT_GUESSES", number(0..=100_000)),
            rate_limit_codes: self.value("RATE_LIMIT_CODES", number(0..=100_000)),
            operator_name: self.optional("OPERATOR_NAME", operator_name),
            operator_url: self.optional("OPERATOR_URL", operator_url),
            platform,
            // These last: by now, all others have been read.
            server_url: server_url.or_else(|| format!("http://localhost:{port}").parse().ok())?,
            database: database?,
            api_url: api_url?,
        })
    }

    fn port(&mut self) -> u16 {
        self.value("PORT", number(0..=u16::MAX))
    }

    /// The variable's value, or its type's default if there is none. If it can't be used, a problem is noted.
    fn value<T: Default>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> T {
        self.optional(name, parse).unwrap_or_default()
    }

    fn optional<T>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let variable = ALL.iter().find(|variable| variable.name == name)?;
        let text = self.environment.text(variable).unwrap_or_else(|why| {
            self.note(name, why);
            None
        });
        let text = text.or_else(|| variable.default.map(str::to_owned))?;
        let shown = || if variable.secret || text.contains('@') { String::new() } else { format!(": {text:?}") };
        parse(&text).map_err(|why| self.note(name, why + &shown())).ok()
    }

    /// The first problem of a variable is the one that counts.
    fn note(&mut self, variable: &'static str, why: String) {
        if self.problems.iter().all(|known| known.variable != variable) {
            self.problems.push(Problem { variable, why });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use secrecy::ExposeSecret as _;

    use super::*;

    const DATABASE_URL: (&str, &str) =
        ("DATABASE_URL", "postgres://auth:hunter2@db.example.com/auth?sslmode=verify-full");
    const CLIENT_ID: (&str, &str) = ("POSTIZ_OAUTH_CLIENT_ID", "pca_id");
    const CLIENT_SECRET: (&str, &str) = ("POSTIZ_OAUTH_CLIENT_SECRET", "hunter3");

    fn from(vars: &[(&str, &str)]) -> Result<Config, Problems> {
        Config::from_vars(vars.iter().map(|&(name, value)| (name.into(), value.into())))
    }

    /// The required variable and these.
    fn with(vars: &[(&str, &str)]) -> Result<Config, Problems> {
        from(&[&[DATABASE_URL], vars].concat())
    }

    fn names(problems: &Problems) -> Vec<&str> {
        problems.0.iter().map(|problem| problem.variable).collect()
    }

    #[test]
    fn one_variable_is_enough() {
        let config = with(&[]).unwrap();
        assert_eq!(config.database.to_string(), "db.example.com:5432/auth");
        assert!(config.app.is_none());
        assert_eq!((config.port, config.metrics_address), (3111, None));
        assert_eq!(config.callback_url().as_str(), "http://localhost:3111/device/callback");
        assert_eq!(config.api_url.as_str(), "https://api.postiz.com");
        assert_eq!(config.frontend_url.as_ref().unwrap().as_str(), "https://platform.postiz.com");
        assert_eq!((config.long_poll, config.device_code_ttl), (Duration::from_secs(25), Duration::from_mins(15)));
        assert_eq!((config.max_held_polls, config.database_pool_size, config.drain), (6000, 8, Duration::ZERO));
        assert_eq!((config.rate_limit_guesses, config.rate_limit_codes), (10, 60));
        assert_eq!((config.client_ip_source, &config.trusted_proxies), (ClientIpSource::Auto, &vec![]));
        assert_eq!((&config.operator_name, &config.operator_url, config.platform), (&None, &None, None));
        assert_eq!((config.log_filter.as_str(), config.warnings()), ("info", vec![]));
    }

    #[test]
    fn all_problems_are_reported_at_once_and_no_secret_is_shown() {
        let problems = from(&[
            ("DATABASE_URL", "postgres://auth:hunter2@db"),
            ("POSTIZ_OAUTH_CLIENT_SECRET", "hunter3 hunter4"),
            ("PORT", "http"),
            ("SERVER_URL", "auth.example.com"),
            ("POSTIZ_API_URL", "https://me:hunter5@example.com"),
            ("LONG_POLL_SECONDS", "56"),
            ("LOG_FORMAT", "xml"),
            ("CLIENT_IP_SOURCE", "X-Forwarded-For"),
            ("TRUSTED_PROXIES", "10.0.0.0/8,postgres://auth:hunter6@db"),
        ])
        .unwrap_err();
        let mut found = names(&problems);
        found.sort_unstable();
        let expected = "CLIENT_IP_SOURCE DATABASE_URL LOG_FORMAT LONG_POLL_SECONDS PORT POSTIZ_API_URL \
                        POSTIZ_OAUTH_CLIENT_SECRET SERVER_URL TRUSTED_PROXIES";
        assert_eq!(found.join(" "), expected);
        let text = problems.to_string();
        for words in ["PORT is not a whole number from 0 to 65535: \"http\"", "is not one of Json, Text: \"xml\""] {
            assert!(text.contains(words), "{text}");
        }
        for shown in [text, format!("{problems:?}")] {
            assert!(!shown.contains("hunter"), "{shown}");
        }
        assert_eq!(names(&from(&[]).unwrap_err()), ["DATABASE_URL"]);
    }

    #[test]
    fn every_variable_of_the_table_is_read() {
        for variable in Config::VARIABLES.iter().filter(|variable| variable.name != "RUST_LOG") {
            // None of them takes a line break.
            let problems = from(&[DATABASE_URL, (variable.name, "=@\n=@")]).unwrap_err();
            assert!(names(&problems).contains(&variable.name), "{}: {problems}", variable.name);
        }
        assert_eq!(with(&[("RUST_LOG", "hyper=warn")]).unwrap().log_filter, "hyper=warn");
    }

    #[test]
    fn an_app_has_an_id_and_a_secret_or_there_is_none() {
        let config = with(&[CLIENT_ID, CLIENT_SECRET]).unwrap();
        let (client_id, client_secret) = config.app.as_ref().unwrap();
        assert_eq!((client_id.as_str(), client_secret.expose_secret()), ("pca_id", "hunter3"));
        let shown = format!("{config:?}");
        assert!(shown.contains("db.example.com") && !shown.contains("hunter"), "{shown}");
        for (set, missing) in [(CLIENT_ID, CLIENT_SECRET.0), (CLIENT_SECRET, CLIENT_ID.0)] {
            let problems = with(&[set]).unwrap_err();
            assert_eq!(names(&problems), [missing]);
            assert!(problems.to_string().contains("the ID and the secret, or neither"), "{problems}");
        }
    }

    type Address<'a> = &'a dyn Fn(&Config) -> Option<String>;

    #[test]
    fn addresses_follow_from_each_other_where_they_are_known() {
        let fly = ("FLY_APP_NAME", "my-auth");
        let api = ("POSTIZ_API_URL", "http://postiz:5000/api");
        let public = ("POSTIZ_PUBLIC_API_URL", "https://postiz.example.com/api");
        let server_url = |config: &Config| Some(config.server_url.to_string());
        let front_end = |config: &Config| config.frontend_url.as_ref().map(BaseUrl::to_string);
        let public_api = |config: &Config| Some(config.public_api_url().to_string());
        for (vars, address, expected) in [
            (
                &[fly, ("SERVER_URL", "https://example.com/auth/")][..],
                &server_url as Address<'_>,
                Some("https://example.com/auth"),
            ),
            (&[fly], &server_url, Some("https://my-auth.fly.dev")),
            (&[("PORT", "80")], &server_url, Some("http://localhost")),
            (&[("RAILWAY_PROJECT_ID", "7e0c"), ("PORT", "8080")], &server_url, Some("http://localhost:8080")),
            (&[api], &front_end, None),
            (&[("POSTIZ_API_URL", "https://api.postiz.com/")], &front_end, Some("https://platform.postiz.com")),
            (&[api, ("POSTIZ_FRONTEND_URL", "https://a.example")], &front_end, Some("https://a.example")),
            (&[api], &public_api, Some(api.1)),
            (&[api, public], &public_api, Some(public.1)),
        ] {
            assert_eq!(address(&with(vars).unwrap()).as_deref(), expected, "{vars:?}");
        }
    }

    #[test]
    fn words_are_read_in_any_case() {
        let config = with(&[("LOG_FORMAT", "Text"), ("CLIENT_IP_SOURCE", "xrealip")]).unwrap();
        assert_eq!((config.log_format, config.client_ip_source), (LogFormat::Text, ClientIpSource::XRealIp));
    }

    #[test]
    fn probable_mistakes_are_warned_of() {
        for (name, value, words) in [
            ("SERVER_URL", "https://auth.example.com", None),
            ("SERVER_URL", "https://google.example.com", Some("\"google\"")),
            ("SERVER_URL", "https://example.com/settings/auth", Some("\"settings\"")),
            ("POSTIZ_API_URL", "https://example.com/api", None),
            ("POSTIZ_API_URL", "https://example.com/api/v1", Some("/api/v1 is one of")),
            ("POSTIZ_PUBLIC_API_URL", "https://example.com/public/v1/", Some("/public/v1 is one of")),
            ("TRUSTED_PROXIES", "0.0.0.0/0", Some("holds 0.0.0.0/0")),
            ("TRUSTED_PROXIES", "10.0.0.0/8,::/0", Some("holds ::/0")),
            ("TRUSTED_PROXIES", "128.0.0.0/1,2000::/16", Some("/1")),
            ("TRUSTED_PROXIES", "10.0.0.0/8,2001::/16,192.0.2.1", None),
            ("DATABASE_URL", "postgres://auth:hunter2@db/auth?schema=a", Some("\"schema\"")),
        ] {
            let warnings = with(&[(name, value)]).unwrap().warnings();
            assert_eq!(warnings.len(), usize::from(words.is_some()), "{name}={value}: {warnings:?}");
            assert!(warnings.iter().all(|warning| warning.contains(words.unwrap_or_default())), "{warnings:?}");
        }
    }

    /// The example file: each variable, its value, whether it stands behind a `#`, and the line above it.
    fn example_file() -> BTreeMap<&'static str, (&'static str, bool, &'static str)> {
        let mut above = "";
        let lines = include_str!("../../.env.example").lines().filter_map(|line| {
            let comment = std::mem::replace(&mut above, line.trim_start_matches(['#', ' ']));
            let (name, value) = above.split_once('=')?;
            let is_name = name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
            is_name.then_some((name, (value, line.starts_with('#'), comment)))
        });
        lines.collect()
    }

    #[test]
    fn the_example_file_shows_the_table_and_each_of_its_values_can_be_used() {
        let file = example_file();
        assert_eq!(file.len(), Config::VARIABLES.len());
        for variable in Config::VARIABLES {
            let (value, is_comment, description) = file[variable.name];
            assert_eq!(is_comment, variable.name != "DATABASE_URL", "{}", variable.name);
            assert!(description.ends_with('.'), "{}: {description}", variable.name);
            assert!(variable.default.is_none_or(|default| default == value), "{}={value}", variable.name);
        }
        let all: Vec<_> = file.into_iter().map(|(name, (value, ..))| (name, value)).collect();
        assert_eq!(from(&all).unwrap().warnings(), [] as [&str; 0]);
    }
}
