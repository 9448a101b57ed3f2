//! Logging: sentences with handles, as text for a terminal or JSON for machines; and traces, where they are built in.

#[cfg(feature = "otlp")]
pub(crate) mod traces;

use tracing_subscriber::filter::{Directive, LevelFilter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

use crate::config::{Config, LogFormat};

/// Crates that print what passes through them, and the level above which they do. No `RUST_LOG`
/// raises them: a trace of ours must be safe to hand to anyone.
const QUIET: [&str; 15] = [
    "tokio_postgres=info",
    "postgres_protocol=info",
    "deadpool=info",
    "deadpool_postgres=info",
    "actix_http=info",
    // Calls each malformed request of a client an error; nobody has to act on one.
    "actix_http::h1::dispatcher=off",
    "actix_web=info",
    "actix_server=warn",
    "hyper=info",
    "hyper_util=info",
    "reqwest=info",
    "rustls=info",
    "mio=info",
    "opentelemetry_sdk=warn",
    "opentelemetry-otlp=warn",
];

/// Logging and traces; to be dropped when all is said.
#[derive(Debug)]
pub struct Telemetry {
    #[cfg(feature = "otlp")]
    traces: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

/// Starts logging for the whole process; a second call changes nothing.
pub fn init(config: &Config) -> Telemetry {
    let filter = filter(config.log_filter.as_deref());
    // Standard output belongs to what a command prints.
    let logger = fmt::layer().with_writer(std::io::stderr);
    let logger = match config.log_format {
        LogFormat::Json => logger.json().flatten_event(true).with_span_list(false).with_filter(filter).boxed(),
        LogFormat::Text => logger.with_target(false).with_filter(filter).boxed(),
    };
    let registry = registry().with(logger);
    #[cfg(feature = "otlp")]
    let traces = config.otlp_endpoint.as_ref().and_then(traces::provider);
    #[cfg(feature = "otlp")]
    let registry = registry.with(traces.as_ref().map(traces::layer));
    // Tests start several servers in one process; the first has set it up.
    drop(registry.try_init());
    Telemetry {
        #[cfg(feature = "otlp")]
        traces,
    }
}

#[cfg(feature = "otlp")]
impl Drop for Telemetry {
    /// Sends what has not been sent yet; waits for the collector, for some seconds at most.
    fn drop(&mut self) {
        if let Some(traces) = self.traces.take() {
            let _ = traces.shutdown();
        }
    }
}

fn filter(wanted: Option<&str>) -> EnvFilter {
    let info: Directive = LevelFilter::INFO.into();
    let filter = EnvFilter::builder().with_default_directive(info).parse_lossy(wanted.unwrap_or_default());
    QUIET.iter().filter_map(|directive| directive.parse().ok()).fold(filter, EnvFilter::add_directive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_setting_makes_the_talkative_crates_talk() {
        for wanted in [None, Some("trace"), Some("tokio_postgres=trace,hyper=debug")] {
            let filter = filter(wanted).to_string();
            for directive in QUIET {
                assert!(filter.contains(directive), "{wanted:?}: {filter}");
            }
        }
    }

    #[test]
    fn nonsense_in_rust_log_does_not_stop_the_server() {
        assert!(filter(Some("==,;nonsense=7")).to_string().contains("info"));
    }
}
