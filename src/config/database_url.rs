//! `DATABASE_URL`: a PostgreSQL URL, with the meaning that libpq gives it.
//!
//! tokio-postgres parses it. Hosts and TLS are taken out before: each address of each host is tried with a configuration of its
//! own, and the driver knows neither `sslmode=verify-full` nor what providers add (`pgbouncer=true`). Passwords with
//! characters that are not percent-encoded are refused first: pieces of them would be taken for something that may be shown.
//! <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING>

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use tokio_postgres::config::{ChannelBinding, Config, Host};

use super::base_url::is_private_name;

/// Before the URL's own: a middlebox may forget a connection that is idle for longer, a peer that is gone shows within a
/// minute, and `pg_stat_activity` shows the name. `connect_timeout` is for each address.
const DEFAULTS: &str = "connect_timeout=3&keepalives_idle=30&keepalives_interval=10&keepalives_retries=3\
                        &application_name=postiz-auth-server";
/// Parameters of libpq that the driver reads.
const DRIVERS: [&str; 6] =
    ["application_name", "channel_binding", "connect_timeout", "keepalives", "keepalives_idle", "options"];

/// A database and how to reach it. `Debug` and `Display` show hosts, ports and the database's name only.
#[derive(Clone)]
pub struct DatabaseUrl {
    /// As tokio-postgres reads it, without hosts. Includes the password.
    pub config: Config,
    /// At least one, with its port.
    pub hosts: Vec<(Host, u16)>,
    pub tls: Tls,
    /// `pgbouncer=true`: a pooler stands before the database, where statements have no names.
    pub pooled: bool,
    /// Ignored parameters, unverified hosts. Names, never values.
    pub warnings: Vec<String>,
}

/// libpq's `sslmode`, weakest first. Read in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::EnumString, strum::Display)]
#[strum(serialize_all = "kebab-case", ascii_case_insensitive)]
pub enum SslMode {
    #[strum(to_string = "disable", serialize = "false", serialize = "0")]
    Disable,
    /// TLS if the server has it, with any certificate. `allow` too: the driver has no mode that tries without TLS first.
    #[strum(to_string = "prefer", serialize = "allow")]
    Prefer,
    /// TLS, with any certificate. node-postgres writes `no-verify` for this.
    #[strum(to_string = "require", serialize = "no-verify", serialize = "true", serialize = "1")]
    Require,
    /// TLS with a certificate that a known authority signed.
    VerifyCa,
    /// The same, and the certificate is the host's.
    VerifyFull,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Never weaker than libpq would have it. `None`: the URL has no `sslmode`, and the address decides.
    pub mode: Option<SslMode>,
    /// The certificates in this PEM file, and no others, are accepted as authorities. `None`: those that the system and
    /// browsers trust.
    pub root_cert: Option<PathBuf>,
}

impl DatabaseUrl {
    /// The error completes the sentence "`DATABASE_URL` ...".
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = text.trim();
        let Some(url) = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://")) else {
            return Err("does not begin with postgres:// or postgresql://".to_owned());
        };
        let (main, query) = url.split_once('?').unwrap_or((url, ""));
        let (credentials, place) = main.split_once('@').unwrap_or(("", main));
        let (hosts, database) = place.split_once('/').unwrap_or((place, ""));
        if credentials.contains('/')
            || [place, query].iter().any(|part| part.contains('@'))
            || query.contains("password=")
        {
            return Err(
                "does not have its password between : and @, with @ written as %40, / as %2F and ? as %3F".to_owned()
            );
        }
        // As in libpq, the last one of a name counts, and an empty one is none.
        let parameters =
            query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(_, value)| !value.is_empty());
        let mut parameters: BTreeMap<_, _> = parameters.collect();

        let hosts = parse_hosts(hosts, parameters.remove("host"), parameters.remove("port"))?;
        let known = DRIVERS.iter().filter_map(|name| Some(format!("&{name}={}", parameters.remove(name)?)));
        let known: String = known.collect();
        let config = driver(&format!("{credentials}@/{database}?{DEFAULTS}{known}"))?;
        if config.get_user().is_none_or(str::is_empty) || config.get_dbname().is_none() {
            return Err("has no user name, or no database name".to_owned());
        }
        let tls = Tls::take(&mut parameters)?;
        let pooled = parameters.remove("pgbouncer") == Some("true");
        // Of several hosts, the one that accepts writes is taken in any case.
        parameters.remove("target_session_attrs");

        let ignored =
            parameters.keys().map(|name| format!("DATABASE_URL: the parameter {name:?} is unknown and ignored"));
        let mut warnings: Vec<_> = ignored.collect();
        let is_verified =
            tls.mode >= Some(SslMode::VerifyCa) || config.get_channel_binding() == ChannelBinding::Require;
        let is_public = |host: &Host| matches!(host, Host::Tcp(name) if !is_private_name(name));
        if !is_verified && hosts.iter().any(|(host, _)| is_public(host)) {
            warnings.push(UNVERIFIED.to_owned());
        }
        Ok(Self { config, hosts, tls, pooled, warnings })
    }
}

const UNVERIFIED: &str = "DATABASE_URL: the host is not on a private network, and an attacker on the way can pose as the \
                          database and read its password: use sslmode=verify-full";

/// As in libpq, a host in the query replaces those before it.
fn parse_hosts(main: &str, host: Option<&str>, port: Option<&str>) -> Result<Vec<(Host, u16)>, String> {
    let config = match (host, port) {
        (Some(hosts), ports) => driver(&format!(
            "/?host={}&port={}",
            hosts.replace(',', "&host="),
            ports.or(main.strip_prefix(':')).unwrap_or("5432")
        ))?,
        (None, None) => driver(main)?,
        (None, Some(_)) => return Err("has a port in its query: write it after the host".to_owned()),
    };
    let (hosts, ports) = (config.get_hosts(), config.get_ports());
    if hosts.is_empty() || ![1, hosts.len()].contains(&ports.len()) {
        return Err("has no host, or not as many ports as hosts".to_owned());
    }
    // A single port holds for all.
    Ok(hosts.iter().cloned().zip(ports.iter().copied().cycle()).collect())
}

/// The driver's error names a parameter and says nothing of its value.
fn driver(url: &str) -> Result<Config, String> {
    let config = format!("postgres://{url}").parse::<Config>();
    config.map_err(|error| {
        format!("is refused: {}", error.source().map_or_else(|| error.to_string(), ToString::to_string))
    })
}

impl Tls {
    /// Takes its parameters out of the query. The error completes the sentence "`DATABASE_URL` ...".
    fn take(query: &mut BTreeMap<&str, &str>) -> Result<Self, String> {
        let mut take = |name| Some(percent_decode_str(query.remove(name)?).decode_utf8_lossy());
        // JDBC and node-postgres write ssl=true.
        let (ssl, sslmode) = (take("ssl"), take("sslmode"));
        let asked = sslmode.or(ssl).map(|mode| mode.parse()).transpose().map_err(|_| {
            "has an unknown sslmode: write disable, allow, prefer, require, verify-ca or verify-full".to_owned()
        })?;
        let root_cert = take("sslrootcert");
        // Anyone can get a certificate that the system trusts, so those are compared with the host's name. A file's are
        // verified without `sslmode` too: libpq does so in every mode, and then goes on without TLS.
        let mode = match (asked, root_cert.as_deref()) {
            (_, Some("system")) | (Some(SslMode::VerifyCa), None) => Some(SslMode::VerifyFull),
            (Some(SslMode::Require) | None, Some(_)) => Some(SslMode::VerifyCa),
            (asked, _) => asked,
        };
        let root_cert = root_cert.filter(|file| file != "system");
        Ok(Self { mode, root_cert: root_cert.map(|file| file.into_owned().into()) })
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (host, port)) in self.hosts.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match host {
                Host::Unix(path) => write!(f, "{comma}{}:{port}", path.display())?,
                Host::Tcp(name) if name.contains(':') => write!(f, "{comma}[{name}]:{port}")?,
                Host::Tcp(name) => write!(f, "{comma}{name}:{port}")?,
            }
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
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
    const PROVIDERS: [(&str, &str, Option<SslMode>, usize); 13] = [
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
            None,
            0,
        ),
        ("postgres://a:aB3@db1,db2:5433/auth?target_session_attrs=primary", "db1:5432,db2:5433/auth", None, 0),
        ("postgres://a:aB3@:6432/auth?host=/run/pgbouncer", "/run/pgbouncer:6432/auth", None, 0),
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
    fn a_public_host_that_is_not_verified_and_an_unknown_parameter_are_warned_of() {
        for (host, query, warned) in [
            ("db.example.com", "", Some("use sslmode=verify-full")),
            ("db.example.com", "sslmode=require", Some("use sslmode=verify-full")),
            ("db.example.com", "sslmode=verify-full", None),
            ("db.example.com", "sslmode=require&sslrootcert=ca.pem", None),
            ("db.example.com", "sslmode=require&channel_binding=require", None),
            ("db", "sslmode=require", None),
            ("db1,db.example.com", "", Some("use sslmode=verify-full")),
            ("db.example.com", "host=/run/postgresql", None),
            ("db", "schema=hunter2", Some("\"schema\"")),
        ] {
            let warnings = parse(&format!("postgres://auth@{host}/auth?{query}")).warnings;
            assert_eq!(warnings.len(), usize::from(warned.is_some()), "{host} {query}: {warnings:?}");
            let is_right = |warning: &String| warning.contains(warned.unwrap()) && !warning.contains("hunter2");
            assert!(warnings.iter().all(is_right), "{warnings:?}");
        }
    }

    #[test]
    fn mistakes_are_refused_with_the_way_to_fix_them() {
        for (text, reason) in [
            ("", "does not begin with"),
            ("postgresql+asyncpg://auth:pw@db/auth", "does not begin with"),
            ("${{Postgres.DATABASE_URL}}", "does not begin with"),
            ("host=db user=auth dbname=auth password=hunter2", "does not begin with"),
            ("postgres://auth:pw@/auth", "no host"),
            ("postgres://db/auth", "no user name"),
            ("postgres://:pw@db/auth", "no user name"),
            ("postgres://auth:pw@db", "no database name"),
            ("postgres://auth:pass@word@db/auth", "%40"),
            ("postgres://auth:pass/word@db/auth", "%2F"),
            ("postgres://auth:pass?word@db/auth", "%3F"),
            ("postgres://auth@db/auth?password=hunter2", "between : and @"),
            ("postgres://auth:pw@db:http/auth", "`port`"),
            ("postgres://auth:pw@fdaa::3/auth", "`port`"),
            ("postgres://auth:pw@[fdaa::3/auth", "`host`"),
            ("postgres://auth:pw@db/auth?port=5433", "after the host"),
            ("postgres://auth:pw@/auth?host=a,b,c&port=1,2", "as many ports"),
            ("postgres://auth@db/auth?sslmode=verify-fully", "unknown sslmode"),
            ("postgres://auth@db/auth?channel_binding=always", "`channel_binding`"),
        ] {
            let why = DatabaseUrl::parse(text).err().unwrap_or_else(|| panic!("{text} was taken"));
            assert!(why.contains(reason), "{text}: {why}");
        }
    }

    #[test]
    fn a_password_arrives_as_it_is_meant() {
        for (text, password) in [
            ("postgres://auth:p%40ss%2Fw%25rd@db/auth", "p@ss/w%rd"),
            ("postgres://auth:a:b#c+d'e\\f&g=100%@db/auth", "a:b#c+d'e\\f&g=100%"),
        ] {
            assert_eq!(parse(text).config.get_password(), Some(password.as_bytes()), "{text}");
        }
    }

    #[test]
    fn parameters_reach_the_driver() {
        let ours = parse(" postgres://auth@db/auth\n").config;
        assert_eq!(ours.get_connect_timeout(), Some(&Duration::from_secs(3)));
        assert_eq!(ours.get_keepalives_idle(), Duration::from_secs(30));
        assert_eq!(ours.get_application_name(), Some("postiz-auth-server"));

        let theirs =
            "connect_timeout=7&keepalives_idle=60&application_name=me&channel_binding=require&host=a,b&port=7&options=";
        let theirs = parse(&format!("postgres://auth@localhost:1/auth?{theirs}"));
        assert_eq!((theirs.to_string().as_str(), theirs.warnings), ("a:7,b:7/auth", vec![]));
        assert_eq!(theirs.config.get_connect_timeout(), Some(&Duration::from_secs(7)));
        assert_eq!(theirs.config.get_keepalives_idle(), Duration::from_mins(1));
        assert_eq!(theirs.config.get_application_name(), Some("me"));
        assert_eq!(theirs.config.get_channel_binding(), ChannelBinding::Require);
        assert_eq!(theirs.config.get_options(), None);
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

    #[test]
    fn sslmode_means_the_same_as_in_libpq() {
        use SslMode::{Disable, Prefer, Require, VerifyCa, VerifyFull};
        for (query, mode, root_cert) in [
            ("", None, None),
            ("sslmode=disable", Some(Disable), None),
            ("sslmode=allow", Some(Prefer), None),
            ("sslmode=PREFER", Some(Prefer), None),
            ("sslmode=require", Some(Require), None),
            ("sslmode=No-Verify", Some(Require), None),
            ("ssl=true", Some(Require), None),
            ("ssl=false", Some(Disable), None),
            ("ssl=true&sslmode=verify-full", Some(VerifyFull), None),
            ("sslmode=require&sslrootcert=c%20a.pem", Some(VerifyCa), Some("c a.pem")),
            ("sslrootcert=ca.pem", Some(VerifyCa), Some("ca.pem")),
            ("sslmode=prefer&sslrootcert=ca.pem", Some(Prefer), Some("ca.pem")),
            ("sslmode=verify-ca&sslrootcert=ca.pem", Some(VerifyCa), Some("ca.pem")),
            ("sslmode=verify-ca", Some(VerifyFull), None),
            ("sslmode=verify-full&sslrootcert=ca.pem", Some(VerifyFull), Some("ca.pem")),
            ("sslrootcert=system", Some(VerifyFull), None),
        ] {
            let tls = DatabaseUrl::parse(&format!("postgres://auth@db/auth?{query}")).unwrap().tls;
            assert_eq!((tls.mode, tls.root_cert), (mode, root_cert.map(PathBuf::from)), "{query}");
        }
    }
}
