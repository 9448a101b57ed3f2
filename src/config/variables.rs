//! The table of variables: what the problems, `.env.example` and the documentation say comes from here.

/// A variable of the environment that the server reads.
#[derive(Debug)]
pub struct Variable {
    /// Its name, always in capitals.
    pub name: &'static str,
    /// Whether the server refuses to start without it.
    pub required: bool,
    /// What holds where it is not set, as it would be written; none where nothing fixed holds.
    pub default: Option<&'static str>,
    /// What it decides, in one sentence.
    pub description: &'static str,
    /// Which values it may have.
    pub allowed: &'static str,
    /// A value that it could have.
    pub example: &'static str,
    /// Whether its value must never be shown.
    pub secret: bool,
}

impl Variable {
    const fn required(name: &'static str, description: &'static str) -> Self {
        Self { name, required: true, default: None, description, allowed: "", example: "", secret: true }
    }

    const fn optional(name: &'static str, default: Option<&'static str>, description: &'static str) -> Self {
        Self { name, required: false, default, description, allowed: "", example: "", secret: false }
    }

    const fn allowed(self, allowed: &'static str, example: &'static str) -> Self {
        Self { allowed, example, ..self }
    }
}

pub(super) const DATABASE_URL: Variable = Variable::required(
    "DATABASE_URL",
    "The PostgreSQL database that keeps the logins under way.",
)
.allowed(
    "a PostgreSQL URL with user, host and database; reserved characters in a password are percent-encoded (@ as %40)",
    "postgres://postiz_auth:change-me@localhost:5432/postiz_auth",
);

pub(super) const CLIENT_ID: Variable =
    Variable::required("POSTIZ_OAUTH_CLIENT_ID", "The client ID of the OAuth app that you made in Postiz.")
        .allowed("the client ID as Postiz shows it", "pca_0123456789abcdef");

pub(super) const CLIENT_SECRET: Variable =
    Variable::required("POSTIZ_OAUTH_CLIENT_SECRET", "The client secret of that OAuth app.")
        .allowed("the client secret as Postiz showed it once", "change-me-0123456789abcdef");

pub(super) const PORT: Variable = Variable::optional("PORT", Some("3111"), "The TCP port that the server listens on.")
    .allowed("a port, 1 to 65535; 0 lets the system pick a free one", "3111");

pub(super) const METRICS_PORT: Variable =
    Variable::optional("METRICS_PORT", None, "The TCP port for Prometheus, apart from the public one.")
        .allowed("a port, 1 to 65535; 0 lets the system pick a free one; without it there is none", "9464");

pub(super) const SERVER_URL: Variable = Variable::optional(
    "SERVER_URL",
    None,
    "Where people reach this server. By default the public URL that Fly.io, Railway or Render announces, elsewhere \
     http://localhost with the port above.",
)
.allowed("an https:// URL, or http:// for trying out; a path is kept", "https://auth.example.com");

pub(super) const FRONTEND_URL: Variable = Variable::optional(
    "POSTIZ_FRONTEND_URL",
    Some("https://platform.postiz.com"),
    "Where people see Postiz; its page for granting access is below it.",
)
.allowed("an https:// or http:// URL", "https://postiz.example.com");

pub(super) const API_URL: Variable = Variable::optional(
    "POSTIZ_API_URL",
    Some("https://api.postiz.com"),
    "Where the API of Postiz is; a self-hosted Postiz has it at /api.",
)
.allowed("an https:// or http:// URL", "https://postiz.example.com/api");

pub(super) const LONG_POLL_SECONDS: Variable =
    Variable::optional("LONG_POLL_SECONDS", Some("20"), "How long a poll for the token may be held open, in seconds.")
        .allowed("0 to 55; 0 never holds one", "20");

pub(super) const DEVICE_CODE_TTL: Variable =
    Variable::optional("DEVICE_CODE_TTL", Some("900"), "How long a login may take, in seconds.")
        .allowed("1 to 3600", "900");

pub(super) const DATABASE_POOL_SIZE: Variable =
    Variable::optional("DATABASE_POOL_SIZE", Some("8"), "How many database connections a replica may hold.")
        .allowed("1 to 100", "8");

pub(super) const DRAIN_SECONDS: Variable = Variable::optional(
    "DRAIN_SECONDS",
    Some("0"),
    "How long everything is still served after the wish to stop, while /health already says 503, in seconds.",
)
.allowed("0 to 300; 0 stops at once", "10");

pub(super) const LOG_FORMAT: Variable =
    Variable::optional("LOG_FORMAT", None, "How log lines are written; text on a terminal, json elsewhere.")
        .allowed("json or text", "json");

pub(super) const RUST_LOG: Variable =
    Variable::optional("RUST_LOG", None, "Which log lines are written, by level or by module.")
        .allowed("a level (error, warn, info, debug, trace) or a list such as info,hyper=warn", "info");

pub(super) const OTLP_ENDPOINT: Variable = Variable::optional(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    None,
    "The OpenTelemetry collector that traces are sent to, in builds with the feature otlp; OpenTelemetry's other variables \
     hold too.",
)
.allowed("an https:// or http:// URL, to which /v1/traces is appended", "http://localhost:4318");

pub(super) const CLIENT_IP_SOURCE: Variable = Variable::optional(
    "CLIENT_IP_SOURCE",
    Some("Auto"),
    "Which part of a request says who the client is, for the limits and for the page on which people compare addresses.",
)
.allowed("Auto, Connection, RightmostXForwardedFor, XRealIp, FlyClientIp or CfConnectingIp", "RightmostXForwardedFor");

pub(super) const TRUSTED_PROXIES: Variable = Variable::optional(
    "TRUSTED_PROXIES",
    None,
    "The proxies in front of the server whose X-Forwarded-For is believed, besides private addresses.",
)
.allowed("networks and addresses, separated by commas", "203.0.113.0/24,2001:db8::/32");

pub(super) const RATE_LIMIT_GUESSES: Variable = Variable::optional(
    "RATE_LIMIT_GUESSES",
    Some("10"),
    "How many wrong codes a client may enter in 15 minutes, counted over all replicas.",
)
.allowed("0 to 100000; 0 sets no limit", "10");

pub(super) const RATE_LIMIT_CODES: Variable = Variable::optional(
    "RATE_LIMIT_CODES",
    Some("60"),
    "How many logins a client may start in a minute, counted by each replica.",
)
.allowed("0 to 100000; 0 sets no limit", "60");

/// Every variable that the server reads from its operator, the required ones first.
pub(super) const ALL: &[Variable] = &[
    DATABASE_URL,
    CLIENT_ID,
    CLIENT_SECRET,
    PORT,
    METRICS_PORT,
    SERVER_URL,
    FRONTEND_URL,
    API_URL,
    LONG_POLL_SECONDS,
    DEVICE_CODE_TTL,
    DATABASE_POOL_SIZE,
    DRAIN_SECONDS,
    LOG_FORMAT,
    RUST_LOG,
    OTLP_ENDPOINT,
    CLIENT_IP_SOURCE,
    TRUSTED_PROXIES,
    RATE_LIMIT_GUESSES,
    RATE_LIMIT_CODES,
];
