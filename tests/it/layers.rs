//! What the architecture promises of the source, read from its lines.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::files;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The top modules from the top down: each may use its own parts and those on lower lines. ARCHITECTURE.md draws the same.
const LAYERS: &[&[&str]] = &[
    &["main", "lib"],
    &["commands"],
    &["app"],
    &["check", "exporter"],
    &["http"],
    &["flow"],
    &["store", "postiz", "limits"],
    &["db"],
    &["outbound"],
    &["log"],
    &["grant", "config", "metrics"],
    &["secret"],
];

struct Line {
    file: String,
    text: String,
}

impl Line {
    fn module(&self) -> &str {
        self.file.split('/').next().unwrap().trim_end_matches(".rs")
    }

    fn holds(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.text.contains(word))
    }
}

/// The lines of `src`, without comments and unit tests.
fn source() -> Vec<Line> {
    let src = Path::new(ROOT).join("src");
    let mut lines = Vec::new();
    for path in files(&src).into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs")) {
        let file = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
        if file.contains("/tests/") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap().lines().map(str::trim);
        let code = code.filter(|line| !line.starts_with("//"));
        lines.extend(code.map(|line| Line { file: file.clone(), text: line.to_owned() }));
    }
    lines
}

fn layer(module: &str) -> usize {
    let found = LAYERS.iter().position(|layer| layer.contains(&module));
    found.unwrap_or_else(|| panic!("{module} is in no layer: give it one in ARCHITECTURE.md and here"))
}

/// The top modules that a line names, also in `use crate::{a, b::C};`.
fn used(line: &str) -> Vec<&str> {
    let paths = line.split("crate::").chain(line.split("postiz_auth_server::").skip(1)).skip(1);
    let lists = paths.flat_map(|path| match path.strip_prefix('{') {
        Some(list) => list.split(", ").collect(),
        None => vec![path],
    });
    lists.map(|path| path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap()).collect()
}

#[test]
fn imports_go_only_downwards() {
    let source = source();
    for line in &source {
        for used in used(&line.text).into_iter().filter(|used| *used != line.module()) {
            assert!(layer(line.module()) < layer(used), "{} uses {used}: {}", line.file, line.text);
        }
    }
    let there: BTreeSet<&str> = source.iter().map(Line::module).collect();
    assert_eq!(LAYERS.concat().into_iter().collect::<BTreeSet<_>>(), there, "the layers name what is there");
    assert_eq!(used("use crate::{app::App, check};"), ["app", "check"]);
    assert_eq!(used("let page = crate::http::page(postiz_auth_server::db);"), ["http", "db"]);
}

#[test]
fn sql_the_environment_the_store_and_secrets_are_named_in_few_places() {
    let sql = ["\"SELECT ", "SELECT * ", "INSERT INTO ", "UPDATE device", "DELETE FROM ", "CREATE TABLE"];
    let revealing = [".expose()", ".expose_secret()", ".to_base64url()"];
    let revealed = ["grant/ids.rs", "grant/keys.rs", "postiz/exchange.rs", "postiz/mod.rs", "secret.rs"];
    let above_the_store = ["store", "flow", "check", "app", "commands"];
    for (words, places) in [
        (&sql[..], &["store", "db"][..]),
        (&["env::var"], &["config"]),
        (&["crate::store"], &above_the_store),
        (&revealing, &revealed),
    ] {
        let found: Vec<Line> = source().into_iter().filter(|line| line.holds(words)).collect();
        assert!(!found.is_empty(), "{words:?}");
        for line in found {
            let is_allowed = places.contains(&line.module()) || places.contains(&line.file.as_str());
            assert!(is_allowed, "{}: {}", line.file, line.text);
        }
    }
}
