//! The files of the hosting platforms, Compose, systemd, proxies and the workflows: types, and what they have to agree on.

use std::fs;
use std::path::Path;
use std::process::Command;

use postiz_auth_server::config::Config;
use serde_json::Value;

use crate::support::files;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn text(file: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&text(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
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
    let railway: Value = serde_json::from_str(&text("railway.json")).unwrap();
    let render = yaml("render.yaml");
    let fly: Value = toml::from_str(&text("fly.toml")).unwrap();
    // By the platform's schema: a version, and an environment variable.
    let as_text = ["/databases/0/postgresMajorVersion", "/env/PORT"];
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
            assert_eq!(looks_typed, as_text.contains(&path.as_str()), "{file}: {path} is {leaf}");
        }
    }
}

#[test]
fn render_deploys_a_repository_without_checks() {
    let render = yaml("render.yaml");
    assert_eq!(render.pointer("/services/0/autoDeployTrigger"), Some(&Value::from("commit")));
}

#[test]
fn workflows_pin_their_actions_and_start_without_permissions() {
    let workflows = files(&Path::new(ROOT).join(".github/workflows"));
    let mut uses = 0;
    for file in workflows {
        let name = file.file_name().unwrap().display();
        let text = fs::read_to_string(&file).unwrap();
        let workflow: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(workflow["permissions"], Value::Object(serde_json::Map::new()), "{name}");
        for (job, it) in workflow["jobs"].as_object().unwrap() {
            assert!(it["permissions"].is_object(), "{name}: {job}");
        }
        for action in text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("uses: ")) {
            uses += 1;
            if action.starts_with("./") {
                continue;
            }
            let (pin, version) = action.split_once('@').unwrap().1.split_once(" # v").unwrap_or_default();
            assert!(pin.len() == 40 && pin.bytes().all(|b| b.is_ascii_hexdigit()), "{name}: {action}");
            assert!(version.starts_with(|first: char| first.is_ascii_digit()), "{name}: {action}");
        }
    }
    assert!(uses > 0);
}

#[test]
fn workflows_use_the_tools_of_local_runs() {
    let toolchain: Value = toml::from_str(&text("rust-toolchain.toml")).unwrap();
    let channel = toolchain["toolchain"]["channel"].as_str().unwrap();
    let ci = yaml(".github/workflows/ci.yml");
    let image = ci["jobs"]["debian"]["container"]["image"].as_str().unwrap();
    assert!(image.starts_with(&format!("rust:{channel}-slim-")), "{image}");

    let deny = |file: &str| {
        let text = text(file);
        let after = text.split_once("cargo-deny@").unwrap_or_else(|| panic!("{file}")).1;
        after.split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(deny(".github/workflows/advisories.yml"), deny(".ci/run"));
}

#[test]
fn one_variable_puts_a_published_image_in_place_of_the_build() {
    let dockerfile = text("Dockerfile");
    let default = dockerfile.lines().find_map(|line| line.strip_prefix("ARG POSTIZ_AUTH_IMAGE=")).unwrap();
    let stages: Vec<&str> = dockerfile.lines().filter_map(|line| line.strip_prefix("FROM ")).collect();
    assert_eq!(*stages.last().unwrap(), format!("${{POSTIZ_AUTH_IMAGE:-{default}}}"));
    assert!(stages.iter().any(|stage| stage.ends_with(&format!(" AS {default}"))), "{default}");

    let compose = yaml("docker-compose.yml");
    let server = &compose["services"]["server"];
    assert_eq!(server["image"], "${POSTIZ_AUTH_IMAGE:-postiz-auth-server:local}");
    assert_eq!(server["build"]["args"]["POSTIZ_AUTH_IMAGE"], "${POSTIZ_AUTH_IMAGE:-}");

    assert!(text("deploy/kubernetes/example/settings.env").contains("\nPOSTIZ_AUTH_IMAGE="));
    let example = yaml("deploy/kubernetes/example/kustomization.yaml");
    let into_image = &example["replacements"][0];
    assert_eq!(into_image["source"]["fieldPath"], "data.POSTIZ_AUTH_IMAGE");
    let container = yaml("deploy/kubernetes/base/deployment.yaml")["spec"]["template"]["spec"]["containers"][0].clone();
    assert_eq!(
        into_image["targets"][0]["fieldPaths"][0],
        format!("spec.template.spec.containers.[name={}].image", container["name"].as_str().unwrap())
    );
}

#[test]
fn replicas_in_kubernetes_have_the_time_that_a_stop_takes() {
    let base = yaml("deploy/kubernetes/base/kustomization.yaml");
    let settings = base["configMapGenerator"][0]["literals"].as_array().unwrap();
    let drain = settings.iter().find_map(|it| it.as_str()?.strip_prefix("DRAIN_SECONDS=")).unwrap();
    let deployment = yaml("deploy/kubernetes/base/deployment.yaml");
    let grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(grace >= drain.parse::<u64>().unwrap() + 15, "{grace}");
}

#[test]
fn the_changelog_has_dated_notes_of_this_version_and_of_no_other() {
    let notes = |version| Command::new(Path::new(ROOT).join("scripts/release/notes")).arg(version).output().unwrap();
    let ours = notes(env!("CARGO_PKG_VERSION"));
    assert!(ours.status.success(), "{}", String::from_utf8_lossy(&ours.stderr));
    let said = String::from_utf8(ours.stdout).unwrap();
    assert!(said.contains("\n### ") && !said.contains("\n## "), "{said}");
    for other in ["0.0.9", "99.0.0", "0.1"] {
        assert!(!notes(other).status.success(), "{other}");
    }
}

#[test]
fn postgres_in_compose_has_no_password_no_port_and_few_rights() {
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
