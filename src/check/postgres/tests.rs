use super::*;
use crate::check::report::Verdict;

fn config() -> Config {
    let variables = [
        ("DATABASE_URL", "postgres://auth:hunter2@db.example.com/auth"),
        ("POSTIZ_OAUTH_CLIENT_ID", "pca_x"),
        ("POSTIZ_OAUTH_CLIENT_SECRET", "x"),
    ];
    Config::from_vars(variables.map(|(name, value)| (name.into(), value.into()))).unwrap()
}

fn good() -> Inspection {
    Inspection {
        version: "17.2".to_owned(),
        version_number: 170_002,
        tls_version: None,
        standby: false,
        read_only: false,
        role: "auth".to_owned(),
        schema: Some("public".to_owned()),
        lacking: Vec::new(),
        clock_ahead: 0.1,
        latency: Duration::from_millis(1),
        pooled: false,
        max_connections: 100,
        postiz_table: None,
        self_check_key: None,
    }
}

#[test]
fn states_that_no_test_database_has_are_judged() {
    use Verdict::{Fail, Ok, Warn};
    for (check, found, verdict) in [
        ("postgres.version", good(), Ok),
        ("postgres.version", Inspection { version_number: 120_022, ..good() }, Fail),
        ("postgres.clock", Inspection { clock_ahead: -4.0, ..good() }, Ok),
        ("postgres.clock", Inspection { clock_ahead: -60.0, ..good() }, Warn),
        ("postgres.clock", Inspection { clock_ahead: 60.0, ..good() }, Warn),
        ("postgres.latency", Inspection { latency: Duration::from_millis(80), ..good() }, Warn),
        ("postgres.connections", Inspection { max_connections: 12, ..good() }, Ok),
        ("postgres.connections", Inspection { max_connections: 11, ..good() }, Warn),
        ("postgres.connections", Inspection { max_connections: 11, pooled: true, ..good() }, Ok),
        ("postgres.own", good(), Ok),
        ("postgres.own", Inspection { postiz_table: Some("OAuthApp".to_owned()), ..good() }, Fail),
        ("postgres.rights", Inspection { schema: None, ..good() }, Fail),
    ] {
        let text = format!("{found:?}");
        let findings = findings(&config(), &Result::Ok(found));
        let finding = findings.iter().find(|finding| finding.check == check).unwrap();
        assert_eq!(finding.verdict, verdict, "{check}: {text}");
    }
}
