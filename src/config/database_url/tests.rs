use proptest::prelude::*;
use tokio_postgres::config::{ChannelBinding, SslMode as Wire, TargetSessionAttrs};

use super::*;

fn parse(text: &str) -> DatabaseUrl {
    DatabaseUrl::parse(text).unwrap_or_else(|why| panic!("{text} {why}"))
}

fn refusal(text: &str) -> String {
    DatabaseUrl::parse(text).err().unwrap_or_else(|| panic!("{text} was taken"))
}

/// URLs of hosting providers: the address, the TLS mode, and the number of warnings.
const PROVIDERS: [(&str, &str, &str, SslMode, usize); 15] = [
    (
        "Neon, pooled",
        "postgresql://neondb_owner:npg_aB3xY@ep-cool-dawn-a1b2c3-pooler.eu-central-1.aws.neon.tech/neondb?sslmode=require&channel_binding=require",
        "ep-cool-dawn-a1b2c3-pooler.eu-central-1.aws.neon.tech:5432/neondb",
        SslMode::Require,
        0,
    ),
    (
        "Neon, endpoint in options",
        "postgres://owner:npg_aB3xY@ep-cool-dawn-a1b2c3.eu-central-1.aws.neon.tech/neondb?sslmode=verify-full&options=endpoint%3Dep-cool-dawn-a1b2c3",
        "ep-cool-dawn-a1b2c3.eu-central-1.aws.neon.tech:5432/neondb",
        SslMode::VerifyFull,
        0,
    ),
    (
        "Supabase, direct",
        "postgresql://postgres:aB3xY%21@db.abcdefghijklmnop.supabase.co:5432/postgres",
        "db.abcdefghijklmnop.supabase.co:5432/postgres",
        SslMode::Prefer,
        1,
    ),
    (
        "Supabase, pooler for Prisma",
        "postgres://postgres.abcdefghijklmnop:aB3xY@aws-0-eu-west-1.pooler.supabase.com:6543/postgres?pgbouncer=true&connection_limit=1",
        "aws-0-eu-west-1.pooler.supabase.com:6543/postgres",
        SslMode::Prefer,
        3,
    ),
    (
        "Railway, private",
        "postgresql://postgres:aB3xY@postgres.railway.internal:5432/railway",
        "postgres.railway.internal:5432/railway",
        SslMode::Prefer,
        0,
    ),
    (
        "Railway, public",
        "postgresql://postgres:aB3xY@roundhouse.proxy.rlwy.net:12345/railway",
        "roundhouse.proxy.rlwy.net:12345/railway",
        SslMode::Prefer,
        1,
    ),
    (
        "Render, external, as Node guides write it",
        "postgresql://auth_user:aB3xY@dpg-abc123-a.frankfurt-postgres.render.com/auth_db?ssl=true",
        "dpg-abc123-a.frankfurt-postgres.render.com:5432/auth_db",
        SslMode::Require,
        1,
    ),
    (
        "Heroku",
        "postgres://u1abc:p2def@ec2-1-2-3-4.eu-west-1.compute.amazonaws.com:5432/d3ghi",
        "ec2-1-2-3-4.eu-west-1.compute.amazonaws.com:5432/d3ghi",
        SslMode::Prefer,
        1,
    ),
    (
        "Heroku, as Node guides write it",
        "postgres://u1abc:p2def@ec2-1-2-3-4.eu-west-1.compute.amazonaws.com:5432/d3ghi?sslmode=no-verify",
        "ec2-1-2-3-4.eu-west-1.compute.amazonaws.com:5432/d3ghi",
        SslMode::Require,
        1,
    ),
    (
        "Fly.io",
        "postgres://auth:aB3xY@auth-db.flycast:5432/auth?sslmode=disable",
        "auth-db.flycast:5432/auth",
        SslMode::Disable,
        0,
    ),
    (
        "Fly.io, by address",
        "postgres://auth:aB3xY@[fdaa:0:1::3]:5433/auth",
        "[fdaa:0:1::3]:5433/auth",
        SslMode::Prefer,
        0,
    ),
    (
        "Aiven",
        "postgres://avnadmin:AVNS_aB3xY@pg-1a2b.aivencloud.com:28123/defaultdb?sslmode=require&sslrootcert=ca.pem",
        "pg-1a2b.aivencloud.com:28123/defaultdb",
        SslMode::VerifyCa,
        0,
    ),
    (
        "DigitalOcean",
        "postgresql://doadmin:AVNS_aB3xY@db-postgresql-fra1-1.db.ondigitalocean.com:25060/defaultdb?sslmode=require",
        "db-postgresql-fra1-1.db.ondigitalocean.com:25060/defaultdb",
        SslMode::Require,
        1,
    ),
    (
        "Cloud SQL",
        "postgresql://auth:aB3xY@localhost/auth?host=/cloudsql/project:region:instance",
        "/cloudsql/project:region:instance:5432/auth",
        SslMode::Disable,
        0,
    ),
    (
        "a primary and its standby",
        "postgres://auth:aB3xY@db1:5432,db2:5433/auth?target_session_attrs=primary",
        "db1:5432,db2:5433/auth",
        SslMode::Prefer,
        0,
    ),
];

#[test]
fn the_urls_of_hosting_providers_mean_the_same_as_in_libpq() {
    for (provider, url, place, mode, warnings) in PROVIDERS {
        let database = parse(url);
        assert_eq!(database.to_string(), place, "{provider}");
        assert_eq!(database.tls.mode, mode, "{provider}");
        assert_eq!(database.config.get_ssl_mode(), mode.for_tokio_postgres(), "{provider}");
        assert_eq!(database.warnings.len(), warnings, "{provider}: {:?}", database.warnings);
    }
}

#[test]
fn sslmode_means_the_same_as_in_libpq() {
    use SslMode::{Allow, Disable, Prefer, Require, VerifyCa, VerifyFull};
    let file = Some(RootCert::File("ca.pem".into()));
    for (query, mode, root_cert, wire) in [
        ("", Prefer, None, Wire::Prefer),
        ("sslmode=disable", Disable, None, Wire::Disable),
        ("sslmode=allow", Allow, None, Wire::Prefer),
        ("sslmode=prefer", Prefer, None, Wire::Prefer),
        ("sslmode=require", Require, None, Wire::Require),
        ("sslmode=require&sslrootcert=ca.pem", VerifyCa, file.clone(), Wire::Require),
        ("sslmode=verify-ca&sslrootcert=ca.pem", VerifyCa, file.clone(), Wire::Require),
        ("sslmode=verify-ca", VerifyFull, Some(RootCert::System), Wire::Require),
        ("sslmode=verify-full&sslrootcert=ca.pem", VerifyFull, file, Wire::Require),
        ("sslmode=verify-full", VerifyFull, Some(RootCert::System), Wire::Require),
        ("sslrootcert=system", VerifyFull, Some(RootCert::System), Wire::Require),
        ("sslmode=require&host=/run/postgresql", Disable, None, Wire::Disable),
    ] {
        let DatabaseUrl { config, tls, .. } = parse(&format!("postgres://auth@db/auth?{query}"));
        assert_eq!((tls.mode, tls.root_cert), (mode, root_cert), "{query}");
        assert_eq!(config.get_ssl_mode(), wire, "{query}");
    }
}

#[test]
fn settings_weaker_than_they_look_are_refused() {
    for (query, reason) in [
        ("sslmode=verify-fully", "unknown sslmode"),
        ("sslmode=require&sslrootcert=system", "weak sslmode"),
        ("sslmode=verify-full&host=/run/postgresql,db", "mixes"),
        ("sslcert=client.pem", "without the other"),
        ("sslnegotiation=direct", "weak sslmode"),
        ("target_session_attrs=read-only", "has to write"),
        ("channel_binding=always", "channel_binding"),
    ] {
        let why = refusal(&format!("postgres://auth:aB3xY@db/auth?{query}"));
        assert!(why.contains(reason), "{query}: {why}");
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
        assert!(warnings.iter().all(|warning| warning.contains("sslmode=verify-full")), "{warnings:?}");
    }
}

#[test]
fn mistakes_are_refused_with_the_way_to_fix_them() {
    for (text, reason) in [
        ("", "does not begin with"),
        ("mydb", "does not begin with"),
        ("postgresql+asyncpg://auth:pw@db/auth", "+driver"),
        ("mysql://auth:pw@db/auth", "does not begin with"),
        ("${{Postgres.DATABASE_URL}}", "does not begin with"),
        ("\"postgres://auth:pw@db/auth\"", "quotation marks"),
        ("postgres://", "no host"),
        ("postgres://auth:pw@/auth", "no host"),
        ("postgres://auth:pw@db1,,db2/auth", "an empty one"),
        ("postgres://db/auth", "no user name"),
        ("postgres://:pw@db/auth", "no user name"),
        ("postgres://auth:pw@db", "no database name"),
        ("postgres://auth:pw@db/", "no database name"),
        ("postgres://auth:pw@db/auth/", "in its database name"),
        ("postgres://auth:pass@word@db/auth", "%40"),
        ("postgres://auth:pass/word@db/auth", "%2F"),
        ("postgres://auth:pass?word@db/auth", "%3F"),
        ("postgres://auth:100%@db/auth", "%25"),
        ("postgres://auth:pw@db%00/auth", "NUL"),
        ("postgres://auth:pw@db:http/auth", "port"),
        ("postgres://auth:pw@db:0/auth", "port"),
        ("postgres://auth:pw@fdaa::3/auth", "[ ]"),
        ("postgres://auth:pw@[fdaa::3/auth", "[ ]"),
        ("postgres://auth:pw@<host>/auth", "host that can't be one"),
        ("postgres://auth:pw@db1:1,db2:2/auth?host=db3", "one port"),
        ("postgres://auth:[YOUR-PASSWORD]@db/auth", "placeholder"),
        ("postgres://auth:[hunter2]@db/auth", "placeholder"),
        ("postgres://auth:<password>@db/auth", "placeholder"),
        ("postgres://auth:${DB_PASSWORD}@db/auth", "placeholder"),
        ("postgres://auth:your_password@db/auth", "placeholder"),
        ("postgres://auth:********@db/auth", "placeholder"),
        ("postgres://auth@db/auth?password=hunter&2=b", "%26"),
        ("postgres://auth@db/auth?hostaddr=db", "IP address"),
        ("postgres://auth@db/auth?sslmode=%ff", "UTF-8"),
        ("host=db user=auth dbname=auth password=hunter2", "not a list of name=value"),
    ] {
        let why = refusal(text);
        assert!(why.contains(reason), "{text}: {why}");
    }
}

#[test]
fn a_password_arrives_as_it_is_meant() {
    for (text, password) in [
        ("postgres://auth:p%40ss%2Fw%25rd@db/auth", "p@ss/w%rd"),
        ("postgres://auth:a:b#c+d'e\\f@db/auth", "a:b#c+d'e\\f"),
        ("postgres://auth:%5Bbrackets%5D@db/auth", "[brackets]"),
        ("postgres://auth@db/auth?password=query", "query"),
    ] {
        assert_eq!(parse(text).config.get_password(), Some(password.as_bytes()), "{text}");
    }
    assert_eq!(parse("postgres://auth@db/auth").config.get_password(), None);
}

#[test]
fn the_query_replaces_hosts_and_ports() {
    let database = parse(" postgres://auth@localhost:1/auth?host=db1,db2&port=5433&dbname=my%20db&schema=x\n");
    assert_eq!(database.to_string(), "db1:5433,db2:5433/my db");
    assert_eq!(database.warnings.len(), 1);
}

#[test]
fn timeouts_are_set_if_the_url_sets_none() {
    let ours = parse("postgres://auth@db/auth").config;
    assert_eq!(ours.get_connect_timeout(), Some(&CONNECT_TIMEOUT));
    assert_eq!(ours.get_keepalives_idle(), KEEPALIVES_IDLE);
    assert_eq!(ours.get_application_name(), Some(APPLICATION_NAME));

    let theirs = "connect_timeout=7&keepalives_idle=60&keepalives_count=4&tcp_user_timeout=2500&application_name=me";
    let theirs = parse(&format!("postgres://auth@db/auth?{theirs}")).config;
    assert_eq!(theirs.get_connect_timeout(), Some(&Duration::from_secs(7)));
    assert_eq!(theirs.get_keepalives_idle(), Duration::from_mins(1));
    assert_eq!(theirs.get_keepalives_retries(), Some(4));
    assert_eq!(theirs.get_tcp_user_timeout(), Some(&Duration::from_secs(3)));
    assert_eq!(theirs.get_application_name(), Some("me"));
}

#[test]
fn parameters_reach_the_driver_in_its_own_words() {
    let config = parse("postgres://auth@a,b/auth?target_session_attrs=primary&channel_binding=require").config;
    assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    assert_eq!(config.get_channel_binding(), ChannelBinding::Require);
    assert_eq!(config.get_hosts().len(), 2);
    assert_eq!(parse("postgres://auth@db/auth?sslcert=c&sslkey=k").tls.client_cert, Some(("c".into(), "k".into())));
}

#[test]
fn each_host_has_its_own_address_and_port() {
    let of =
        |config: &Config| (config.get_hosts().to_vec(), config.get_hostaddrs().to_vec(), config.get_ports().to_vec());
    let name = |name: &str| Host::Tcp(name.to_owned());
    let two = parse("postgres://auth@a:1,b/auth?hostaddr=10.0.0.1,10.0.0.2").hosts;
    assert_eq!(of(&two[0]), (vec![name("a")], vec!["10.0.0.1".parse().unwrap()], vec![1]));
    assert_eq!(of(&two[1]), (vec![name("b")], vec!["10.0.0.2".parse().unwrap()], vec![5432]));
    let shared = parse("postgres://auth@/auth?host=a,b,c&port=7").hosts;
    assert_eq!(shared.iter().map(Config::get_ports).collect::<Vec<_>>(), [[7]; 3]);
    assert_eq!(parse("postgres://auth@db/auth").hosts.len(), 1);
}

#[test]
fn of_several_hosts_the_writable_one_is_required() {
    let wanted = |hosts: &str| parse(&format!("postgres://auth@{hosts}/auth")).hosts[0].get_target_session_attrs();
    assert_eq!(wanted("a,b"), TargetSessionAttrs::ReadWrite);
    assert_eq!(wanted("a"), TargetSessionAttrs::Any);
}

#[test]
fn a_warning_names_the_parameter_and_not_its_value() {
    let warnings = parse("postgres://auth@db/auth?pgbouncer=true&sslpassword=hunter2").warnings.join("\n");
    assert!(warnings.contains("pgbouncer") && warnings.contains("sslpassword"), "{warnings}");
    assert!(!warnings.contains("true") && !warnings.contains("hunter2"), "{warnings}");
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
