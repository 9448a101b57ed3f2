//! Which file of a crate uses which other file.
//!
//! Paths are resolved as the compiler does it, through `use`, `super`, renames and re-exports, to the file that defines the item.
//! So a `mod.rs` that only declares and re-exports its parts uses none of them. A method call names no file and is not seen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use syn::{Attribute, Ident, Item};

use super::source::{Module, Path};

/// How many re-exports may lead to an item.
const LONGEST_WAY: usize = 16;

pub struct Graph {
    krate: String,
    modules: BTreeMap<Path, Module>,
    /// From the file that uses to the files that it uses, each with a path that it names.
    uses: BTreeMap<String, BTreeMap<String, String>>,
}

impl Graph {
    /// Of a crate's files, by their paths below `src/`; files that only tests use are left out.
    pub fn new(krate: &str, files: &BTreeMap<String, String>) -> Self {
        let mut graph = Self { krate: krate.to_owned(), modules: BTreeMap::new(), uses: BTreeMap::new() };
        for (root, path) in [("lib.rs", vec![]), ("main.rs", vec!["main".to_owned()])] {
            if files.contains_key(root) {
                graph.read_file(files, root, path);
            }
        }
        graph.uses = graph.modules.values().map(|module| (module.file.clone(), BTreeMap::new())).collect();
        for (path, module) in &graph.modules {
            for (named, used) in graph.used_by(path, module).into_iter().filter(|(_, used)| *used != module.file) {
                graph.uses.get_mut(&module.file).unwrap().entry(used).or_insert_with(|| named.join("::"));
            }
        }
        graph
    }

    fn read_file(&mut self, files: &BTreeMap<String, String>, file: &str, path: Path) {
        let text = files.get(file).unwrap_or_else(|| panic!("no {file}"));
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        self.read_module(files, file, path, &parsed.items);
    }

    fn read_module(&mut self, files: &BTreeMap<String, String>, file: &str, path: Path, items: &[Item]) {
        for item in items {
            let Item::Mod(item) = item else { continue };
            if item.attrs.iter().any(is_cfg_test) {
                continue;
            }
            let child = [&path[..], &[item.ident.to_string()]].concat();
            if let Some((_, items)) = &item.content {
                self.read_module(files, file, child, items);
            } else {
                let place = child.join("/");
                let candidates = [format!("{place}.rs"), format!("{place}/mod.rs")];
                let found = candidates.iter().find(|file| files.contains_key(*file));
                self.read_file(files, found.unwrap_or(&candidates[0]), child);
            }
        }
        self.modules.insert(path, Module::new(file, items));
    }

    /// The files whose items a module names, with the names.
    fn used_by<'a>(&self, at: &[String], module: &'a Module) -> Vec<(&'a Path, String)> {
        // What a module passes on of its own parts it uses only if it names it elsewhere.
        let passed_on = |path: &Path| self.child(at, &path[0]).is_some() || path[0] == "self";
        let imported = module.imports.iter().filter(|import| !import.public || !passed_on(&import.path));
        let named = imported.map(|import| &import.path).chain(&module.paths);
        named.filter_map(|path| Some((path, self.file_of(at, path, LONGEST_WAY)?))).collect()
    }

    /// The file that defines what `path` names in the module `at`; nothing for other crates, variables, and modules as such.
    fn file_of(&self, at: &[String], path: &[String], way: usize) -> Option<String> {
        let way = way.checked_sub(1)?;
        match path[0].as_str() {
            "crate" => self.file_in(&[], &path[1..], way),
            "self" => self.file_in(at, &path[1..], way),
            "super" => {
                let parent = &at[..at.len() - 1];
                if path.get(1).is_some_and(|next| next == "super") {
                    self.file_of(parent, &path[1..], way)
                } else {
                    self.file_in(parent, &path[1..], way)
                }
            }
            name if name == self.krate => self.file_in(&[], &path[1..], way),
            name => {
                let module = &self.modules[at];
                let known = self.child(at, name).is_some()
                    || module.items.contains(name)
                    || module.imports.iter().any(|import| import.glob || import.name.as_deref() == Some(name));
                known.then(|| self.file_in(at, path, way)).flatten()
            }
        }
    }

    fn file_in(&self, at: &[String], path: &[String], way: usize) -> Option<String> {
        let module = &self.modules[at];
        let (name, after) = path.split_first()?;
        if let (Some(child), false) = (self.child(at, name), after.is_empty()) {
            return self.file_in(&child, after, way);
        }
        if module.items.contains(name) {
            return Some(module.file.clone());
        }
        let imports = module.imports.iter().filter(|import| import.name.as_ref() == Some(name));
        let renamed = imports.map(|import| [&import.path, after].concat());
        let globs = module.imports.iter().filter(|import| import.glob).map(|import| [&import.path, path].concat());
        let found = renamed.chain(globs).find_map(|path| self.file_of(at, &path, way));
        // Another crate's item that is passed on here, or one that a macro makes.
        found.or_else(|| self.child(at, name).is_none().then(|| module.file.clone()))
    }

    fn child(&self, at: &[String], name: &str) -> Option<Path> {
        let child = [at, &[name.to_owned()]].concat();
        self.modules.contains_key(&child).then_some(child)
    }

    pub fn modules(&self) -> impl Iterator<Item = &Module> {
        self.modules.values()
    }

    /// Every use: the file, the file that it uses, and a path by which it names it.
    pub fn uses(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.uses
            .iter()
            .flat_map(|(from, used)| used.iter().map(move |(to, path)| (from.as_str(), to.as_str(), path.as_str())))
    }

    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.uses.keys().map(String::as_str)
    }

    /// The shortest circle of each group of files that use each other.
    pub fn circles(&self) -> Vec<Vec<&str>> {
        let mut circles: Vec<_> = self.uses().filter_map(|(from, to, _)| self.way(to, from)).collect();
        circles.sort_by_key(|files| (files.len(), files.clone()));
        let mut seen = BTreeSet::new();
        circles.retain(|circle| {
            let is_new = !seen.contains(circle[0]);
            if is_new {
                seen.extend(self.files().filter(|file| self.use_each_other(file, circle[0])));
            }
            is_new
        });
        circles
    }

    fn use_each_other(&self, a: &str, b: &str) -> bool {
        self.way(a, b).is_some() && self.way(b, a).is_some()
    }

    /// The shortest way along uses, with both ends.
    fn way<'a>(&'a self, from: &'a str, to: &str) -> Option<Vec<&'a str>> {
        let mut ways = VecDeque::from([vec![from]]);
        let mut seen = BTreeSet::from([from]);
        while let Some(way) = ways.pop_front() {
            let last = way[way.len() - 1];
            if last == to {
                return Some(way);
            }
            let next = self.uses[last].keys().map(String::as_str).filter(|file| seen.insert(file));
            ways.extend(next.map(|file| [&way[..], &[file]].concat()));
        }
        None
    }
}

fn is_cfg_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") && attribute.parse_args::<Ident>().is_ok_and(|condition| condition == "test")
}
