//! What the architecture promises of the source, read from the source.

mod graph;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::support::files;
use graph::Graph;
use source::Module;

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

/// What the steps of the store share; otherwise no file there uses another.
const SHARED_BY_STEPS: &[&str] = &["store/mod.rs", "store/codec.rs"];

/// The calls by which a secret turns into something that can be copied, and the files that make them.
const REVEALING: &[&str] = &["expose", "expose_secret", "to_base64url"];
const REVEALED: &[&str] = &["grant/codes.rs", "grant/keys.rs", "postiz/exchange.rs", "postiz/mod.rs", "secret.rs"];

/// This crate's own.
static SOURCE: LazyLock<Graph> = LazyLock::new(|| {
    let src = Path::new(ROOT).join("src");
    let files = files(&src).into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let text = |path: PathBuf| {
        let name = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    Graph::new("postiz_auth_server", &files.map(text).collect())
});

fn top(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

fn layer(file: &str, layers: &[&[&str]]) -> usize {
    let found = layers.iter().position(|layer| layer.contains(&top(file)));
    found.unwrap_or_else(|| panic!("{file} is in no layer: give it one in ARCHITECTURE.md and here"))
}

/// The uses that are not allowed, as a person reads them.
fn forbidden(graph: &Graph, is_forbidden: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let found = graph.uses().filter(|(from, to, _)| is_forbidden(from, to));
    found.map(|(from, to, path)| format!("{from} uses {to} ({path})")).collect()
}

fn not_downwards(graph: &Graph, layers: &[&[&str]]) -> Vec<String> {
    forbidden(graph, |from, to| top(from) != top(to) && layer(from, layers) >= layer(to, layers))
}

fn between_steps(graph: &Graph) -> Vec<String> {
    let is_step = |file: &str| file.starts_with("store/") && !SHARED_BY_STEPS.contains(&file);
    forbidden(graph, |from, to| is_step(from) && is_step(to))
}

fn store_in_http(graph: &Graph) -> Vec<String> {
    forbidden(graph, |from, to| top(from) == "http" && top(to) == "store")
}

fn speaks_sql(module: &Module) -> bool {
    const SQL: [&str; 5] = ["SELECT ", "INSERT INTO ", "UPDATE device", "DELETE FROM ", "CREATE TABLE"];
    module.strings.iter().any(|text| SQL.iter().any(|word| text.contains(word)))
}

fn reads_the_environment(module: &Module) -> bool {
    let mut paths = module.paths.iter().chain(module.imports.iter().map(|import| &import.path));
    paths.any(|path| path.windows(2).any(|two| two[0] == "env" && two[1].starts_with("var")))
}

fn reveals_a_secret(module: &Module) -> bool {
    REVEALING.iter().any(|name| module.methods.contains(*name))
}

#[track_caller]
fn assert_none(found: &[impl Debug]) {
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn imports_go_only_downwards() {
    assert_none(&not_downwards(&SOURCE, LAYERS));
    let there: BTreeSet<&str> = SOURCE.files().map(top).collect();
    let named: BTreeSet<&str> = LAYERS.concat().into_iter().collect();
    assert_eq!(named, there, "the layers name what is there");
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    assert_none(&SOURCE.circles());
}

#[test]
fn no_step_of_the_store_uses_another() {
    assert_none(&between_steps(&SOURCE));
}

#[test]
fn http_names_nothing_of_the_store() {
    assert_none(&store_in_http(&SOURCE));
}

#[test]
fn only_the_store_and_the_database_speak_sql() {
    let others: Vec<&str> = SOURCE
        .modules()
        .filter(|it| speaks_sql(it))
        .map(|it| &*it.file)
        .filter(|file| !["store", "db"].contains(&top(file)))
        .collect();
    assert_none(&others);
}

#[test]
fn only_the_configuration_reads_the_environment() {
    let others: Vec<&str> = SOURCE
        .modules()
        .filter(|it| reads_the_environment(it))
        .map(|it| &*it.file)
        .filter(|file| top(file) != "config")
        .collect();
    assert_none(&others);
}

#[test]
fn secrets_are_revealed_in_few_places() {
    let files: BTreeSet<&str> = SOURCE.modules().filter(|it| reveals_a_secret(it)).map(|it| &*it.file).collect();
    assert_eq!(files, REVEALED.iter().copied().collect());
}

#[test]
fn one_version_of_rust_is_named_everywhere() {
    let read = |file: &str| fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
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

/// `cargo test --test it -- --ignored --nocapture print_the_module_graph`: modules in Mermaid's language, then what breaks the rules.
#[test]
#[ignore = "only prints"]
fn print_the_module_graph() {
    let mut between: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (from, to, _) in SOURCE.uses().filter(|(from, to, _)| top(from) != top(to)) {
        *between.entry((top(from), top(to))).or_default() += 1;
    }
    println!("graph TD");
    for ((from, to), count) in between {
        println!("    {from} -->|{count}| {to}");
    }
    println!("%% {} files, {} uses", SOURCE.files().count(), SOURCE.uses().count());
    for circle in SOURCE.circles() {
        println!("%% circle: {} -> {}", circle.join(" -> "), circle[0]);
    }
    for found in [between_steps(&SOURCE), store_in_http(&SOURCE)].concat() {
        println!("%% {found}");
    }
}

/// A crate in which the rules are broken in many ways of naming things.
fn example(files: &[(&str, &str)]) -> Graph {
    Graph::new("example", &files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
}

const LAYERS_OF_EXAMPLES: &[&[&str]] = &[&["main", "lib"], &["http"], &["store"], &["grant"]];

#[test]
fn an_import_upwards_is_found_however_it_is_written() {
    for use_of_http in [
        "use crate::http::Page;",
        "use crate::{grant, http::{self, page as sheet}};\nfn f() { sheet::Page::new(); }",
        "use crate::http;\nfn f(page: &[http::Page]) {}",
        "fn f() { let _ = super::http::Page {}; }",
        "fn f() { println!(\"{}\", crate::http::page::Page::NAME) }",
        "fn f() { use super::http::*; Page::new(); }",
        "mod inside { fn f() -> super::super::http::Page { todo!() } }",
        "use example::http::Page;",
    ] {
        let graph = example(&[
            ("lib.rs", "mod grant; mod http;"),
            ("grant.rs", use_of_http),
            ("http/mod.rs", "pub mod page;\npub use self::page::Page;"),
            ("http/page.rs", "pub struct Page {}"),
        ]);
        let found = not_downwards(&graph, LAYERS_OF_EXAMPLES);
        assert!(found.len() == 1 && found[0].starts_with("grant.rs uses http/page.rs"), "{use_of_http}: {found:?}");
    }
}

#[test]
fn an_import_downwards_and_one_of_a_test_are_allowed() {
    let graph = example(&[
        ("main.rs", "fn main() { example::http::serve() }"),
        ("lib.rs", "pub mod http; mod grant; mod store;"),
        ("http.rs", "use crate::grant::Grant;\n/// Not by `crate::http`.\npub fn serve() {}"),
        ("grant.rs", "pub struct Grant;\n#[cfg(test)]\nmod tests { use crate::http::serve; }"),
        ("store/mod.rs", "mod open;\nmod schema;\npub use open::Opened;\npub struct Store;"),
        ("store/open.rs", "use super::Store;\npub struct Opened(Store);"),
        ("store/schema.rs", "pub const TABLE: &str = \"Opened\";"),
    ]);
    assert_none(&not_downwards(&graph, LAYERS_OF_EXAMPLES));
    assert_none(&graph.circles());
    assert_none(&between_steps(&graph));
    let uses: Vec<(&str, &str)> = graph.uses().map(|(from, to, _)| (from, to)).collect();
    assert_eq!(uses, [("http.rs", "grant.rs"), ("main.rs", "http.rs"), ("store/open.rs", "store/mod.rs")]);
}

#[test]
fn a_circle_of_files_is_found_also_inside_a_module() {
    let graph = example(&[
        ("lib.rs", "mod store;"),
        ("store/mod.rs", "mod open;\nmod pool;\npub use open::Opened;\npub struct Store(pool::Pool);"),
        ("store/open.rs", "pub struct Opened(super::Store);"),
        ("store/pool.rs", "pub struct Pool(fn() -> super::Opened);"),
    ]);
    assert_eq!(graph.circles(), [["store/mod.rs", "store/pool.rs", "store/open.rs"]]);
}

#[test]
fn a_step_that_uses_another_is_found_through_a_re_export() {
    let graph = example(&[
        ("lib.rs", "mod http; mod store;"),
        ("http.rs", "fn f() { crate::store::look_up(); }"),
        (
            "store/mod.rs",
            "mod approve;\nmod lookup;\nmod codec;\npub use codec::Word;\npub use lookup::{look_up, Found};",
        ),
        ("store/approve.rs", "use super::{Found, Word};"),
        ("store/lookup.rs", "pub struct Found;\npub fn look_up() -> Result<(), super::Word> { Ok(()) }"),
        ("store/codec.rs", "pub struct Word;"),
    ]);
    assert_eq!(between_steps(&graph), ["store/approve.rs uses store/lookup.rs (super::Found)"]);
    assert_eq!(store_in_http(&graph), ["http.rs uses store/lookup.rs (crate::store::look_up)"]);
}

#[test]
fn uses_are_found_in_macros_too_and_not_in_comments() {
    let module = |text| Module::new("x.rs", &syn::parse_file(text).unwrap().items);
    for (is_so, text) in [
        (speaks_sql as fn(&Module) -> bool, "const Q: &str = \"SELECT 1\";"),
        (speaks_sql, "fn f() { format!(\"SELECT {}\", 1); }"),
        (reads_the_environment, "fn f() { std::env::var(\"X\"); }"),
        (reads_the_environment, "use std::env::{args, var_os};"),
        (reads_the_environment, "fn f() { println!(\"{:?}\", [env::vars()]); }"),
        (reveals_a_secret, "fn f(s: Secret) { g(s.expose()); }"),
        (reveals_a_secret, "fn f(s: Secret) { info!(grant.id = %s.expose(), \"x\"); }"),
    ] {
        assert!(is_so(&module(text)), "{text}");
    }
    let nothing = module("/// SELECT 1\nfn expose() { let _ = std::env::args; } // s.expose()");
    assert!(!speaks_sql(&nothing) && !reads_the_environment(&nothing) && !reveals_a_secret(&nothing));
}
