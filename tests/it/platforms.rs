//! The files for hosting platforms, Compose, systemd and proxies.

use postiz_auth_server::config::Config;
use serde_json::Value;

/// Each value and its path (`/deploy/overlapSeconds`).
fn leaves(path: &str, value: &Value) -> Vec<(String, Value)> {
    match value {
        Value::Object(map) => map.iter().flat_map(|(key, value)| leaves(&format!("{path}/{key}"), value)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(at, item)| leaves(&format!("{path}/{at}"), item)).collect()
        }
        leaf => vec![(path.to_owned(), leaf.clone())],
    }
}

#[test]
fn numbers_and_truth_values_are_not_written_as_text() {
    let railway: Value = serde_json::from_str(include_str!("../../railway.json")).unwrap();
    let render: Value = serde_saphyr::from_str(include_str!("../../render.yaml")).unwrap();
    let fly: Value = toml::from_str(include_str!("../../fly.toml")).unwrap();
    // Text by the platform's schema: a version, and an environment variable.
    let text = ["/databases/0/postgresMajorVersion", "/env/PORT"];
    for (file, value, numbers) in [
        (
            "railway.json",
            &railway,
            &[
                "/deploy/healthcheckTimeout",
                "/deploy/restartPolicyMaxRetries",
                "/deploy/overlapSeconds",
                "/deploy/drainingSeconds",
            ][..],
        ),
        ("render.yaml", &render, &["/services/0/numInstances", "/services/0/maxShutdownDelaySeconds"]),
        (
            "fly.toml",
            &fly,
            &[
                "/kill_timeout",
                "/deploy/max_unavailable",
                "/http_service/internal_port",
                "/http_service/concurrency/soft_limit",
                "/http_service/concurrency/hard_limit",
                "/http_service/http_options/idle_timeout",
            ],
        ),
    ] {
        for path in numbers {
            assert!(value.pointer(path).is_some_and(Value::is_u64), "{file}: {path}");
        }
        for (path, leaf) in leaves("", value) {
            let looks_typed =
                leaf.as_str().is_some_and(|text| text.parse::<f64>().is_ok() || text.parse::<bool>().is_ok());
            assert_eq!(looks_typed, text.contains(&path.as_str()), "{file}: {path} is {leaf}");
        }
    }
}

#[test]
fn render_deploys_a_repository_without_checks() {
    let render: Value = serde_saphyr::from_str(include_str!("../../render.yaml")).unwrap();
    assert_eq!(render.pointer("/services/0/autoDeployTrigger"), Some(&Value::from("commit")));
}

#[test]
fn compose_has_no_password_and_its_postgres_listens_to_nobody_and_has_few_rights() {
    let text = include_str!("../../docker-compose.yml");
    assert!(!text.to_lowercase().contains("postgres_password"));
    let compose: Value = serde_saphyr::from_str(text).unwrap();
    for (server, postgres) in [("server", "postgres"), ("demo", "demo-postgres")] {
        let [server, postgres] = [server, postgres].map(|name| &compose["services"][name]);
        assert_eq!(
            server["environment"]["DATABASE_URL"].as_str().unwrap().split_once("@/").unwrap().0.matches(':').count(),
            1
        );
        let command = postgres["command"].as_array().unwrap();
        assert!(command.contains(&"listen_addresses=127.0.0.1".into()), "{command:?}");
        assert_eq!((&server["cap_drop"][0], &postgres["cap_drop"][0]), (&"ALL".into(), &"ALL".into()));
        assert_eq!(postgres["security_opt"][0], "no-new-privileges:true");
        assert!(postgres["mem_limit"].is_string() && postgres["pids_limit"].is_u64());
    }
}

#[test]
fn compose_passes_every_variable_on() {
    let compose: Value = serde_saphyr::from_str(include_str!("../../docker-compose.yml")).unwrap();
    for variable in Config::VARIABLES {
        assert!(compose["services"]["server"]["environment"].get(variable.name).is_some(), "{}", variable.name);
    }
}

#[test]
fn systemd_hands_every_secret_over_as_a_credential() {
    let unit = include_str!("../../deploy/systemd/postiz-auth-server@.service");
    let secrets = Config::VARIABLES.iter().filter_map(|variable| Some((variable.name, variable.file_variable()?)));
    for (name, named_by) in secrets {
        for line in [
            format!("\nLoadCredential={name}:/etc/postiz-auth-server/secrets/{name}\n"),
            format!("\nSetCredential={name}:\\n\n"),
            format!(" {named_by}=${{CREDENTIALS_DIRECTORY}}/{name} "),
        ] {
            assert!(unit.contains(&line), "{line:?}");
        }
    }
    assert!(unit.contains("\nLimitCORE=0\n"));
}

#[test]
fn each_proxy_has_one_replica_and_a_second_in_a_comment() {
    for (file, text) in [
        ("nginx", include_str!("../../deploy/nginx/postiz-auth-server.conf")),
        ("caddy", include_str!("../../deploy/caddy/Caddyfile")),
        ("haproxy", include_str!("../../deploy/haproxy/haproxy.cfg")),
    ] {
        let (comments, used): (Vec<_>, Vec<_>) = text.lines().map(str::trim).partition(|line| line.starts_with('#'));
        let names = |lines: &[&str], port: &str| lines.iter().any(|line| line.contains(port));
        assert!(names(&used, "127.0.0.1:3111") && !names(&used, "3112"), "{file}");
        assert!(names(&comments, "127.0.0.1:3112"), "{file}");
        assert!(!used.iter().any(|line| line.starts_with("http2 ")), "{file}: nginx before 1.25.1 does not know it");
    }
}
