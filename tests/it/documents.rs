//! What documents point to is there: tests by their names, files, links.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{ItemFn, ItemMod};

use crate::support::files;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Their code and settings may hold a name in snake case that is no test's: a metric, a column, a variable of PostgreSQL.
const NAMED_ELSEWHERE: &[&str] = &["src", "crates", "migrations", "deploy", "docs/monitoring", "openapi.yaml"];

/// Endings that make a word in backticks a file.
const FILES: &[&str] =
    &["cfg", "conf", "html", "json", "md", "mjs", "rs", "service", "sh", "sql", "toml", "yaml", "yml"];

/// All tests, as `module::name` and as `name`.
#[derive(Default)]
struct Tests {
    module: String,
    names: BTreeSet<String>,
}

impl Tests {
    fn read() -> Self {
        let mut tests = Self::default();
        let all = ["src", "tests", "crates"].into_iter().flat_map(|place| files(&Path::new(ROOT).join(place)));
        for file in all.filter(|file| file.extension().is_some_and(|end| end == "rs")) {
            let named_by = if file.ends_with("mod.rs") { file.parent().unwrap() } else { &file };
            tests.module = named_by.file_stem().unwrap().to_string_lossy().into_owned();
            tests.visit_file(&syn::parse_file(&fs::read_to_string(&file).unwrap()).unwrap());
        }
        tests
    }

    fn holds(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}

impl<'ast> Visit<'ast> for Tests {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if item.attrs.iter().any(|attribute| attribute.path().segments.last().unwrap().ident == "test") {
            self.names.insert(format!("{}::{}", self.module, item.sig.ident));
            self.names.insert(item.sig.ident.to_string());
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let outer = self.module.clone();
        if item.ident != "tests" {
            self.module = item.ident.to_string();
        }
        visit::visit_item_mod(self, item);
        self.module = outer;
    }
}

fn documents() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    let of_root = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let all = of_root.chain(files(&root.join("docs"))).chain(files(&root.join("locales")));
    // A changelog speaks of what was.
    all.filter(|path| path.extension().is_some_and(|end| end == "md") && !path.ends_with("CHANGELOG.md")).collect()
}

/// The text without its blocks of code.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

fn in_backticks(prose: &str) -> impl Iterator<Item = &str> {
    prose.split('`').skip(1).step_by(2)
}

/// The targets of links and pictures, without addresses elsewhere and places within a document.
fn links(prose: &str) -> impl Iterator<Item = &str> {
    let marks = ["](", "src=\"", "srcset=\""];
    let targets = marks.into_iter().flat_map(|mark| prose.split(mark).skip(1));
    let targets = targets.filter_map(|after| after.split([')', '#', '"']).next());
    targets.filter(|target| !target.is_empty() && !target.contains(':'))
}

/// `a_name_of_four_words`, or more.
fn is_long_name(word: &str) -> bool {
    word.split('_').count() >= 4
        && word
            .split('_')
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

fn is_path(word: &str) -> bool {
    let word = word.strip_prefix("./").unwrap_or(word);
    let odd = |c: char| !c.is_ascii_alphanumeric() && !"._-/".contains(c);
    if word.contains(odd) || word.starts_with('/') || word.starts_with("target/") {
        return false;
    }
    let (first, rest) = word.split_once('/').unwrap_or(("", word));
    let of_ours =
        !first.is_empty() && [first.into(), format!("src/{first}")].iter().any(|it| Path::new(ROOT).join(it).exists());
    let ending = rest.rsplit_once('.').is_some_and(|(name, end)| !name.is_empty() && FILES.contains(&end));
    of_ours || ending || word.ends_with('/')
}

/// As documents write paths: from the root, from `src/`, or from their own folder.
fn is_there(document: &Path, path: &str) -> bool {
    let root = Path::new(ROOT);
    [root, &root.join("src"), document.parent().unwrap()].iter().any(|base| base.join(path).exists())
}

/// Why this word in backticks points to nothing.
fn points_to_nothing(document: &Path, word: &str, tests: &Tests, elsewhere: &str) -> Option<&'static str> {
    if let Some((file, name)) = word.split_once(".rs: ") {
        let module = Path::new(file).file_name().unwrap().to_str().unwrap();
        return (!is_there(document, &format!("{file}.rs")) || !tests.holds(&format!("{module}::{name}")))
            .then_some("no such test");
    }
    match word.rsplit_once("::") {
        Some((module, name)) if is_long_name(name) => {
            let module = module.rsplit("::").next().unwrap();
            (!tests.holds(&format!("{module}::{name}"))).then_some("no such test")
        }
        Some(_) => None,
        None if is_long_name(word) => {
            (!tests.holds(word) && !elsewhere.contains(word)).then_some("no such test or name")
        }
        None if is_path(word) => (!is_there(document, word)).then_some("no such file"),
        None => None,
    }
}

#[test]
fn every_test_file_and_link_in_a_document_exists() {
    let tests = Tests::read();
    let places = NAMED_ELSEWHERE.iter().flat_map(|place| files(&Path::new(ROOT).join(place)));
    let elsewhere: String = places.filter_map(|file| fs::read_to_string(file).ok()).collect();
    let mut missing = Vec::new();
    for document in documents() {
        let prose = prose(&fs::read_to_string(&document).unwrap());
        let name = document.strip_prefix(ROOT).unwrap().display();
        for word in in_backticks(&prose) {
            missing.extend(
                points_to_nothing(&document, word, &tests, &elsewhere).map(|why| format!("{name}: `{word}`: {why}")),
            );
        }
        let dead = links(&prose).filter(|target| !document.parent().unwrap().join(target).exists());
        missing.extend(dead.map(|target| format!("{name}: ({target}): no such file")));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn a_name_of_nothing_is_found_in_each_way_of_writing_it() {
    let tests = Tests::read();
    let document = Path::new(ROOT).join("docs/operating.md");
    let why = |word| points_to_nothing(&document, word, &tests, "a_metric_of_this_server");
    for good in [
        "tests/it/documents.rs: a_name_of_nothing_is_found_in_each_way_of_writing_it",
        "documents::a_name_of_nothing_is_found_in_each_way_of_writing_it",
        "a_name_of_nothing_is_found_in_each_way_of_writing_it",
        "a_metric_of_this_server",
        "tests/it/documents.rs",
        "grant/mod.rs",
        "grant/",
        "operating.md",
        "POST /device/token",
        "text/html",
        "/etc/caddy/Caddyfile",
        "Language::ALL",
        "DATABASE_URL",
    ] {
        assert_eq!(why(good), None, "{good}");
    }
    for bad in [
        "tests/it/layers.rs: a_name_of_nothing_is_found_in_each_way_of_writing_it",
        "layers::a_name_of_nothing_is_found_in_each_way_of_writing_it",
        "a_name_of_nothing_is_found_in_no_way",
        "tests/it/nothing.rs",
        "tests/nothing",
        "grant/nothing.rs",
        "nothing/",
        "nothing.md",
    ] {
        assert!(why(bad).is_some(), "{bad}");
    }
    let text =
        "[a](b.md#c) [d](https://e) `f`\n```sh\n[g](h.md)\n`i`\n```\n`j` <source srcset=\"k.png\"><img src=\"l.png\">";
    assert_eq!(links(&prose(text)).collect::<Vec<_>>(), ["b.md", "l.png", "k.png"]);
    assert_eq!(in_backticks(&prose(text)).collect::<Vec<_>>(), ["f", "j"]);
}
