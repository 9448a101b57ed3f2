use std::collections::BTreeMap;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;

const DATABASE_URL: (&str, &str) = ("DATABASE_URL", "postgres://auth:hunter2@db.example.com/auth?sslmode=verify-full");
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
    assert_eq!(config.port, 3111);
    assert_eq!(config.metrics_port, None);
    assert_eq!(config.server_url.to_string(), "http://localhost:3111");
    assert_eq!(config.server_url_source, ServerUrlSource::Default);
    assert_eq!(config.callback_url().as_str(), "http://localhost:3111/device/callback");
    assert_eq!(config.frontend_url.unwrap().to_string(), "https://platform.postiz.com");
    assert_eq!(config.api_url.to_string(), "https://api.postiz.com");
    assert_eq!(config.long_poll, Duration::from_secs(20));
    assert_eq!(config.device_code_ttl, Duration::from_mins(15));
    assert_eq!(config.database_pool_size, 8);
    assert_eq!(config.log_filter.directives, "");
    assert_eq!(config.client_ip_source, ClientIpSource::Auto);
    assert_eq!(config.trusted_proxies, []);
    assert_eq!(config.platform, None);
    assert_eq!(config.warnings, [] as [&str; 0]);
}

#[test]
fn an_app_has_an_id_and_a_secret_or_there_is_none() {
    let config = with(&[CLIENT_ID, CLIENT_SECRET]).unwrap();
    let PostizApp::ByHand { client_id, client_secret } = config.postiz_app() else { panic!("no app") };
    assert_eq!((client_id, client_secret.expose_secret()), ("pca_id", "hunter3"));
    let empty = [CLIENT_ID, CLIENT_SECRET].map(|(name, _)| (name, " "));
    assert!(matches!(with(&empty).unwrap().postiz_app(), PostizApp::Registered));
    for (set, missing) in [(CLIENT_ID, CLIENT_SECRET.0), (CLIENT_SECRET, CLIENT_ID.0)] {
        let problems = with(&[set]).unwrap_err();
        assert_eq!(names(&problems), [missing]);
        let why = format!("{missing} is missing ({} is set: set both, or neither)", set.0);
        assert!(problems.to_string().contains(&why), "{problems}");
    }
}

#[test]
fn the_front_end_of_another_api_is_not_guessed() {
    let front_end = |vars: &[(&str, &str)]| with(vars).unwrap().frontend_url.map(|url| url.to_string());
    let api = ("POSTIZ_API_URL", "https://postiz.example.com/api");
    assert_eq!(front_end(&[api]), None);
    assert_eq!(front_end(&[("POSTIZ_API_URL", "https://api.postiz.com/")]).unwrap(), "https://platform.postiz.com");
    assert_eq!(front_end(&[api, ("POSTIZ_FRONTEND_URL", "https://a.example")]).unwrap(), "https://a.example");
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
            "POSTIZ_OAUTH_CLIENT_SECRET",
            "PORT",
            "SERVER_URL",
            "POSTIZ_API_URL",
            "LONG_POLL_SECONDS",
            "LOG_FORMAT",
            "CLIENT_IP_SOURCE",
            "TRUSTED_PROXIES",
            "POSTIZ_OAUTH_CLIENT_ID",
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
    let required = Config::VARIABLES.iter().filter(|variable| variable.is_required());
    assert_eq!(names(&problems), required.map(|variable| variable.name).collect::<Vec<_>>());
}

#[test]
fn a_variable_that_is_not_utf8_matters_only_if_it_is_ours() {
    let broken = |name: &str| {
        let required = (DATABASE_URL.0.into(), DATABASE_URL.1.into());
        let broken = (name.into(), OsString::from_vec(vec![0xff]));
        Config::from_vars([required, broken])
    };
    assert!(broken("SOMETHING_ELSE").is_ok());
    assert_eq!(names(&broken("PORT").unwrap_err()), ["PORT"]);
    assert_eq!(names(&broken("DATABASE_URL").unwrap_err()), ["DATABASE_URL"]);
}

#[test]
fn a_misspelt_name_is_ignored_and_pointed_out() {
    let config = with(&[("port", "1"), ("PORT", "4000"), ("LONG_POL_SECONDS", "5")]).unwrap();
    assert_eq!(config.port, 4000);
    assert_eq!(config.warnings, ["LONG_POL_SECONDS is ignored: its name looks like LONG_POLL_SECONDS"]);

    let problems = from(&[("DATABSE_URL", DATABASE_URL.1)]).unwrap_err().to_string();
    assert!(
        problems.contains("DATABASE_URL is missing (DATABSE_URL is set: did you mean DATABASE_URL?)"),
        "{problems}"
    );
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
fn plain_http_is_warned_of_except_on_this_machine() {
    let warned = |url| !with(&[("SERVER_URL", url)]).unwrap().warnings.is_empty();
    assert!(warned("http://auth.example.com"));
    assert!(!warned("http://localhost:3111"));
    assert!(!warned("https://auth.example.com"));
}

#[test]
fn words_in_server_url_that_mislead_postiz_are_warned_of() {
    let warned = |url| with(&[("SERVER_URL", url)]).unwrap().warnings;
    assert!(warned("https://google.example.com")[0].contains("\"google\""));
    assert!(warned("https://example.com/settings/auth")[0].contains("\"settings\""));
    assert_eq!(warned("https://auth.example.com"), [] as [&str; 0]);
}

#[test]
fn a_client_id_of_another_provider_is_warned_of_and_not_shown() {
    let warnings = from(&[DATABASE_URL, ("POSTIZ_OAUTH_CLIENT_ID", "hunter4"), CLIENT_SECRET]).unwrap().warnings;
    assert!(warnings[0].contains("pca_ or pcd_") && !warnings[0].contains("hunter4"), "{warnings:?}");
}

#[test]
fn terminals_get_the_address_of_the_api_unless_there_is_one_for_them() {
    let api = ("POSTIZ_API_URL", "http://postiz:5000/api");
    assert_eq!(with(&[api]).unwrap().public_api_url().as_str(), api.1);
    let public = ("POSTIZ_PUBLIC_API_URL", "https://postiz.example.com/api");
    assert_eq!(with(&[api, public]).unwrap().public_api_url().as_str(), public.1);
}

#[test]
fn warnings_of_the_database_url_are_passed_on() {
    let url = "postgres://auth:hunter2@db/auth?pgbouncer=true";
    let config = from(&[("DATABASE_URL", url)]).unwrap();
    assert!(config.warnings[0].contains("pgbouncer"));
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?}", with(&[CLIENT_ID, CLIENT_SECRET]).unwrap());
    assert!(shown.contains("db.example.com") && !shown.contains("hunter"), "{shown}");
}

#[test]
fn a_mistake_in_rust_log_is_a_warning() {
    let config = with(&[("RUST_LOG", "verbose,,=")]).unwrap();
    assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
    assert_eq!(config.log_filter.directives, "verbose");
}

#[test]
fn an_empty_variable_counts_as_missing_and_quotes_are_removed() {
    let config = with(&[("PORT", " "), ("METRICS_PORT", "''"), ("DEVICE_CODE_TTL", "\"60\"")]).unwrap();
    assert_eq!((config.port, config.metrics_port, config.device_code_ttl), (3111, None, Duration::from_mins(1)));
    assert_eq!(names(&with(&[("PORT", "'1")]).unwrap_err()), ["PORT"]);
}

#[test]
fn words_are_read_in_any_case() {
    let config = with(&[("LOG_FORMAT", "Text"), ("CLIENT_IP_SOURCE", "xrealip")]).unwrap();
    assert_eq!((config.log_format, config.client_ip_source), (LogFormat::Text, ClientIpSource::XRealIp));
    let allowed = variables::CLIENT_IP_SOURCE.allowed.replace(" or ", ", ");
    for source in allowed.split(", ") {
        let config = with(&[("CLIENT_IP_SOURCE", source)]).unwrap();
        assert_eq!(config.client_ip_source.to_string(), source);
    }
}

#[test]
fn every_example_and_every_default_is_allowed() {
    for variable in Config::VARIABLES.iter().filter(|variable| !variable.secret) {
        for value in [Some(variable.example), variable.default()].into_iter().flatten() {
            let config = with(&[(variable.name, value)]).unwrap_or_else(|problems| panic!("{problems}"));
            assert_eq!(
                config.warnings.is_empty(),
                variable.name != "OTEL_EXPORTER_OTLP_ENDPOINT" || cfg!(feature = "otlp")
            );
        }
    }
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
fn the_example_file_has_the_required_variables_and_the_defaults_of_the_others() {
    let file = example_file();
    for variable in Config::VARIABLES {
        let shown = variable.default().unwrap_or(variable.example);
        assert_eq!(file[variable.name], (shown, !variable.is_required()), "{}", variable.name);
    }
}

#[test]
fn an_unedited_example_file_is_not_a_configuration() {
    let file = example_file();
    let used: Vec<_> = file.iter().filter(|(_, (_, off))| !off).map(|(&name, &(value, _))| (name, value)).collect();
    let problems = from(&used).unwrap_err();
    let required = Config::VARIABLES.iter().filter(|variable| variable.is_required());
    assert_eq!(names(&problems), required.map(|variable| variable.name).collect::<Vec<_>>());
    assert!(problems.all().iter().all(|problem| problem.why.contains("value of .env.example")), "{problems}");
}

#[test]
fn the_example_file_is_a_configuration_with_its_required_values_replaced_and_every_line_used() {
    let lines = example_file().into_iter().map(|(name, (value, _))| (name, value));
    let optional = lines.filter(|(name, _)| ![DATABASE_URL.0, CLIENT_ID.0, CLIENT_SECRET.0].contains(name));
    let replaced = [CLIENT_ID, CLIENT_SECRET];
    with(&optional.chain(replaced).collect::<Vec<_>>()).unwrap();
}

#[test]
fn a_secret_of_the_example_file_is_not_used() {
    let file = example_file();
    let example = |name| (name, file[name].0);
    for (vars, wrong) in [
        ([DATABASE_URL, example(CLIENT_ID.0), CLIENT_SECRET], CLIENT_ID.0),
        ([DATABASE_URL, CLIENT_ID, example(CLIENT_SECRET.0)], CLIENT_SECRET.0),
    ] {
        assert_eq!(names(&from(&vars).unwrap_err()), [wrong]);
    }
}
