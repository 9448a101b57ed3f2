use std::collections::BTreeMap;
use std::os::unix::ffi::OsStringExt;

use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::value::Error as ValueError;
use serde::de::{Deserializer, Error as _, Visitor};

use super::*;

const DATABASE_URL: (&str, &str) = ("DATABASE_URL", "postgres://auth:hunter2@db.example.com/auth");
const CLIENT_ID: (&str, &str) = ("POSTIZ_OAUTH_CLIENT_ID", "pca_id");
const CLIENT_SECRET: (&str, &str) = ("POSTIZ_OAUTH_CLIENT_SECRET", "hunter3");

fn from(vars: &[(&str, &str)]) -> Result<Config, Problems> {
    Config::from_vars(vars.iter().map(|&(name, value)| (name.into(), value.into())))
}

/// The required variables and these.
fn with(vars: &[(&str, &str)]) -> Result<Config, Problems> {
    from(&[&[DATABASE_URL, CLIENT_ID, CLIENT_SECRET], vars].concat())
}

fn names(problems: &Problems) -> Vec<&str> {
    problems.all().iter().map(|problem| problem.variable.name).collect()
}

#[test]
fn three_variables_are_enough() {
    let config = with(&[]).unwrap();
    assert_eq!(config.database.to_string(), "db.example.com:5432/auth");
    assert_eq!(config.client_id, "pca_id");
    assert_eq!(config.client_secret.expose_secret(), "hunter3");
    assert_eq!(config.port, 3111);
    assert_eq!(config.metrics_port, None);
    assert_eq!(config.server_url.to_string(), "http://localhost:3111");
    assert_eq!(config.server_url_source, ServerUrlSource::Default);
    assert_eq!(config.callback_url().as_str(), "http://localhost:3111/device/callback");
    assert_eq!(config.frontend_url.to_string(), "https://platform.postiz.com");
    assert_eq!(config.api_url.to_string(), "https://api.postiz.com");
    assert_eq!(config.long_poll, Duration::from_secs(20));
    assert_eq!(config.device_code_ttl, Duration::from_mins(15));
    assert_eq!(config.database_pool_size, 8);
    assert_eq!(config.log_filter, None);
    assert_eq!(config.client_ip_source, ClientIpSource::Auto);
    assert_eq!(config.trusted_proxies, []);
    assert_eq!(config.platform, None);
    assert_eq!(config.warnings, [] as [&str; 0]);
}

#[test]
fn all_problems_are_reported_at_once() {
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
        ("TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
    ])
    .unwrap_err();
    assert_eq!(
        names(&problems),
        [
            "DATABASE_URL",
            "POSTIZ_OAUTH_CLIENT_ID",
            "POSTIZ_OAUTH_CLIENT_SECRET",
            "PORT",
            "SERVER_URL",
            "POSTIZ_API_URL",
            "LONG_POLL_SECONDS",
            "LOG_FORMAT",
            "CLIENT_IP_SOURCE",
            "TRUSTED_PROXIES",
        ]
    );
    let text = problems.to_string();
    for problem in problems.all() {
        let Variable { name, allowed, example, .. } = problem.variable;
        for part in [format!("\n{name} "), (*allowed).to_owned(), format!("{name}={example}")] {
            assert!(text.contains(&part), "{part} is not in {text}");
        }
    }
    assert!(text.contains("PORT is not a whole number: \"http\""), "{text}");
    for shown in [text, format!("{problems:?}")] {
        assert!(!shown.contains("hunter"), "{shown}");
    }
}

#[test]
fn every_required_variable_is_missed() {
    let problems = from(&[]).unwrap_err();
    let required = Config::VARIABLES.iter().filter(|variable| variable.required);
    assert_eq!(names(&problems), required.map(|variable| variable.name).collect::<Vec<_>>());
}

#[test]
fn a_variable_that_is_not_utf8_matters_only_if_it_is_ours() {
    let broken = |name: &str| {
        let required = [DATABASE_URL, CLIENT_ID, CLIENT_SECRET].map(|(name, value)| (name.into(), value.into()));
        let broken = (name.into(), OsString::from_vec(vec![0xff]));
        Config::from_vars(required.into_iter().chain([broken]))
    };
    assert!(broken("SOMETHING_ELSE").is_ok());
    assert_eq!(names(&broken("PORT").unwrap_err()), ["PORT"]);
    assert_eq!(names(&broken("DATABASE_URL").unwrap_err()), ["DATABASE_URL"]);
}

#[test]
fn another_spelling_is_passed_over_and_pointed_out() {
    let config = with(&[("port", "1"), ("PORT", "4000"), ("LONG_POL_SECONDS", "5")]).unwrap();
    assert_eq!(config.port, 4000);
    assert_eq!(config.warnings, ["LONG_POL_SECONDS is passed over: is LONG_POLL_SECONDS meant?"]);

    let problems = from(&[("DATABSE_URL", DATABASE_URL.1), CLIENT_ID, CLIENT_SECRET]).unwrap_err().to_string();
    assert!(problems.contains("DATABASE_URL is missing (DATABSE_URL is set: is it meant?)"), "{problems}");
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
    let silent = [("RAILWAY_PROJECT_ID", "7e0c"), ("PORT", "8080")];
    assert_eq!(chosen(&silent), ("http://localhost:8080".to_owned(), ServerUrlSource::Default, 1));
}

#[test]
fn plain_http_is_warned_of_unless_it_stays_on_this_machine() {
    let warned = |url| !with(&[("SERVER_URL", url)]).unwrap().warnings.is_empty();
    assert!(warned("http://auth.example.com"));
    assert!(!warned("http://localhost:3111"));
    assert!(!warned("https://auth.example.com"));
}

#[test]
fn what_the_database_url_is_warned_of_is_passed_on() {
    let url = "postgres://auth:hunter2@db.example.com/auth?pgbouncer=true";
    let config = from(&[("DATABASE_URL", url), CLIENT_ID, CLIENT_SECRET]).unwrap();
    assert!(config.warnings[0].contains("pgbouncer"));
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?}", with(&[]).unwrap());
    assert!(shown.contains("db.example.com") && !shown.contains("hunter"), "{shown}");
}

#[test]
fn every_example_and_every_default_is_allowed() {
    for variable in Config::VARIABLES {
        for value in [Some(variable.example), variable.default].into_iter().flatten() {
            with(&[(variable.name, value)]).unwrap_or_else(|problems| panic!("{problems}"));
        }
    }
}

/// Takes the names of a struct's fields out of its `Deserialize`.
struct FieldNames;

impl<'de> Deserializer<'de> for FieldNames {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ValueError> {
        Err(ValueError::custom("no struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, ValueError> {
        Err(ValueError::custom(fields.join(" ").to_uppercase()))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[test]
fn the_table_and_the_mapping_name_the_same_variables() {
    let mapped = load::Raw::deserialize(FieldNames).err().map(|names| names.to_string());
    let table: Vec<_> = Config::VARIABLES.iter().map(|variable| variable.name).collect();
    assert_eq!(mapped, Some(table.join(" ")));
}

/// The example file: each variable, its value, and whether it stands behind a `#`.
fn example_file() -> BTreeMap<&'static str, (&'static str, bool)> {
    let text = include_str!("../../.env.example");
    let assignments = text.lines().filter_map(|line| {
        let bare = line.trim_start_matches(['#', ' ']);
        let (name, value) = bare.split_once('=')?;
        let is_name = name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        is_name.then_some((name, (value, line.starts_with('#'))))
    });
    assignments.collect()
}

#[test]
fn the_example_file_has_every_variable_and_no_other() {
    let file: Vec<_> = example_file().into_keys().collect();
    let mut table: Vec<_> = Config::VARIABLES.iter().map(|variable| variable.name).collect();
    table.sort_unstable();
    assert_eq!(file, table);
}

#[test]
fn the_example_file_asks_for_what_is_required_and_shows_the_defaults_of_the_rest() {
    let file = example_file();
    for variable in Config::VARIABLES {
        let shown = variable.default.unwrap_or(variable.example);
        assert_eq!(file[variable.name], (shown, !variable.required), "{}", variable.name);
    }
}

#[test]
fn the_example_file_is_a_configuration_as_it_stands_and_with_every_line_used() {
    let file = example_file();
    let all: Vec<_> = file.iter().map(|(&name, &(value, _))| (name, value)).collect();
    let used: Vec<_> = file.iter().filter(|(_, (_, off))| !off).map(|(&name, &(value, _))| (name, value)).collect();
    let as_it_stands = from(&used).unwrap();
    assert_eq!(as_it_stands.server_url.to_string(), "http://localhost:3111");
    assert_eq!(as_it_stands.warnings, [] as [&str; 0]);
    from(&all).unwrap();
}
