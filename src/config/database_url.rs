//! `DATABASE_URL`: a PostgreSQL URL, with the meaning that libpq gives it.
//!
//! tokio-postgres parses it. It refuses much of what hosting providers hand out (`sslmode=verify-full`, `pgbouncer=true`) and
//! takes some mistakes for a host name. So mistakes are refused first, with the way to fix them, and what tokio-postgres does
//! not know is taken out of the query. No error and no warning holds a value.
//! <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING>

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;

use percent_encoding::percent_decode_str;
use tokio_postgres::config::{ChannelBinding, Config, Host, TargetSessionAttrs};

use super::database_tls::{SslMode, Tls};
use super::network::{is_private_address, is_private_name};

/// Before the URL's own: a middlebox may forget a connection that is idle for longer, and `pg_stat_activity` shows the name.
const DEFAULTS: &str = "connect_timeout=3&keepalives_idle=30&application_name=postiz-auth-server";

/// libpq's parameters that tokio-postgres has too.
const KNOWN_TO_DRIVER: [&str; 14] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "sslnegotiation",
    "user",
];

/// A database and how to reach it. `Debug` and `Display` show hosts, ports and the database's name only.
#[derive(Clone)]
pub struct DatabaseUrl {
    /// As tokio-postgres reads it, with as many ports as hosts, or one for all. Includes the password.
    pub config: Config,
    pub tls: Tls,
    /// `pgbouncer=true`: a pooler stands before the database, where statements have no names.
    pub pooled: bool,
    /// Ignored parameters, unverified hosts. Names, never values.
    pub warnings: Vec<String>,
}

impl DatabaseUrl {
    /// The error completes the sentence "`DATABASE_URL` ...".
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = after_scheme(text.trim())?;
        let (main, query) = url.split_once('?').unwrap_or((url, ""));
        let (credentials, place) = main.split_once('@').unwrap_or(("", main));
        let (hosts, database) = place.split_once('/').unwrap_or((place, ""));
        refuse_misplaced(credentials, hosts, database, query)?;

        let (known, mut others) = parameters(query)?;
        // As in libpq, the query's hosts replace those before it.
        let hosts = if known.contains("&host=") { "" } else { hosts };
        let mut config = driver(credentials, hosts, &format!("{database}?{DEFAULTS}{known}"))?;
        check_hosts(&config)?;
        let mut warnings = Vec::new();
        let tls = Tls::take(&mut others, &config, &mut warnings)?;
        config.ssl_mode(tls.for_tokio_postgres());
        if hosts_of(&config).count() > 1 {
            // One of several hosts is the primary: a standby that answers first can't be written to.
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let pooled = others.remove("pgbouncer").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if query.contains("password=") && others.keys().any(|name| name != "sslpassword") {
            // It may be the rest of the password, which must not be named.
            return Err(
                "has an unknown parameter beside a password, or a password with an &: write it as %26".to_owned()
            );
        }
        warnings.extend(
            others.keys().map(|name| format!("DATABASE_URL: the parameter {name:?} is not known here and is ignored")),
        );
        warnings.extend(unverified(&config, tls.mode));
        Ok(Self { config, tls, pooled, warnings })
    }
}

fn after_scheme(text: &str) -> Result<&str, String> {
    let Some(url) = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://")) else {
        let hint =
            "a URL without quotation marks, without the +driver of other languages, and not a list of name=value";
        return Err(format!("does not begin with postgres:// or postgresql://: it has to be {hint}"));
    };
    // A NUL byte is nothing that PostgreSQL takes.
    let encodes =
        |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2 && !rest.starts_with("00");
    if !url.split('%').skip(1).all(encodes) {
        return Err("has a % that encodes nothing: write it as %25".to_owned());
    }
    Ok(url)
}

/// Refuses characters of a password that are not percent-encoded, which move all that follows to a wrong place, and
/// placeholders that a control panel shows or a template leaves unfilled.
fn refuse_misplaced(credentials: &str, hosts: &str, database: &str, query: &str) -> Result<(), String> {
    if credentials.contains('/') || [hosts, database, query].iter().any(|part| part.contains('@')) {
        return Err(
            "holds an @, / or ? where none is allowed: in user name and password, write @ as %40, / as %2F and ? as %3F"
                .to_owned(),
        );
    }
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    for (part, text) in [("user name", user), ("password", password), ("database name", database)] {
        if is_placeholder(text) {
            return Err(format!("has a placeholder for its {part}: put the {part} there, without brackets"));
        }
    }
    Ok(())
}

/// A password that really looks like this can be percent-encoded.
fn is_placeholder(raw: &str) -> bool {
    let bracketed = [('[', ']'), ('<', '>'), ('{', '}')]
        .into_iter()
        .any(|(open, close)| raw.starts_with(open) && raw.ends_with(close));
    let letters: String = raw.chars().filter(char::is_ascii_alphabetic).collect();
    let masked = !raw.is_empty() && raw.chars().all(|c| matches!(c, '*' | '•'));
    bracketed || masked || raw.contains("${") || letters.eq_ignore_ascii_case("yourpassword")
}

/// The query in tokio-postgres's words, and the parameters that it does not know. As in libpq, the last one of a name counts,
/// and an empty one is none.
fn parameters(query: &str) -> Result<(String, BTreeMap<String, String>), String> {
    let mut pairs = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) =
            pair.split_once('=').ok_or("has a parameter without a value; write & in a password as %26")?;
        pairs.insert(name, value);
    }
    let (mut known, mut others) = (String::new(), BTreeMap::new());
    let mut add = |name: &str, value: &str| known.extend(["&", name, "=", value]);
    for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
        match (name, value) {
            ("host", list) => list.split(',').for_each(|host| add("host", host)),
            ("keepalives_count", count) => add("keepalives_retries", count),
            ("tcp_user_timeout", millis) => {
                let millis: u32 =
                    millis.parse().map_err(|_| "has a tcp_user_timeout that is no number of milliseconds")?;
                add("tcp_user_timeout", &millis.div_ceil(1000).to_string());
            }
            ("target_session_attrs", "any") => {}
            ("target_session_attrs", "read-write" | "primary") => add("target_session_attrs", "read-write"),
            ("target_session_attrs", _) => {
                return Err("has target_session_attrs for a standby, but the server has to write: remove it".to_owned());
            }
            _ if KNOWN_TO_DRIVER.contains(&name) => add(name, value),
            _ => {
                let value = percent_decode_str(value).decode_utf8().map_err(|_| "has a query that is not UTF-8")?;
                others.insert(name.to_owned(), value.into_owned());
            }
        }
    }
    Ok((known, others))
}

/// What tokio-postgres makes of it.
fn driver(credentials: &str, hosts: &str, rest: &str) -> Result<Config, String> {
    // Its error names a parameter and says nothing of its value.
    let parse = |url: String| {
        url.parse::<Config>().map_err(|error| error.source().map_or_else(|| error.to_string(), ToString::to_string))
    };
    parse(format!("postgres://{hosts}")).map_err(|cause| {
        format!("has a bad host or port ({cause}); in a password, write @ as %40 and / as %2F; an IPv6 address stands in [ ]")
    })?;
    let config =
        parse(format!("postgres://{credentials}@{hosts}/{rest}")).map_err(|cause| format!("is refused: {cause}"))?;
    if config.get_user().is_none_or(str::is_empty) {
        return Err("has no user name".to_owned());
    }
    match config.get_dbname() {
        None => Err("has no database name".to_owned()),
        Some(name) if name.contains('/') => Err("has a / in its database name".to_owned()),
        Some(_) => Ok(config),
    }
}

/// Refuses lists that tokio-postgres takes, to connect to something else or to nothing.
fn check_hosts(config: &Config) -> Result<(), String> {
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    let is_host = |host: &Host| !matches!(host, Host::Tcp(name) if name.is_empty() || !name.chars().all(in_name));
    let (names, addresses, ports) = (config.get_hosts(), config.get_hostaddrs().len(), config.get_ports().len());
    let count = names.len().max(addresses);
    if count == 0 || !names.iter().all(is_host) {
        let hint = "in user name and password, write @ as %40 and / as %2F";
        return Err(format!("has no host, or one that can't be a host; {hint}"));
    }
    if ![0, count].contains(&names.len()) || ![0, count].contains(&addresses) || ![0, 1, count].contains(&ports) {
        let hint = "with port= in the query, write host= there too";
        return Err(format!("has different numbers of hosts, addresses and ports; {hint}"));
    }
    Ok(())
}

/// `HOST:PORT` of each host, and whether it is on a network that strangers don't share.
fn hosts_of(config: &Config) -> impl Iterator<Item = (String, bool)> {
    let by_address = config.get_hostaddrs().iter().map(|address| Host::Tcp(address.to_string()));
    let hosts = if config.get_hosts().is_empty() { by_address.collect() } else { config.get_hosts().to_vec() };
    hosts.into_iter().enumerate().map(|(index, host)| {
        let port = config.get_ports().get(index).or(config.get_ports().first()).unwrap_or(&5432);
        match host {
            Host::Unix(path) => (format!("{}:{port}", path.display()), true),
            Host::Tcp(name) => {
                // The connection goes to the address, if there is one.
                let address = config.get_hostaddrs().get(index).copied();
                let is_private = address.map_or_else(|| is_private_name(&name), is_private_address);
                let name = if name.contains(':') { format!("[{name}]") } else { name };
                (format!("{name}:{port}"), is_private)
            }
        }
    })
}

/// The warning about a host that an attacker on the network can pose as.
fn unverified(config: &Config, mode: Option<SslMode>) -> Option<String> {
    let is_verified = mode >= Some(SslMode::VerifyCa) || config.get_channel_binding() == ChannelBinding::Require;
    let (name, _) = hosts_of(config).find(|(_, is_private)| !is_private && !is_verified)?;
    let mode = mode.map_or("nothing verifies it".to_owned(), |mode| format!("sslmode={mode} does not verify it"));
    Some(format!(
        "DATABASE_URL: {name} is not on a private network, and {mode}, so an attacker on the network can pose as the database \
         and read its password: use sslmode=verify-full"
    ))
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<_> = hosts_of(&self.config).map(|(name, _)| name).collect();
        write!(f, "{}/{}", hosts.join(","), self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> DatabaseUrl {
        DatabaseUrl::parse(text).unwrap_or_else(|why| panic!("{text} {why}"))
    }

    /// What hosting providers hand out: the URL, the place in it, the mode and the number of warnings.
    const PROVIDERS: [(&str, &str, Option<SslMode>, usize); 12] = [
        (
            "postgresql://o:aB3@ep-a1-pooler.eu.aws.neon.tech/neondb?sslmode=require&channel_binding=require",
            "ep-a1-pooler.eu.aws.neon.tech:5432/neondb",
            Some(SslMode::Require),
            0,
        ),
        (
            "postgres://o:aB3@ep-a1.eu.aws.neon.tech/neondb?sslmode=verify-full&options=endpoint%3Dep-a1",
            "ep-a1.eu.aws.neon.tech:5432/neondb",
            Some(SslMode::VerifyFull),
            0,
        ),
        ("postgresql://postgres:aB3%21@db.ab.supabase.co:5432/postgres", "db.ab.supabase.co:5432/postgres", None, 1),
        (
            "postgres://postgres.ab:aB3@aws-0.pooler.supabase.com:6543/postgres?pgbouncer=true&connection_limit=1",
            "aws-0.pooler.supabase.com:6543/postgres",
            None,
            2,
        ),
        (
            "postgresql://p:aB3@postgres.railway.internal:5432/railway",
            "postgres.railway.internal:5432/railway",
            None,
            0,
        ),
        ("postgresql://p:aB3@round.proxy.rlwy.net:12345/railway", "round.proxy.rlwy.net:12345/railway", None, 1),
        (
            "postgresql://auth:aB3@dpg-a.frankfurt-postgres.render.com/auth?ssl=true",
            "dpg-a.frankfurt-postgres.render.com:5432/auth",
            Some(SslMode::Require),
            1,
        ),
        (
            "postgres://u1:p2@ec2-1.compute.amazonaws.com:5432/d3?sslmode=no-verify",
            "ec2-1.compute.amazonaws.com:5432/d3",
            Some(SslMode::Require),
            1,
        ),
        ("postgres://auth:aB3@[fdaa:0:1::3]:5433/auth", "[fdaa:0:1::3]:5433/auth", None, 0),
        (
            "postgres://avn:aB3@pg-1.aivencloud.com:28123/db?sslmode=require&sslrootcert=ca.pem",
            "pg-1.aivencloud.com:28123/db",
            Some(SslMode::VerifyCa),
            0,
        ),
        (
            "postgresql://auth:aB3@localhost/auth?host=%2Fcloudsql%2Fproject:region:instance",
            "/cloudsql/project:region:instance:5432/auth",
            Some(SslMode::Disable),
            0,
        ),
        ("postgres://a:aB3@db1:5432,db2:5433/auth?target_session_attrs=primary", "db1:5432,db2:5433/auth", None, 0),
    ];

    #[test]
    fn the_urls_of_hosting_providers_are_understood() {
        for (url, place, mode, warnings) in PROVIDERS {
            let database = parse(url);
            assert_eq!((database.to_string().as_str(), database.tls.mode), (place, mode));
            assert_eq!(database.warnings.len(), warnings, "{url}: {:?}", database.warnings);
            assert_eq!(database.pooled, url.contains("pgbouncer=true"));
        }
    }

    #[test]
    fn a_public_host_that_is_not_verified_is_warned_of() {
        for (host, query, warned) in [
            ("db.example.com", "", true),
            ("db.example.com", "sslmode=disable", true),
            ("db.example.com", "sslmode=require", true),
            ("db.example.com", "sslmode=verify-full", false),
            ("db.example.com", "sslmode=require&sslrootcert=ca.pem", false),
            ("db.example.com", "sslmode=require&channel_binding=require", false),
            ("db", "sslmode=require", false),
            ("db1,db.example.com", "", true),
            ("db.example.com", "hostaddr=10.0.0.1", false),
            ("db", "hostaddr=8.8.8.8", true),
            ("localhost", "host=/run/postgresql", false),
        ] {
            let warnings = parse(&format!("postgres://auth@{host}/auth?{query}")).warnings;
            assert_eq!(warnings.len(), usize::from(warned), "{host} {query}: {warnings:?}");
            assert!(warnings.iter().all(|warning| warning.contains("use sslmode=verify-full")), "{warnings:?}");
        }
    }

    #[test]
    fn mistakes_are_refused_with_the_way_to_fix_them() {
        for (text, reason) in [
            ("", "does not begin with"),
            ("postgresql+asyncpg://auth:pw@db/auth", "+driver"),
            ("${{Postgres.DATABASE_URL}}", "does not begin with"),
            ("\"postgres://auth:pw@db/auth\"", "quotation marks"),
            ("host=db user=auth dbname=auth password=hunter2", "not a list of name=value"),
            ("postgres://auth:pw@/auth", "no host"),
            ("postgres://auth:pw@db1,,db2/auth", "no host"),
            ("postgres://auth:pw@<host>/auth", "can't be a host"),
            ("postgres://db/auth", "no user name"),
            ("postgres://:pw@db/auth", "no user name"),
            ("postgres://auth:pw@db", "no database name"),
            ("postgres://auth:pw@db/auth/", "in its database name"),
            ("postgres://auth:pass@word@db/auth", "%40"),
            ("postgres://auth:pass/word@db/auth", "%2F"),
            ("postgres://auth:pass?word@db/auth", "%3F"),
            ("postgres://auth:100%@db/auth", "%25"),
            ("postgres://auth:pw@db%00/auth", "encodes nothing"),
            ("postgres://auth:pw@db:http/auth", "port"),
            ("postgres://auth:pw@fdaa::3/auth", "[ ]"),
            ("postgres://auth:pw@[fdaa::3/auth", "[ ]"),
            ("postgres://auth:pw@db/auth?port=5433", "write host= there too"),
            ("postgres://auth:pw@db/auth?hostaddr=10.0.0.1,10.0.0.2", "different numbers"),
            ("postgres://auth:[YOUR-PASSWORD]@db/auth", "placeholder"),
            ("postgres://auth:<password>@db/auth", "placeholder"),
            ("postgres://auth:${DB_PASSWORD}@db/auth", "placeholder"),
            ("postgres://auth:your_password@db/auth", "placeholder"),
            ("postgres://auth:********@db/auth", "placeholder"),
            ("postgres://auth@db/auth?password=hunter&2=b", "%26"),
            ("postgres://auth@db/auth?password=hunter&2", "%26"),
            ("postgres://auth@db/auth?hostaddr=db", "hostaddr"),
            ("postgres://auth@db/auth?sslrootcert=%ff", "UTF-8"),
            ("postgres://auth@db/auth?sslmode=verify-fully", "unknown sslmode"),
            ("postgres://auth@db/auth?sslcert=client.pem", "without the other"),
            ("postgres://auth@db/auth?target_session_attrs=read-only", "has to write"),
            ("postgres://auth@db/auth?channel_binding=always", "channel_binding"),
            ("postgres://auth@db/auth?tcp_user_timeout=2s", "milliseconds"),
        ] {
            let why = DatabaseUrl::parse(text).err().unwrap_or_else(|| panic!("{text} was taken"));
            assert!(why.contains(reason), "{text}: {why}");
        }
    }

    #[test]
    fn a_password_arrives_as_it_is_meant() {
        for (text, password) in [
            ("postgres://auth:p%40ss%2Fw%25rd@db/auth", "p@ss/w%rd"),
            ("postgres://auth:a:b#c+d'e\\f@db/auth", "a:b#c+d'e\\f"),
            ("postgres://auth:%5Bbrackets%5D@db/auth", "[brackets]"),
            ("postgres://auth@db/auth?password=a=b%26c", "a=b&c"),
        ] {
            assert_eq!(parse(text).config.get_password(), Some(password.as_bytes()), "{text}");
        }
    }

    #[test]
    fn parameters_reach_the_driver_in_its_own_words() {
        let ours = parse(" postgres://auth@db/auth\n").config;
        assert_eq!(ours.get_connect_timeout(), Some(&Duration::from_secs(3)));
        assert_eq!(ours.get_keepalives_idle(), Duration::from_secs(30));
        assert_eq!(ours.get_application_name(), Some("postiz-auth-server"));
        assert_eq!(ours.get_target_session_attrs(), TargetSessionAttrs::Any);

        let theirs = "connect_timeout=7&keepalives_idle=60&keepalives_count=4&tcp_user_timeout=2500\
                      &application_name=me&channel_binding=require&dbname=my%20db&host=a,b&port=7&user=x&user=";
        let theirs = parse(&format!("postgres://auth@localhost:1/auth?{theirs}"));
        assert_eq!(theirs.to_string(), "a:7,b:7/my db");
        assert_eq!(theirs.warnings, [] as [&str; 0]);
        let theirs = theirs.config;
        assert_eq!(theirs.get_user(), Some("auth"));
        assert_eq!(theirs.get_connect_timeout(), Some(&Duration::from_secs(7)));
        assert_eq!(theirs.get_keepalives_idle(), Duration::from_mins(1));
        assert_eq!(theirs.get_keepalives_retries(), Some(4));
        assert_eq!(theirs.get_tcp_user_timeout(), Some(&Duration::from_secs(3)));
        assert_eq!(theirs.get_application_name(), Some("me"));
        assert_eq!(theirs.get_channel_binding(), ChannelBinding::Require);
        assert_eq!(theirs.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    }

    #[test]
    fn a_warning_names_the_parameter_and_not_its_value() {
        for name in ["schema", "sslpassword"] {
            let warnings = parse(&format!("postgres://auth@db/auth?{name}=hunter2")).warnings.join("\n");
            assert!(warnings.contains(name) && !warnings.contains("hunter2"), "{warnings}");
        }
    }

    /// All output about a text.
    fn printed(text: &str) -> String {
        match DatabaseUrl::parse(text) {
            Ok(database) => format!("{database} {database:?} {:?}", database.warnings),
            Err(why) => why,
        }
    }

    proptest! {
        #[test]
        fn a_well_encoded_password_arrives_and_is_never_shown(password in "\\PC{0,20}") {
            let password = format!("zQ7{password}7Qz");
            let encoded = percent_encoding::utf8_percent_encode(&password, percent_encoding::NON_ALPHANUMERIC);
            let text = format!("postgres://auth:{encoded}@db.example.com/auth?pgbouncer=true");
            let config = parse(&text).config;
            prop_assert_eq!(config.get_password(), Some(password.as_bytes()));
            prop_assert!(!printed(&text).contains("zQ7") && !printed(&text).contains("7Qz"));
        }

        #[test]
        fn no_piece_of_a_badly_encoded_password_is_shown(rest in "(zQ7|[@:/?#&=%,'\"\\[\\] ]){0,9}") {
            for text in [
                format!("postgres://auth:zQ7{rest}@db.example.com/auth?sslmode=require"),
                format!("postgres://auth@db.example.com/auth?password=zQ7{rest}"),
                format!("postgres://auth@db.example.com/auth?sslpassword=zQ7{rest}"),
                format!("postgresql+psycopg://auth:zQ7{rest}@db.example.com/auth"),
                format!("'postgres://auth:zQ7{rest}@db.example.com/auth'"),
                format!("host=db.example.com user=auth dbname=auth password=zQ7{rest}"),
            ] {
                let printed = printed(&text);
                prop_assert!(!printed.contains("zQ7"), "{text}: {printed}");
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(postgres://)?[a-z@:/?#&=%,\\[\\]' \\\\]{0,40}|\\PC{0,40}") {
            let _ = printed(&text);
        }
    }
}
