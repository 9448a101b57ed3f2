//! From the environment to a [`Config`]: every variable is read before one of them can end it, so that one start shows all
//! problems.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use super::base_url::BaseUrl;
use super::database_url::DatabaseUrl;
use super::environment::Environment;
use super::log::{LogFilter, LogFormat};
use super::network::{ClientIpSource, networks};
use super::platform::{Platform, ServerUrlSource};
use super::problems::Problems;
use super::values::{metrics_address, number, one_of, operator_name, operator_url, seconds, visible_ascii};
use super::variables::{ALL, DEFAULT_API, Variable};

/// The checked settings of a server. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Config {
    pub database: DatabaseUrl,
    pub client_id: Option<String>,
    pub client_secret: Option<SecretString>,
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
    pub log_filter: LogFilter,
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
    pub server_url_source: ServerUrlSource,
    /// Sentences for the operator, without a full stop and without secrets.
    pub warnings: Vec<String>,
}

/// Under which OAuth client people approve at Postiz.
#[derive(Debug, Clone, Copy)]
pub enum PostizApp<'a> {
    /// One app for all grants: `POSTIZ_OAUTH_CLIENT_ID` and `POSTIZ_OAUTH_CLIENT_SECRET`.
    ByHand { client_id: &'a str, client_secret: &'a SecretString },
    /// Neither is set: the server registers a client at Postiz for each grant (RFC 7591).
    Registered,
}

impl Config {
    pub const VARIABLES: &'static [Variable] = ALL;

    /// The port of a server that runs with this environment, even if other variables are wrong.
    pub fn port_from_env() -> u16 {
        Environment::read(std::env::vars_os(), &mut Problems::default()).port()
    }

    pub fn postiz_app(&self) -> PostizApp<'_> {
        match (&self.client_id, &self.client_secret) {
            (Some(client_id), Some(client_secret)) => PostizApp::ByHand { client_id, client_secret },
            // A configuration with one of them does not load.
            _ => PostizApp::Registered,
        }
    }

    /// The API for terminals.
    pub fn public_api_url(&self) -> &BaseUrl {
        self.public_api.as_ref().unwrap_or(&self.api_url)
    }

    /// The redirection endpoint (RFC 6749 section 3.1.2), to be registered at Postiz.
    pub fn callback_url(&self) -> Url {
        self.server_url.join("/device/callback")
    }

    /// A word in the callback URL that misleads Postiz's sign-in page, so that people who are signed out never arrive.
    pub fn misleading_word(&self) -> Option<&'static str> {
        ["google", "settings"].into_iter().find(|word| self.callback_url().as_str().contains(word))
    }
}

/// The front end of the default API.
const POSTIZ_FRONTEND: &str = "https://platform.postiz.com";

pub(super) fn load(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Config, Problems> {
    let mut problems = Problems::default();
    let environment = Environment::read(vars, &mut problems);
    let mut reader = Reader { environment, problems };
    let config = reader.config();
    reader.require_both_or_neither("POSTIZ_OAUTH_CLIENT_ID", "POSTIZ_OAUTH_CLIENT_SECRET");
    match config {
        Some(mut config) if reader.problems.all().is_empty() => {
            if config.api_url.as_str() == DEFAULT_API {
                config.frontend_url = config.frontend_url.or_else(|| POSTIZ_FRONTEND.parse().ok());
            }
            Ok(config)
        }
        _ => Err(reader.problems),
    }
}

struct Reader {
    environment: Environment,
    problems: Problems,
}

impl Reader {
    fn config(&mut self) -> Option<Config> {
        let database = self.optional("DATABASE_URL", DatabaseUrl::parse);
        let api_url = self.optional("POSTIZ_API_URL", str::parse);
        let (server_url, server_url_source) = self.server_url();
        Some(Config {
            client_id: self.optional("POSTIZ_OAUTH_CLIENT_ID", visible_ascii),
            client_secret: self.optional("POSTIZ_OAUTH_CLIENT_SECRET", visible_ascii).map(SecretString::from),
            port: self.value("PORT", number(0..=65_535)),
            metrics_address: self.optional("METRICS_ADDRESS", metrics_address),
            frontend_url: self.optional("POSTIZ_FRONTEND_URL", str::parse),
            public_api: self.optional("POSTIZ_PUBLIC_API_URL", str::parse),
            long_poll: self.value("LONG_POLL_SECONDS", seconds(0..=55)),
            max_held_polls: self.value("MAX_HELD_POLLS", number(1..=1_000_000)),
            device_code_ttl: self.value("DEVICE_CODE_TTL", seconds(1..=3600)),
            database_pool_size: self.value("DATABASE_POOL_SIZE", number(1..=100)),
            drain: self.value("DRAIN_SECONDS", seconds(0..=300)),
            log_format: self.optional("LOG_FORMAT", one_of).unwrap_or_else(LogFormat::by_default),
            log_filter: self.value("RUST_LOG", LogFilter::parse),
            client_ip_source: self.value("CLIENT_IP_SOURCE", one_of),
            trusted_proxies: self.value("TRUSTED_PROXIES", networks),
            rate_limit_guesses: self.value("RATE_LIMIT_GUESSES", number(0..=100_000)),
            rate_limit_codes: self.value("RATE_LIMIT_CODES", number(0..=100_000)),
            operator_name: self.optional("OPERATOR_NAME", operator_name),
            operator_url: self.optional("OPERATOR_URL", operator_url),
            platform: Platform::recognise(&self.environment),
            server_url_source,
            warnings: Vec::new(),
            // These last: by now, all others have been read.
            database: database?,
            server_url: server_url?,
            api_url: api_url?,
        })
    }

    /// What the operator says, else what the platform announces, else this machine.
    fn server_url(&mut self) -> (Option<BaseUrl>, ServerUrlSource) {
        let announced = Platform::recognise(&self.environment)
            .and_then(|platform| Some((platform, platform.public_url(&self.environment)?)));
        if self.environment.get("SERVER_URL").is_some() {
            (self.optional("SERVER_URL", str::parse), ServerUrlSource::Set)
        } else if let Some((platform, url)) = announced {
            (Some(url), ServerUrlSource::Platform(platform))
        } else {
            (format!("http://localhost:{}", self.environment.port()).parse().ok(), ServerUrlSource::Default)
        }
    }

    /// The variable's value, or its type's default if there is none. If it can't be used, a problem is noted.
    fn value<T: Default>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        self.optional(name, parse).unwrap_or_default()
    }

    fn optional<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let variable = Config::VARIABLES.iter().find(|variable| variable.name == name)?;
        let Some(text) = self.environment.get(name).or(variable.default) else {
            if variable.required {
                self.problems.note(variable, "is missing", None);
            }
            return None;
        };
        let parsed = if variable.secret && text == variable.example {
            Err("still has the value of .env.example: put your own there".to_owned())
        } else {
            parse(text)
        };
        parsed.map_err(|why| self.problems.note(variable, why, Some(text))).ok()
    }

    fn require_both_or_neither(&mut self, first: &str, second: &str) {
        for (set, missing) in [(first, second), (second, first)] {
            let is_missing = self.environment.get(set).is_some() && self.environment.get(missing).is_none();
            if let Some(variable) = Config::VARIABLES.iter().find(|variable| is_missing && variable.name == missing) {
                self.problems.note(variable, format!("is missing ({set} is set: set both, or neither)"), None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

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
        problems.all().iter().map(|problem| problem.variable.name).collect()
    }

    #[test]
    fn one_variable_is_enough() {
        let config = with(&[]).unwrap();
        assert_eq!(config.database.to_string(), "db.example.com:5432/auth");
        assert!(matches!(config.postiz_app(), PostizApp::Registered));
        assert_eq!((config.port, config.metrics_address), (3111, None));
        assert_eq!(config.callback_url().as_str(), "http://localhost:3111/device/callback");
        assert_eq!(config.api_url.as_str(), "https://api.postiz.com");
        assert_eq!(config.frontend_url.unwrap().as_str(), "https://platform.postiz.com");
        assert_eq!((config.long_poll, config.device_code_ttl), (Duration::from_secs(20), Duration::from_mins(15)));
        assert_eq!((config.max_held_polls, config.database_pool_size, config.drain), (6000, 8, Duration::ZERO));
        assert_eq!((config.rate_limit_guesses, config.rate_limit_codes), (10, 60));
        assert_eq!((config.client_ip_source, config.trusted_proxies), (ClientIpSource::Auto, vec![]));
        assert_eq!((config.operator_name, config.operator_url, config.platform), (None, None, None));
        assert_eq!((config.log_filter.directives.as_str(), config.warnings), ("", vec![]));
    }

    #[test]
    fn all_problems_are_reported_at_once_and_no_secret_is_shown() {
        let problems = from(&[
            ("DATABASE_URL", "postgres://auth:hunter2@db"),
            ("POSTIZ_OAUTH_CLIENT_ID", "  "),
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
                        POSTIZ_OAUTH_CLIENT_ID POSTIZ_OAUTH_CLIENT_SECRET SERVER_URL TRUSTED_PROXIES";
        assert_eq!(found.join(" "), expected);
        let text = problems.to_string();
        for problem in problems.all() {
            let Variable { name, description, allowed, example, .. } = problem.variable;
            for part in [format!("\n{name} "), (*description).into(), (*allowed).into(), format!("{name}={example}")] {
                assert!(text.contains(&part), "{part} is not in {text}");
            }
        }
        assert!(text.contains("PORT is not a whole number: \"http\""), "{text}");
        for shown in [text, format!("{problems:?}")] {
            assert!(!shown.contains("hunter"), "{shown}");
        }
        assert_eq!(names(&from(&[]).unwrap_err()), ["DATABASE_URL"]);
    }

    #[test]
    fn every_variable_of_the_table_is_read() {
        for variable in Config::VARIABLES {
            // None of them takes a line break, but one reads it as two directives that it can warn of.
            let config = from(&[DATABASE_URL, (variable.name, "=@\n=@")]);
            let found = config.map_or_else(|problems| problems.to_string(), |config| config.warnings.join(" "));
            assert!(found.contains(variable.name), "{}: {found}", variable.name);
        }
    }

    #[test]
    fn every_example_and_every_default_is_allowed() {
        for variable in Config::VARIABLES.iter().filter(|variable| !variable.secret) {
            for value in [Some(variable.example), variable.default].into_iter().flatten() {
                let config = with(&[(variable.name, value)]).unwrap_or_else(|problems| panic!("{problems}"));
                assert_eq!(config.warnings, [] as [&str; 0]);
            }
        }
    }

    #[test]
    fn an_app_has_an_id_and_a_secret_or_there_is_none() {
        let config = with(&[CLIENT_ID, CLIENT_SECRET]).unwrap();
        let PostizApp::ByHand { client_id, client_secret } = config.postiz_app() else { panic!("no app") };
        assert_eq!((client_id, client_secret.expose_secret()), ("pca_id", "hunter3"));
        let shown = format!("{config:?}");
        assert!(shown.contains("db.example.com") && !shown.contains("hunter"), "{shown}");
        for (set, missing) in [(CLIENT_ID, CLIENT_SECRET.0), (CLIENT_SECRET, CLIENT_ID.0)] {
            let problems = with(&[set]).unwrap_err();
            assert_eq!(names(&problems), [missing]);
            let why = format!("{missing} is missing ({} is set: set both, or neither)", set.0);
            assert!(problems.to_string().contains(&why), "{problems}");
        }
    }

    #[test]
    fn the_server_url_comes_from_the_operator_else_from_the_platform_else_from_the_port() {
        let chosen = |vars: &[(&str, &str)]| {
            let config = with(vars).unwrap();
            (config.server_url.to_string(), config.server_url_source, config.warnings.len())
        };
        let fly = ("FLY_APP_NAME", "my-auth");
        let set = ("SERVER_URL", "https://example.com/auth/");
        assert_eq!(chosen(&[fly, set]), ("https://example.com/auth".to_owned(), ServerUrlSource::Set, 0));
        let platform = ServerUrlSource::Platform(Platform::Fly);
        assert_eq!(chosen(&[fly]), ("https://my-auth.fly.dev".to_owned(), platform, 0));
        assert_eq!(chosen(&[("PORT", "80")]), ("http://localhost".to_owned(), ServerUrlSource::Default, 0));
        let unnamed = [("RAILWAY_PROJECT_ID", "7e0c"), ("PORT", "8080")];
        assert_eq!(chosen(&unnamed), ("http://localhost:8080".to_owned(), ServerUrlSource::Default, 1));
    }

    #[test]
    fn addresses_of_postiz_follow_from_each_other_where_they_are_known() {
        let api = ("POSTIZ_API_URL", "http://postiz:5000/api");
        let front_end = |vars: &[(&str, &str)]| with(vars).unwrap().frontend_url.map(|url| url.to_string());
        assert_eq!(front_end(&[api]), None);
        assert_eq!(front_end(&[("POSTIZ_API_URL", "https://api.postiz.com/")]).unwrap(), "https://platform.postiz.com");
        assert_eq!(front_end(&[api, ("POSTIZ_FRONTEND_URL", "https://a.example")]).unwrap(), "https://a.example");
        assert_eq!(with(&[api]).unwrap().public_api_url().as_str(), api.1);
        let public = ("POSTIZ_PUBLIC_API_URL", "https://postiz.example.com/api");
        assert_eq!(with(&[api, public]).unwrap().public_api_url().as_str(), public.1);
    }

    #[test]
    fn words_are_read_in_any_case() {
        let config = with(&[("LOG_FORMAT", "Text"), ("CLIENT_IP_SOURCE", "xrealip")]).unwrap();
        assert_eq!((config.log_format, config.client_ip_source), (LogFormat::Text, ClientIpSource::XRealIp));
        let variable = Config::VARIABLES.iter().find(|variable| variable.name == "CLIENT_IP_SOURCE").unwrap();
        for source in variable.allowed.replace(" or ", ", ").split(", ") {
            assert_eq!(with(&[("CLIENT_IP_SOURCE", source)]).unwrap().client_ip_source.to_string(), source);
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
    fn the_example_file_shows_the_table() {
        let file = example_file();
        let table = Config::VARIABLES.iter().map(|variable| {
            let shown = variable.default.unwrap_or(variable.example);
            (variable.name, (shown, !variable.required, variable.description))
        });
        assert_eq!(file, table.collect());
    }

    #[test]
    fn a_secret_of_the_example_file_is_not_used() {
        let file = example_file();
        let example = |name| (name, file[name].0);
        for (vars, wrong) in [
            ([example(DATABASE_URL.0), CLIENT_ID, CLIENT_SECRET], DATABASE_URL.0),
            ([DATABASE_URL, example(CLIENT_ID.0), CLIENT_SECRET], CLIENT_ID.0),
            ([DATABASE_URL, CLIENT_ID, example(CLIENT_SECRET.0)], CLIENT_SECRET.0),
        ] {
            let problems = from(&vars).unwrap_err();
            assert_eq!(names(&problems), [wrong]);
            assert!(problems.all()[0].why.contains("value of .env.example"), "{problems}");
        }
    }

    #[test]
    fn the_example_file_is_a_configuration_with_its_secrets_replaced_and_every_line_used() {
        let lines = example_file().into_iter().map(|(name, (value, ..))| (name, value));
        let replaced = [DATABASE_URL, CLIENT_ID, CLIENT_SECRET];
        let others = lines.filter(|(name, _)| !replaced.iter().any(|(secret, _)| secret == name));
        from(&others.chain(replaced).collect::<Vec<_>>()).unwrap();
    }
}
