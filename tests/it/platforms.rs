//! The files of the hosting platforms, Compose, systemd, proxies and the workflows: types, and what they have to agree on.

use std::fs;
use std::path::Path;

use postiz_auth_server::config::Config;
use serde_json::Value;

use crate::support::files;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A stop takes 22.5 s, and `DRAIN_SECONDS`.
const STOP_SECONDS: u64 = 25;

/// Compose files for places without a checkout of this repository, and their services.
const WITHOUT_A_CHECKOUT: [(&str, &str); 3] = [
    ("deploy/postiz/compose.auth.yaml", "postiz-auth"),
    ("deploy/coolify/postiz-auth-server.yaml", "postiz-auth"),
    ("deploy/dokploy/postiz-auth-server/docker-compose.yml", "postiz-auth-server"),
];

fn text(file: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&text(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn toml(file: &str) -> Value {
    toml::from_str(&text(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The number or version behind these words.
fn after(file: &str, before: &str) -> String {
    let text = text(file);
    let after = text.split_once(before).unwrap_or_else(|| panic!("{file} has no {before:?}")).1;
    after.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap().to_owned()
}

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
    // By the platform's schema: a version, and an environment variable.
    let as_text = ["/databases/0/postgresMajorVersion", "/env/PORT"];
    let railway = serde_json::from_str(&text("railway.json")).unwrap();
    for (file, value) in
        [("railway.json", railway), ("render.yaml", yaml("render.yaml")), ("fly.toml", toml("fly.toml"))]
    {
        for (path, leaf) in leaves("", &value) {
            let looks_typed =
                leaf.as_str().is_some_and(|text| text.parse::<f64>().is_ok() || text.parse::<bool>().is_ok());
            assert_eq!(looks_typed, as_text.contains(&path.as_str()), "{file}: {path} is {leaf}");
        }
    }
}

#[test]
fn workflows_pin_their_actions_and_start_without_permissions() {
    let mut pinned = 0;
    for file in files(&Path::new(ROOT).join(".github/workflows")) {
        let name = file.file_name().unwrap().display();
        let text = fs::read_to_string(&file).unwrap();
        let workflow: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(workflow["permissions"], Value::Object(serde_json::Map::new()), "{name}");
        let actions = text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("uses: "));
        for action in actions.filter(|action| !action.starts_with("./")) {
            let (pin, version) = action.split_once('@').unwrap().1.split_once(" # v").unwrap_or_default();
            assert!(pin.len() == 40 && pin.bytes().all(|b| b.is_ascii_hexdigit()), "{name}: {action}");
            assert!(version.starts_with(|first: char| first.is_ascii_digit()), "{name}: {action}");
            pinned += 1;
        }
    }
    assert!(pinned > 0);
}

#[test]
fn one_version_of_each_tool_is_named_everywhere() {
    let rust = after("rust-toolchain.toml", "channel = \"");
    assert_eq!(after("Dockerfile", "ARG RUST_VERSION="), rust);
    assert_eq!(after(".github/workflows/ci.yml", "image: rust:"), rust);
    assert!(rust.starts_with(&after("Cargo.toml", "rust-version = \"")), "{rust} is what the tests run with");
}

#[test]
fn one_variable_puts_a_published_image_in_place_of_the_build() {
    assert!(text("Dockerfile").contains("\nFROM ${POSTIZ_AUTH_IMAGE:-"));
    let build = yaml("docker-compose.yml")["services"]["server"]["build"].clone();
    assert_eq!(build["args"]["POSTIZ_AUTH_IMAGE"], "${POSTIZ_AUTH_IMAGE:-}");
    for (file, service) in WITHOUT_A_CHECKOUT {
        let image = yaml(file)["services"][service]["image"].as_str().unwrap().to_owned();
        assert!(image.starts_with("${POSTIZ_AUTH_IMAGE:?"), "{file}: {image}");
    }
    assert!(text("deploy/kubernetes/example/settings.env").contains("\nPOSTIZ_AUTH_IMAGE="));
    let example = yaml("deploy/kubernetes/example/kustomization.yaml");
    assert_eq!(example["replacements"][0]["source"]["fieldPath"], "data.POSTIZ_AUTH_IMAGE");
}

#[test]
fn each_platform_gives_the_time_that_a_stop_takes() {
    let others = [
        ("docker-compose.yml", "Add DRAIN_SECONDS if it is set.\n  stop_grace_period: "),
        ("deploy/systemd/postiz-auth-server@.service", "\nTimeoutStopSec="),
        ("fly.toml", "\nkill_timeout = "),
        ("railway.json", "\"drainingSeconds\": "),
        ("render.yaml", "maxShutdownDelaySeconds: "),
    ];
    let compose = WITHOUT_A_CHECKOUT.map(|(file, _)| (file, "stop_grace_period: "));
    for (file, before) in compose.into_iter().chain(others) {
        let seconds: u64 = after(file, before).parse().unwrap();
        assert!(seconds >= STOP_SECONDS, "{file}: {seconds}");
    }
    let drain: u64 = after("deploy/kubernetes/base/kustomization.yaml", "DRAIN_SECONDS=").parse().unwrap();
    let grace: u64 = after("deploy/kubernetes/base/deployment.yaml", "GracePeriodSeconds: ").parse().unwrap();
    assert!(grace >= drain + STOP_SECONDS, "{grace}");
}

#[test]
fn compose_passes_every_variable_on_and_bounds_the_log_and_the_memory_of_each_service() {
    let compose = yaml("docker-compose.yml");
    for variable in Config::VARIABLES {
        assert!(compose["services"]["server"]["environment"].get(variable.name).is_some(), "{}", variable.name);
    }
    for (name, service) in compose["services"].as_object().unwrap() {
        let options = &service["logging"]["options"];
        assert!(options["max-size"].is_string() && options["max-file"].is_string(), "{name}");
        assert!(service["mem_limit"].is_string(), "{name}");
        let has_password = service["environment"].get("POSTGRES_PASSWORD").is_some();
        assert!(!has_password, "{name}: PostgreSQL is reached by its socket alone");
    }
}

#[test]
fn beside_postiz_the_server_has_a_database_of_its_own() {
    let overlay = yaml("deploy/postiz/compose.auth.yaml");
    let (server, one_shot) = (&overlay["services"]["postiz-auth"], &overlay["services"]["postiz-auth-database"]);
    let url = server["environment"]["DATABASE_URL"].as_str().unwrap();
    assert!(url.starts_with("postgres://postiz_auth:") && url.ends_with("@postiz-postgres:5432/postiz_auth"), "{url}");
    let script = one_shot["command"][2].as_str().unwrap();
    assert!(script.contains("'CREATE DATABASE postiz_auth OWNER postiz_auth'"), "{script}");
    assert_eq!(server["depends_on"]["postiz-auth-database"]["condition"], "service_completed_successfully");
}

#[test]
fn files_for_other_places_set_variables_that_exist() {
    for (file, service) in WITHOUT_A_CHECKOUT {
        let environment = yaml(file)["services"][service]["environment"].clone();
        let names: Vec<String> = match &environment {
            Value::Object(map) => map.keys().cloned().collect(),
            list => list.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect(),
        };
        // Coolify's own begin with SERVICE_.
        for name in names.iter().map(|it| it.split('=').next().unwrap()).filter(|it| !it.starts_with("SERVICE_")) {
            assert!(Config::VARIABLES.iter().any(|variable| variable.name == name), "{file}: {name}");
        }
    }
}

#[test]
fn the_template_for_dokploy_sets_every_variable_that_it_uses() {
    let folder = "deploy/dokploy/postiz-auth-server";
    let template = toml(&format!("{folder}/template.toml"));
    let set: Vec<&str> = template["config"]["env"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let compose = text(&format!("{folder}/docker-compose.yml"));
    for used in compose.split("${").skip(1).map(|after| after.split(['}', ':']).next().unwrap()) {
        assert!(set.iter().any(|line| line.starts_with(&format!("{used}="))), "{used}");
    }
}

#[test]
fn systemd_hands_every_secret_over_as_a_credential() {
    let unit = text("deploy/systemd/postiz-auth-server@.service");
    let secrets = Config::VARIABLES.iter().filter_map(|variable| Some((variable.name, variable.file_variable()?)));
    for (name, named_by) in secrets {
        for line in [
            format!("\nLoadCredential={name}:/etc/postiz-auth-server/secrets/{name}\n"),
            format!("\nSetCredential={name}:\\n\n"),
            format!(" {named_by}=${{CREDENTIALS_DIRECTORY}}/{name} "),
        ] {
            assert!(unit.contains(&line), "{line:?}");
        }
        assert!(text("deploy/systemd/postiz-auth-command").contains(&format!(" {name}")), "{name}");
    }
    assert!(unit.contains("\nLimitCORE=0\n"));
}
