//! The files of the hosting platforms, Compose, systemd, proxies and the workflows: types, and what they have to agree on.

use std::fs;
use std::path::Path;
use std::process::Command;

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
    for (file, service) in WITHOUT_A_CHECKOUT {
        let image = yaml(file)["services"][service]["image"].as_str().unwrap().to_owned();
        assert!(image.starts_with("${POSTIZ_AUTH_IMAGE:?"), "{file}: {image}");
    }

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
fn each_platform_gives_the_time_that_a_stop_takes() {
    let seconds = |file: &str, before: &str| {
        let text = text(file);
        let after = text.split_once(before).unwrap_or_else(|| panic!("{file}: {before}")).1;
        after.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<u64>().unwrap()
    };
    let compose = WITHOUT_A_CHECKOUT.map(|(file, _)| (file, "stop_grace_period: "));
    let others = [
        (
            "docker-compose.yml",
            "  # The server stops within 22.5 s. Add DRAIN_SECONDS if it is set.\n  stop_grace_period: ",
        ),
        ("deploy/systemd/postiz-auth-server@.service", "\nTimeoutStopSec="),
        ("fly.toml", "\nkill_timeout = "),
        ("railway.json", "\"drainingSeconds\": "),
        ("render.yaml", "maxShutdownDelaySeconds: "),
    ];
    for (file, before) in compose.into_iter().chain(others) {
        assert!(seconds(file, before) >= STOP_SECONDS, "{file}");
    }
    let base = yaml("deploy/kubernetes/base/kustomization.yaml");
    let settings = base["configMapGenerator"][0]["literals"].as_array().unwrap();
    let drain = settings.iter().find_map(|it| it.as_str()?.strip_prefix("DRAIN_SECONDS=")).unwrap();
    let deployment = yaml("deploy/kubernetes/base/deployment.yaml");
    let grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(grace >= drain.parse::<u64>().unwrap() + STOP_SECONDS, "{grace}");
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
fn compose_bounds_the_log_and_the_memory_of_each_service() {
    let compose = yaml("docker-compose.yml");
    for (name, service) in compose["services"].as_object().unwrap() {
        let options = &service["logging"]["options"];
        assert!(options["max-size"].is_string() && options["max-file"].is_string(), "{name}");
        assert!(service["mem_limit"].is_string(), "{name}");
    }
}

#[test]
fn beside_postiz_the_server_has_a_database_of_its_own() {
    let overlay = yaml("deploy/postiz/compose.auth.yaml");
    let (server, one_shot) = (&overlay["services"]["postiz-auth"], &overlay["services"]["postiz-auth-database"]);
    let url = server["environment"]["DATABASE_URL"].as_str().unwrap();
    assert!(url.starts_with("postgres://postiz_auth:") && url.ends_with("@postiz-postgres:5432/postiz_auth"), "{url}");
    let script = one_shot["command"][2].as_str().unwrap();
    assert!(script.contains("'CREATE ROLE postiz_auth' WHERE NOT EXISTS"), "{script}");
    assert!(script.contains("'CREATE DATABASE postiz_auth OWNER postiz_auth'"), "{script}");
    assert_eq!(server["depends_on"]["postiz-auth-database"]["condition"], "service_completed_successfully");
    assert!(server.get("env_file").is_none(), "nothing is shared with Postiz's environment");
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
fn the_template_for_dokploy_is_complete() {
    let folder = "deploy/dokploy/postiz-auth-server";
    let template: Value = toml::from_str(&text(&format!("{folder}/template.toml"))).unwrap();
    let compose = text(&format!("{folder}/docker-compose.yml"));
    let set: Vec<&str> = template["config"]["env"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for used in compose.split("${").skip(1).map(|after| after.split(['}', ':']).next().unwrap()) {
        assert!(set.iter().any(|line| line.starts_with(&format!("{used}="))), "{used}");
    }
    let meta: Value = serde_json::from_str(&text(&format!("{folder}/meta.json"))).unwrap();
    let logo = format!("{folder}/{}", meta["logo"].as_str().unwrap());
    assert_eq!(text(&logo), text("assets/icon.svg"));
}

#[test]
fn in_kubernetes_only_the_ingress_and_prometheus_reach_the_server() {
    let policy = yaml("deploy/kubernetes/base/network-policy.yaml");
    let deployment = yaml("deploy/kubernetes/base/deployment.yaml");
    assert_eq!(policy["spec"]["podSelector"], deployment["spec"]["selector"]);
    let ports = &deployment["spec"]["template"]["spec"]["containers"][0]["ports"];
    let rules = policy["spec"]["ingress"].as_array().unwrap();
    assert_eq!(rules[0]["ports"][0]["port"], ports[0]["name"]);
    let settings = text("deploy/kubernetes/example/settings.env");
    assert!(settings.contains(&format!("METRICS_ADDRESS=0.0.0.0:{}\n", rules[1]["ports"][0]["port"])));
    assert!(rules.iter().all(|rule| rule["from"][0]["namespaceSelector"]["matchLabels"].is_object()));
}

#[test]
fn cargo_binstall_finds_the_archives_of_a_release() {
    let release = text(".github/workflows/release.yml");
    assert!(release.contains("scripts/release/package \"postiz-auth-server-$VERSION-linux-$ARCH\""));
    let manifest: Value = toml::from_str(&text("Cargo.toml")).unwrap();
    for (target, arch) in [("x86_64", "amd64"), ("aarch64", "arm64")] {
        let it = &manifest["package"]["metadata"]["binstall"]["overrides"][format!("{target}-unknown-linux-gnu")];
        let archive = format!("{{ name }}-{{ version }}-linux-{arch}");
        assert!(it["pkg-url"].as_str().unwrap().ends_with(&format!("/v{{ version }}/{archive}.tar.gz")), "{it}");
        assert_eq!(it["bin-dir"], format!("{archive}/{{ bin }}"));
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
