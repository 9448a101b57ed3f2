//! What the architecture promises of the source, read from the source.

use std::fs;
use std::path::{Path, PathBuf};

const SRC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

/// From the top down; a module may use those on lower lines and its own parts.
const LAYERS: &[&[&str]] = &[
    &["lib", "main"],
    &["commands"],
    &["app", "demo"],
    &["check", "exporter"],
    &["http", "sweeper", "feed"],
    &["store", "postiz", "waiters", "limits", "sockets", "telemetry"],
    &["outbound"],
    &["tls_roots"],
    &["grant", "config", "metrics"],
    &["secret"],
];

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Each file of ours, by its top module, without its tests: those may use what they like.
fn sources() -> Vec<(String, PathBuf, String)> {
    let found = files(Path::new(SRC)).into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let sources: Vec<_> = found
        .filter(|path| !path.components().any(|part| part.as_os_str().to_string_lossy().starts_with("tests")))
        .map(|path| {
            let first = path.strip_prefix(SRC).unwrap().components().next().unwrap();
            let module = first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
            (module, path, text)
        })
        .collect();
    assert!(sources.len() > 50, "the sources are there");
    sources
}

/// Lines of code, without comments and documentation.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"))
}

fn layer(module: &str) -> usize {
    let found = LAYERS.iter().position(|layer| layer.contains(&module));
    found.unwrap_or_else(|| panic!("{module} is in no layer: give it one in ARCHITECTURE.md and here"))
}

#[test]
fn imports_go_only_downwards() {
    for (module, path, text) in sources().into_iter().filter(|(module, ..)| layer(module) > 0) {
        for line in code(&text) {
            for used in line.split("crate::").skip(1) {
                let used = used.trim_start_matches('{');
                let names = if line.contains("crate::{") { used.trim_end_matches(['}', ';']) } else { used };
                for name in names.split(',').map(str::trim) {
                    let name = name.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                    let fine = name == module || layer(name) > layer(&module);
                    assert!(fine, "{}: {module} must not use {name}", path.display());
                    if !line.contains("crate::{") {
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn only_the_store_speaks_sql() {
    const SQL: [&str; 5] = ["SELECT ", "INSERT INTO ", "UPDATE device", "DELETE FROM ", "CREATE TABLE"];
    for (module, path, text) in sources() {
        let speaks = code(&text).any(|line| SQL.iter().any(|word| line.contains(word)));
        assert!(!speaks || module == "store", "{} has SQL", path.display());
    }
}

#[test]
fn only_the_configuration_reads_the_environment() {
    for (module, path, text) in sources() {
        let reads = code(&text).any(|line| line.contains("env::var"));
        // The throw-away Postgres looks for its programs on the PATH.
        assert!(!reads || matches!(module.as_str(), "config" | "demo"), "{} reads the environment", path.display());
    }
}

/// Where a secret turns into something that can be copied; all of it on one screen.
#[test]
fn secrets_are_revealed_in_few_places() {
    const REVEALED: &[&str] = &[
        "commands/demo.rs",
        "demo/postiz/",
        "grant/browser.rs",
        "grant/codes.rs",
        "grant/sealing.rs",
        "http/self_check.rs",
        "http/token.rs",
        "http/typing.rs",
        "postiz/exchange.rs",
        "postiz/mod.rs",
        "secret.rs",
    ];
    for (_, path, text) in sources() {
        let reveals = code(&text)
            .any(|line| [".expose()", ".expose_secret()", ".to_base64url()"].iter().any(|call| line.contains(call)));
        let name = path.strip_prefix(SRC).unwrap().to_string_lossy().into_owned();
        assert!(!reveals || REVEALED.iter().any(|place| name.starts_with(place)), "{name} reveals a secret");
    }
}

#[test]
fn one_version_of_rust_is_named_everywhere() {
    let read = |file: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let value = |file: &str, before: &str| {
        let text = read(file);
        let found = text.lines().find_map(|line| line.trim().strip_prefix(before));
        found.unwrap_or_else(|| panic!("{file} says no {before}")).trim_matches('"').to_owned()
    };
    let toolchain = value("rust-toolchain.toml", "channel = ");
    assert_eq!(value("Dockerfile", "ARG RUST_VERSION="), toolchain);
    let oldest = value("Cargo.toml", "rust-version = ");
    assert!(toolchain.starts_with(&oldest), "{toolchain} is what the tests run with, {oldest} is promised");
}
