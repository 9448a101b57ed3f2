//! What documents point to is there: tests by their names, files, links.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::files;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What documents name in snake case: tests, metrics, columns, settings.
const NAMED: &[&str] = &["src", "tests", "crates", "migrations", "deploy", "docs/monitoring", "openapi.yaml"];

/// Endings that make a word in backticks a file.
const FILES: &[&str] =
    &["cfg", "conf", "html", "json", "md", "mjs", "rs", "service", "sh", "sql", "toml", "yaml", "yml"];

fn documents() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    let of_root = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let all = of_root.chain(files(&root.join("docs"))).chain(files(&root.join("locales")));
    // A changelog speaks of what was.
    all.filter(|path| path.extension().is_some_and(|end| end == "md") && !path.ends_with("CHANGELOG.md")).collect()
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
    let is_part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    word.split('_').count() >= 4 && word.split('_').all(is_part)
}

/// A path in this repository, from its root, from `src/`, or from the document's own folder.
fn is_path(word: &str) -> bool {
    let odd = |c: char| !c.is_ascii_alphanumeric() && !"._-/".contains(c);
    if word.contains(odd) || word.starts_with('/') || word.starts_with("target/") {
        return false;
    }
    let of_ours = |(first, _): (&str, &str)| ["", "src/"].iter().any(|base| is_there(&format!("{base}{first}")));
    let ending = word.rsplit_once('.').is_some_and(|(name, end)| !name.is_empty() && FILES.contains(&end));
    ending || word.ends_with('/') || word.split_once('/').is_some_and(of_ours)
}

fn is_there(path: &str) -> bool {
    Path::new(ROOT).join(path).exists()
}

#[test]
fn every_test_file_and_link_in_a_document_exists() {
    let places = NAMED.iter().flat_map(|place| files(&Path::new(ROOT).join(place)));
    let code: String = places.filter_map(|file| fs::read_to_string(file).ok()).collect();
    let mut missing = Vec::new();
    let (mut names, mut paths, mut targets) = (0, 0, 0);
    for document in documents() {
        let folder = document.parent().unwrap();
        let text = fs::read_to_string(&document).unwrap();
        let prose: String = text.split("```").step_by(2).collect();
        for word in prose.split('`').skip(1).step_by(2) {
            let exists = if is_long_name(word) {
                names += 1;
                code.contains(word)
            } else if is_path(word) {
                paths += 1;
                is_there(word) || is_there(&format!("src/{word}")) || folder.join(word).exists()
            } else {
                true
            };
            missing.extend((!exists).then(|| format!("{}: `{word}`", document.display())));
        }
        for target in links(&prose) {
            targets += 1;
            missing.extend((!folder.join(target).exists()).then(|| format!("{}: ({target})", document.display())));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(names > 20 && paths > 20 && targets > 20, "{names} names, {paths} paths, {targets} links were found");
}
