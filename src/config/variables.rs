//! The table of variables. `.env.example` shows the same names, descriptions and values: a test compares them.

/// An environment variable that the server reads.
#[derive(Debug)]
pub struct Variable {
    pub name: &'static str,
    pub required: bool,
    /// Its value is never shown. It may also come from the file that [`Self::file_variable`] names.
    pub secret: bool,
    /// The value if the variable is not set; `None` if there is none, or if it follows from other variables.
    pub default: Option<&'static str>,
    /// One sentence.
    pub description: &'static str,
    pub allowed: &'static str,
    pub example: &'static str,
}

impl Variable {
    /// `NAME_FILE`, for a secret of Docker, Kubernetes or systemd.
    pub fn file_variable(&self) -> Option<String> {
        self.secret.then(|| format!("{}_FILE", self.name))
    }
}

pub(super) const DEFAULT_PORT: &str = "3111";
pub(super) const DEFAULT_API: &str = "https://api.postiz.com";

/// What is left to add is a name and a description.
const fn optional(allowed: &'static str, example: &'static str) -> Variable {
    Variable { name: "", required: false, secret: false, default: None, description: "", allowed, example }
}

const fn secret(allowed: &'static str, example: &'static str) -> Variable {
    Variable { secret: true, ..optional(allowed, example) }
}

/// The default is the example too.
const fn with_default(default: &'static str, allowed: &'static str) -> Variable {
    Variable { default: Some(default), ..optional(allowed, default) }
}

pub(super) const ALL: &[Variable] = &[
    Variable {
        name: "DATABASE_URL",
        required: true,
        description: "The PostgreSQL database that holds the logins in progress.",
        ..secret(
            "a PostgreSQL URL with user, host and database; in a password, write @ as %40, / as %2F and ? as %3F",
            "postgres://postiz_auth:change-me@localhost:5432/postiz_auth",
        )
    },
    Variable {
        name: "POSTIZ_OAUTH_CLIENT_ID",
        description: "The client ID of an app made in Postiz, if Postiz does not register clients by itself.",
        ..secret("the client ID as Postiz shows it", "pca_0123456789abcdef")
    },
    Variable {
        name: "POSTIZ_OAUTH_CLIENT_SECRET",
        description: "The client secret of that app.",
        ..secret("the client secret as Postiz showed it once", "change-me-0123456789abcdef")
    },
    Variable {
        name: "PORT",
        description: "The TCP port that the server listens on.",
        ..with_default(DEFAULT_PORT, "a port, 1 to 65535; 0 lets the system pick a free one")
    },
    Variable {
        name: "METRICS_ADDRESS",
        description: "Where Prometheus reads /metrics; if it is not set, there are no metrics.",
        ..optional("IP-ADDRESS:PORT, or a port on 127.0.0.1; 0.0.0.0:9464 listens on all addresses", "127.0.0.1:9464")
    },
    Variable {
        name: "SERVER_URL",
        description: "Where browsers and the CLI reach this server; Fly.io, Railway and Render announce it themselves.",
        ..optional("an https:// URL, or http:// for trying out; a path is kept", "https://auth.example.com")
    },
    Variable {
        name: "POSTIZ_API_URL",
        default: Some(DEFAULT_API),
        description: "The address of Postiz's API; a self-hosted Postiz has it at https://your-host/api.",
        ..optional("an https:// or http:// URL", "https://postiz.example.com/api")
    },
    Variable {
        name: "POSTIZ_PUBLIC_API_URL",
        description: "The address of Postiz's API for terminals, if the one above works only on the server's own network.",
        ..optional("an https:// or http:// URL", "https://postiz.example.com/api")
    },
    Variable {
        name: "POSTIZ_FRONTEND_URL",
        description: "The address of Postiz in a browser, if it is not the one that Postiz's OAuth metadata names.",
        ..optional("an https:// or http:// URL", "https://postiz.example.com")
    },
    Variable {
        name: "OPERATOR_NAME",
        description: "Who runs this server, shown at the bottom of each page.",
        ..optional("one line of at most 60 characters", "example.com")
    },
    Variable {
        name: "OPERATOR_URL",
        description: "Where people find the operator: a contact, imprint or privacy page.",
        ..optional("an https://, http:// or mailto: URL", "https://example.com/contact")
    },
    Variable {
        name: "LONG_POLL_SECONDS",
        description: "Seconds for which a poll for the token may be held open.",
        ..with_default("20", "0 to 55; 0 answers every poll at once")
    },
    Variable {
        name: "MAX_HELD_POLLS",
        description: "The largest number of polls that a replica holds open, about 25 kB of memory each.",
        ..with_default("6000", "1 to 1000000")
    },
    Variable {
        name: "DEVICE_CODE_TTL",
        description: "Seconds after which a login that was not approved expires.",
        ..with_default("900", "1 to 3600")
    },
    Variable {
        name: "DATABASE_POOL_SIZE",
        description: "The largest number of database connections of one replica.",
        ..with_default("8", "1 to 100")
    },
    Variable {
        name: "DRAIN_SECONDS",
        description: "Seconds to keep serving after SIGTERM while /health already answers 503.",
        ..with_default("0", "0 to 300; 0 stops at once")
    },
    Variable {
        name: "LOG_FORMAT",
        description: "How log lines are written: by default text on a terminal, json elsewhere.",
        ..optional("json or text", "json")
    },
    Variable {
        name: "RUST_LOG",
        description: "Which log lines are written, by level or by module; info if it is not set.",
        ..optional("a level (error, warn, info, debug, trace) or a list such as info,hyper=warn", "info")
    },
    Variable {
        name: "CLIENT_IP_SOURCE",
        default: Some("Auto"),
        description: "Where the client's address is taken from, for rate limits and for the address that the pages show.",
        ..optional(
            "Auto, Connection, RightmostXForwardedFor, XRealIp, FlyClientIp or CfConnectingIp",
            "RightmostXForwardedFor",
        )
    },
    Variable {
        name: "TRUSTED_PROXIES",
        description: "Proxies whose X-Forwarded-For is trusted: those with public addresses, and further ones before the first.",
        ..optional("networks and addresses, separated by commas", "203.0.113.0/24,2001:db8::/32")
    },
    Variable {
        name: "RATE_LIMIT_GUESSES",
        description: "Wrong codes that a client may enter in 15 minutes, counted over all replicas.",
        ..with_default("10", "0 to 100000; 0 sets no limit")
    },
    Variable {
        name: "RATE_LIMIT_CODES",
        description: "Logins that a client may start in a minute, counted by each replica.",
        ..with_default("60", "0 to 100000; 0 sets no limit")
    },
];
