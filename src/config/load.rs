//! From variables to a [`Config`]: clean, map with envy, collect every problem, assemble.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::base_url::BaseUrl;
use super::client_ip_source::ClientIpSource;
use super::database_url::DatabaseUrl;
use super::field::{Field, bare};
use super::platform::Platform;
use super::problems::Problems;
use super::spelling::is_slip;
use super::values::{LogFormat, Networks, Visible, Within};
use super::{Config, server_url, variables as v};

/// The variables as envy maps them. A test holds the names against the table.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Raw {
    database_url: Field<DatabaseUrl>,
    postiz_oauth_client_id: Field<Visible>,
    postiz_oauth_client_secret: Field<Visible>,
    port: Field<Within<0, 65_535>>,
    metrics_port: Field<Within<0, 65_535>>,
    server_url: Field<BaseUrl>,
    postiz_frontend_url: Field<BaseUrl>,
    postiz_api_url: Field<BaseUrl>,
    long_poll_seconds: Field<Within<0, 55>>,
    device_code_ttl: Field<Within<1, 3600>>,
    database_pool_size: Field<Within<1, 100>>,
    drain_seconds: Field<Within<0, 300>>,
    log_format: Field<LogFormat>,
    rust_log: Field<String>,
    otel_exporter_otlp_endpoint: Field<BaseUrl>,
    client_ip_source: Field<ClientIpSource>,
    trusted_proxies: Field<Networks>,
    rate_limit_guesses: Field<Within<0, 100_000>>,
    rate_limit_codes: Field<Within<0, 100_000>>,
}

/// Reads all variables before it gives up, so that one start shows all problems.
pub(super) fn load(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Config, Problems> {
    let mut problems = Problems::default();
    let vars = unicode(vars, &mut problems);
    let slips = slips(&vars);
    let platform = Platform::recognise(&vars);
    let raw = map(&vars);

    let database = raw.database_url.take(&v::DATABASE_URL, &mut problems);
    let client_id = raw.postiz_oauth_client_id.take(&v::CLIENT_ID, &mut problems);
    let client_secret = raw.postiz_oauth_client_secret.take(&v::CLIENT_SECRET, &mut problems);
    let port = raw.port.take(&v::PORT, &mut problems);
    let metrics_port = raw.metrics_port.take(&v::METRICS_PORT, &mut problems);
    let server_url = raw.server_url.take(&v::SERVER_URL, &mut problems);
    let frontend_url = raw.postiz_frontend_url.take(&v::FRONTEND_URL, &mut problems);
    let api_url = raw.postiz_api_url.take(&v::API_URL, &mut problems);
    let long_poll = raw.long_poll_seconds.take(&v::LONG_POLL_SECONDS, &mut problems);
    let device_code_ttl = raw.device_code_ttl.take(&v::DEVICE_CODE_TTL, &mut problems);
    let pool_size = raw.database_pool_size.take(&v::DATABASE_POOL_SIZE, &mut problems);
    let drain = raw.drain_seconds.take(&v::DRAIN_SECONDS, &mut problems);
    let log_format = raw.log_format.take(&v::LOG_FORMAT, &mut problems);
    let log_filter = raw.rust_log.take(&v::RUST_LOG, &mut problems);
    let otlp_endpoint = raw.otel_exporter_otlp_endpoint.take(&v::OTLP_ENDPOINT, &mut problems);
    let client_ip_source = raw.client_ip_source.take(&v::CLIENT_IP_SOURCE, &mut problems);
    let trusted_proxies = raw.trusted_proxies.take(&v::TRUSTED_PROXIES, &mut problems);
    let guesses = raw.rate_limit_guesses.take(&v::RATE_LIMIT_GUESSES, &mut problems);
    let codes = raw.rate_limit_codes.take(&v::RATE_LIMIT_CODES, &mut problems);

    // Nothing is absent here unless it is a problem already.
    let assemble = || {
        let port = u16::try_from(port?.0).ok()?;
        let database = database?;
        let (server_url, server_url_source) = server_url::choose(server_url, platform, &vars, port)?;
        let mut warnings = database.warnings.clone();
        warnings.extend(server_url::doubts(&server_url, server_url_source, platform));
        warnings.extend(slips.iter().map(|(found, meant)| format!("{found} is passed over: is {meant} meant?")));
        if otlp_endpoint.is_some() && !cfg!(feature = "otlp") {
            warnings
                .push("OTEL_EXPORTER_OTLP_ENDPOINT is passed over: this build has no traces (feature otlp)".to_owned());
        }
        Some(Config {
            database,
            client_id: client_id?.0,
            client_secret: SecretString::from(client_secret?.0),
            port,
            metrics_port: metrics_port.and_then(|port| u16::try_from(port.0).ok()),
            server_url,
            frontend_url: frontend_url?,
            api_url: api_url?,
            long_poll: Duration::from_secs(long_poll?.0.into()),
            device_code_ttl: Duration::from_secs(device_code_ttl?.0.into()),
            database_pool_size: usize::try_from(pool_size?.0).ok()?,
            drain: Duration::from_secs(drain?.0.into()),
            log_format: log_format.unwrap_or_else(LogFormat::of_stderr),
            log_filter,
            otlp_endpoint,
            client_ip_source: client_ip_source?,
            trusted_proxies: trusted_proxies.map(|networks| networks.0).unwrap_or_default(),
            rate_limit_guesses: guesses?.0,
            rate_limit_codes: codes?.0,
            platform,
            server_url_source,
            warnings,
        })
    };
    match assemble() {
        Some(config) if problems.is_empty() => Ok(config),
        _ => {
            for (found, meant) in &slips {
                problems.explain_missing(meant, &format!("{found} is set: is it meant?"));
            }
            Err(problems)
        }
    }
}

/// Keeps what is UTF-8. Anything else only matters where the variable is ours.
fn unicode(vars: impl IntoIterator<Item = (OsString, OsString)>, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut kept = BTreeMap::new();
    for (name, value) in vars {
        let Ok(name) = name.into_string() else {
            continue;
        };
        match value.into_string() {
            Ok(value) => drop(kept.insert(name, value)),
            Err(_) => v::ALL
                .iter()
                .filter(|variable| variable.name == name)
                .for_each(|variable| problems.not_unicode(variable)),
        }
    }
    kept
}

/// Maps our variables, with the table's defaults in the gaps. envy lowers all names: only those in capitals are handed to
/// it, or `port` beside `PORT` would be a duplicate.
fn map(vars: &BTreeMap<String, String>) -> Raw {
    let ours = v::ALL.iter().filter_map(|variable| {
        let set = vars.get(variable.name).filter(|value| bare(value) != Ok(""));
        let value = set.map(String::as_str).or(variable.default)?;
        Some((variable.name.to_owned(), value.to_owned()))
    });
    // Cannot fail: a `Field` keeps its problem to itself. If it did, the required variables would be missing.
    envy::from_iter(ours).unwrap_or_default()
}

/// Pairs of a variable that nobody reads and the unset one of ours that it looks like.
fn slips(vars: &BTreeMap<String, String>) -> Vec<(String, &'static str)> {
    let unset = v::ALL.iter().map(|variable| variable.name).filter(|&name| !vars.contains_key(name));
    unset.filter_map(|meant| Some((vars.keys().find(|found| is_slip(found, meant))?.clone(), meant))).collect()
}
