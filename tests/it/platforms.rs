//! The hosting platforms' files have the types that the platforms accept.

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
