//! Logs, as text for a terminal or JSON for machines, on standard error; and which failures are logged again, when the same ones
//! repeat many times a second.

use std::collections::HashMap;
use std::error::Error;
use std::io::IsTerminal as _;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{Subscriber, warn};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, LevelFilter, ParseError, Targets};
use tracing_subscriber::layer::{Filter, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, registry};

use crate::config::{Config, LogFormat};

/// The most verbose level that is shown of a crate; of all others it is [`MOST_OF_OTHERS`]. Libraries log what passes through
/// them, and no `RUST_LOG` raises these levels: a trace of this server must be safe to hand to anyone.
const MOST: [(&str, LevelFilter); 3] = [
    (env!("CARGO_CRATE_NAME"), LevelFilter::TRACE),
    ("actix_server", LevelFilter::WARN),
    // Logs each malformed request of a client as an error, which nobody has to act on.
    ("actix_http::h1::dispatcher", LevelFilter::OFF),
];
const MOST_OF_OTHERS: LevelFilter = LevelFilter::INFO;

/// The time until a failure that lasts is logged for the second time. It doubles up to [`LONGEST_INTERVAL`].
const FIRST_INTERVAL: Duration = Duration::from_secs(10);
const LONGEST_INTERVAL: Duration = Duration::from_mins(15);
/// Texts that are remembered. A failure has few of them. With more, each may be logged once more.
const MAX_TEXTS: usize = 32;

/// Starts logging for the whole process; a second call changes nothing.
pub fn init(config: &Config) {
    let wanted = wanted(&config.log_filter);
    let is_readable = wanted.is_ok();
    let filter = filter(wanted.unwrap_or_else(|_| EnvFilter::new("info")));
    // Standard output belongs to what a command prints.
    let logger = fmt::layer().with_writer(std::io::stderr);
    let logger = match config.log_format {
        LogFormat::Json => logger.json().flatten_event(true).with_span_list(false).with_filter(filter).boxed(),
        LogFormat::Text if std::io::stderr().is_terminal() => logger.with_target(false).with_filter(filter).boxed(),
        LogFormat::Text => logger.with_target(false).with_ansi(false).with_filter(filter).boxed(),
    };
    // Tests start several servers in one process; the first one has set it up.
    drop(registry().with(logger).try_init());
    if !is_readable {
        // Without its text, which may be a secret in the wrong variable.
        warn!("RUST_LOG can't be read: the level is info");
    }
}

fn wanted(directives: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse(directives)
}

/// Two filters that must both let a line pass, because in one `EnvFilter` a more specific directive of the operator's
/// would win over ours.
fn filter<S>(wanted: EnvFilter) -> impl Filter<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    wanted.and(Targets::new().with_default(MOST_OF_OTHERS).with_targets(MOST))
}

/// An error and its causes in one line: `error: cause: cause of the cause`.
///
/// Libraries hide the useful sentence: tokio-postgres prints "db error", reqwest "error sending request".
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// For each failure that was logged, by its text.
#[derive(Debug, Default)]
pub struct Throttle(HashMap<String, Logged>);

#[derive(Debug)]
struct Logged {
    due_at: Instant,
    interval: Duration,
    repeats: u64,
}

impl Throttle {
    /// How often a failure with this text came since it was logged last, if it is logged now: at once if it is new, then at growing
    /// intervals.
    pub fn due(&mut self, text: &str, now: Instant) -> Option<u64> {
        if let Some(logged) = self.0.get_mut(text) {
            logged.repeats += 1;
            if now < logged.due_at {
                return None;
            }
            logged.interval = (logged.interval * 2).min(LONGEST_INTERVAL);
            logged.due_at = now + logged.interval;
            return Some(std::mem::take(&mut logged.repeats));
        }
        if self.0.len() == MAX_TEXTS {
            self.0.clear();
        }
        let logged = Logged { due_at: now + FIRST_INTERVAL, interval: FIRST_INTERVAL, repeats: 0 };
        self.0.insert(text.to_owned(), logged);
        Some(0)
    }

    /// Forgets all: the failure is over, and the next one is new.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{debug, debug_span, info, info_span, trace, warn};

    use super::*;

    /// The messages that are logged with this `RUST_LOG`.
    fn logged(directives: &str) -> String {
        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<Vec<u8>>>);
        impl std::io::Write for Lines {
            fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().write(text)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::default();
        let writer = lines.clone();
        let logger = fmt::layer().with_writer(move || writer.clone()).with_filter(filter(wanted(directives).unwrap()));
        tracing::subscriber::with_default(registry().with(logger), || {
            let _ours = info_span!("request").entered();
            let _theirs = debug_span!(target: "tokio_postgres", "span").entered();
            trace!(target: "tokio_postgres::prepare", "secret");
            debug!(target: "tokio_postgres", "secret");
            debug!(target: "hyper_util::client", "secret");
            warn!(target: "actix_http::h1::dispatcher", "secret");
            info!(target: "tokio_postgres", "notice of the database");
            info!("info of ours");
            trace!("trace of ours");
        });
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn no_rust_log_makes_a_quiet_crate_verbose() {
        for directives in [
            "trace",
            "tokio_postgres=trace,hyper_util=debug",
            "tokio_postgres::prepare=trace,hyper_util::client=trace,actix_http::h1::dispatcher=trace",
            "tokio_postgres[span]=trace,[request]=trace,[span]=trace",
        ] {
            assert!(!logged(directives).contains("secret"), "{directives}");
        }
    }

    #[test]
    fn other_lines_follow_rust_log() {
        for (directives, shown) in [("", [true, true, false]), ("trace", [true; 3]), ("warn", [false; 3])] {
            let text = logged(directives);
            let messages = ["notice of the database", "info of ours", "trace of ours"];
            assert_eq!(messages.map(|message| text.contains(message)), shown, "{directives:?}: {text}");
        }
    }

    /// The seconds at which a failure is logged that repeats twice a second for an hour.
    fn logged_at(throttle: &mut Throttle, text: &str, begin: Instant) -> Vec<u64> {
        let half_seconds = (0..7200).map(|n| Duration::from_millis(n * 500));
        half_seconds.filter(|since| throttle.due(text, begin + *since).is_some()).map(|since| since.as_secs()).collect()
    }

    #[test]
    fn a_failure_that_lasts_is_logged_at_growing_intervals() {
        let (mut throttle, begin) = (Throttle::default(), Instant::now());
        assert_eq!(logged_at(&mut throttle, "a", begin), [0, 10, 30, 70, 150, 310, 630, 1270, 2170, 3070]);
    }

    #[test]
    fn a_new_text_is_logged_at_once_and_so_is_the_old_one_after_a_recovery() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        assert!(throttle.due("a", now).is_some() && throttle.due("b", now).is_some());
        assert!(throttle.due("a", now).is_none() && throttle.due("b", now).is_none());
        throttle.clear();
        assert!(throttle.due("a", now).is_some());
    }

    #[test]
    fn memory_is_bounded_if_each_text_is_another() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for n in 0..1000 {
            assert!(throttle.due(&n.to_string(), now).is_some());
        }
        assert!(throttle.0.len() <= MAX_TEXTS);
    }

    #[test]
    fn what_was_left_out_is_summed_up() {
        let (mut throttle, begin) = (Throttle::default(), Instant::now());
        assert_eq!(throttle.due("a", begin), Some(0));
        assert!((0..5).all(|_| throttle.due("a", begin).is_none()));
        assert_eq!(throttle.due("a", begin + FIRST_INTERVAL), Some(6));
    }
}
