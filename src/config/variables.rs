//! The table of variables. See [`super::table`] for what an entry generates.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use serde::Deserialize;

use super::base_url::BaseUrl;
use super::client_ip_source::ClientIpSource;
use super::database_url::DatabaseUrl;
use super::log_filter::LogFilter;
use super::log_format::{self, LogFormat};
use super::platform::Platform;
use super::problems::Problems;
use super::server_url::{self, ServerUrlSource};
use super::table::{take, variables};
use super::values::{ip_address, networks, number, one_of, seconds, visible_ascii};
use super::variable::{Presence, Variable};
use super::vars::{DEFAULT_PORT, Vars};

variables! {
    DATABASE_URL {
        field: database: DatabaseUrl,
        presence: Required,
        parse: DatabaseUrl::parse,
        secret: true,
        description: "The PostgreSQL database that holds the logins in progress.",
        allowed: "a PostgreSQL URL with user, host and database; reserved characters in a password are percent-encoded (@ as %40)",
        example: "postgres://postiz_auth:change-me@localhost:5432/postiz_auth",
    }
    POSTIZ_OAUTH_CLIENT_ID {
        field: client_id: Option<String>,
        presence: Optional,
        parse: visible_ascii,
        secret: true,
        description: "The client ID of an OAuth app that you made in Postiz. Without it and its secret, the server registers \
                      a client at Postiz for each login.",
        allowed: "the client ID as Postiz shows it",
        example: "pca_0123456789abcdef",
    }
    POSTIZ_OAUTH_CLIENT_SECRET {
        field: client_secret: Option<SecretString>,
        presence: Optional,
        parse: |text| visible_ascii(text).map(SecretString::from),
        secret: true,
        description: "The client secret of that OAuth app.",
        allowed: "the client secret as Postiz showed it once",
        example: "change-me-0123456789abcdef",
    }
    PORT {
        field: port: u16,
        presence: Default(DEFAULT_PORT),
        parse: number::<u16>(0..=65_535),
        secret: false,
        description: "The TCP port that the server listens on.",
        allowed: "a port, 1 to 65535; 0 lets the system pick a free one",
        example: "3111",
    }
    METRICS_PORT {
        field: metrics_port: Option<u16>,
        presence: Optional,
        parse: number::<u16>(0..=65_535),
        secret: false,
        description: "The TCP port that serves /metrics to Prometheus; if it is not set, there are no metrics.",
        allowed: "a port, 1 to 65535; 0 lets the system pick a free one",
        example: "9464",
    }
    METRICS_ADDRESS {
        field: metrics_address: Option<IpAddr>,
        presence: Optional,
        parse: ip_address,
        secret: false,
        description: "The IP address that /metrics is served on; all addresses of this machine if it is not set.",
        allowed: "an IP address of this machine",
        example: "127.0.0.1",
    }
    SERVER_URL {
        field: server_url: BaseUrl,
        presence: Derived(server_url::derived),
        parse: str::parse::<BaseUrl>,
        secret: false,
        description: "Where browsers and the CLI reach this server. By default the public URL that Fly.io, Railway or Render \
                      announces, elsewhere http://localhost with the port above.",
        allowed: "an https:// URL, or http:// for trying out; a path is kept",
        example: "https://auth.example.com",
    }
    POSTIZ_FRONTEND_URL {
        field: frontend_url: Option<BaseUrl>,
        presence: Optional,
        parse: str::parse::<BaseUrl>,
        secret: false,
        description: "The address of Postiz in a browser. By default https://platform.postiz.com for the default API, \
                      elsewhere what Postiz's OAuth metadata says.",
        allowed: "an https:// or http:// URL",
        example: "https://postiz.example.com",
    }
    POSTIZ_API_URL {
        field: api_url: BaseUrl,
        presence: Default("https://api.postiz.com"),
        parse: str::parse::<BaseUrl>,
        secret: false,
        description: "The address of Postiz's API; a self-hosted Postiz has it at /api.",
        allowed: "an https:// or http:// URL",
        example: "https://postiz.example.com/api",
    }
    POSTIZ_PUBLIC_API_URL {
        field: public_api: Option<BaseUrl>,
        presence: Optional,
        parse: str::parse::<BaseUrl>,
        secret: false,
        description: "The address of Postiz's API for terminals, if the one above works only on the server's own network.",
        allowed: "an https:// or http:// URL",
        example: "https://postiz.example.com/api",
    }
    LONG_POLL_SECONDS {
        field: long_poll: Duration,
        presence: Default("20"),
        parse: seconds(0..=55),
        secret: false,
        description: "Seconds for which a poll for the token may be held open.",
        allowed: "0 to 55; 0 answers every poll at once",
        example: "20",
    }
    HELD_POLLS_MEMORY_MB {
        field: held_polls_memory_mb: Option<u64>,
        presence: Optional,
        parse: number::<u64>(1..=1_000_000),
        secret: false,
        description: "The memory for terminals that wait, about 25 kB each; by default most of a container's memory, or half of \
                      the machine's.",
        allowed: "megabytes, 1 to 1000000",
        example: "200",
    }
    DEVICE_CODE_TTL {
        field: device_code_ttl: Duration,
        presence: Default("900"),
        parse: seconds(1..=3600),
        secret: false,
        description: "Seconds after which a login that was not approved expires.",
        allowed: "1 to 3600",
        example: "900",
    }
    DATABASE_POOL_SIZE {
        field: database_pool_size: usize,
        presence: Default("8"),
        parse: number::<usize>(1..=100),
        secret: false,
        description: "The largest number of database connections of one replica.",
        allowed: "1 to 100",
        example: "8",
    }
    DRAIN_SECONDS {
        field: drain: Duration,
        presence: Default("0"),
        parse: seconds(0..=300),
        secret: false,
        description: "Seconds to keep serving after SIGTERM while /health already answers 503.",
        allowed: "0 to 300; 0 stops at once",
        example: "10",
    }
    LOG_FORMAT {
        field: log_format: LogFormat,
        presence: Derived(log_format::derived),
        parse: one_of::<LogFormat>,
        secret: false,
        description: "How log lines are written. By default text on a terminal, json elsewhere.",
        allowed: "json or text",
        example: "json",
    }
    RUST_LOG {
        field: log_filter: LogFilter,
        presence: Optional,
        parse: LogFilter::parse,
        secret: false,
        description: "Which log lines are written, by level or by module; info if it is not set.",
        allowed: "a level (error, warn, info, debug, trace) or a list such as info,hyper=warn",
        example: "info",
    }
    OTEL_EXPORTER_OTLP_ENDPOINT {
        field: otlp_endpoint: Option<BaseUrl>,
        presence: Optional,
        parse: str::parse::<BaseUrl>,
        secret: false,
        description: "The OpenTelemetry collector that traces are sent to, in builds with the feature otlp. OpenTelemetry's \
                      other variables apply too.",
        allowed: "an https:// or http:// URL, to which /v1/traces is appended",
        example: "http://localhost:4318",
    }
    CLIENT_IP_SOURCE {
        field: client_ip_source: ClientIpSource,
        presence: Default("Auto"),
        parse: one_of::<ClientIpSource>,
        secret: false,
        description: "Where the client's address is taken from, for rate limits and for the address that the pages show.",
        allowed: "Auto, Connection, RightmostXForwardedFor, XRealIp, FlyClientIp or CfConnectingIp",
        example: "RightmostXForwardedFor",
    }
    TRUSTED_PROXIES {
        field: trusted_proxies: Vec<IpNet>,
        presence: Optional,
        parse: networks,
        secret: false,
        description: "Proxies whose X-Forwarded-For is trusted: those with public addresses, and further ones before the first.",
        allowed: "networks and addresses, separated by commas",
        example: "203.0.113.0/24,2001:db8::/32",
    }
    RATE_LIMIT_GUESSES {
        field: rate_limit_guesses: u32,
        presence: Default("10"),
        parse: number::<u32>(0..=100_000),
        secret: false,
        description: "Wrong codes that a client may enter in 15 minutes, counted over all replicas.",
        allowed: "0 to 100000; 0 sets no limit",
        example: "10",
    }
    RATE_LIMIT_CODES {
        field: rate_limit_codes: u32,
        presence: Default("60"),
        parse: number::<u32>(0..=100_000),
        secret: false,
        description: "Logins that a client may start in a minute, counted by each replica.",
        allowed: "0 to 100000; 0 sets no limit",
        example: "60",
    }
}
