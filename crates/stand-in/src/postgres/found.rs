//! Finds the PostgreSQL programs of this machine.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Where packages install versions side by side: a directory, the prefix of a version's name, and the path to its programs.
const VERSIONED: [(&str, &str, &str); 5] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// The directory with `postgres` and `initdb`: `chosen` if it is given, else the first on `path`, else the newest version
/// that Debian, Red Hat, Homebrew or Postgres.app has installed.
pub(super) fn bin_dir(chosen: Option<&Path>, path: Option<&OsStr>) -> Option<PathBuf> {
    if let Some(chosen) = chosen {
        return programs_in(chosen);
    }
    let on_path = path.and_then(|path| std::env::split_paths(path).find_map(|dir| programs_in(&dir)));
    on_path.or_else(|| VERSIONED.iter().find_map(|(dir, prefix, bin)| newest(Path::new(dir), prefix, bin)))
}

/// Follows links, so that all programs are of the version of the real `postgres`.
fn programs_in(dir: &Path) -> Option<PathBuf> {
    let postgres = dir.join("postgres").canonicalize().ok()?;
    let bin = postgres.parent()?;
    bin.join("initdb").is_file().then(|| bin.to_owned())
}

fn newest(dir: &Path, prefix: &str, bin: &str) -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(dir)
        .ok()?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix(prefix)?.split('.').next()?.parse().ok()?;
            Some((version, entry.path().join(bin)))
        })
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions.iter().find_map(|(_, dir)| programs_in(dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn install(bin: &Path) {
        fs::create_dir_all(bin).unwrap();
        fs::write(bin.join("postgres"), "").unwrap();
        fs::write(bin.join("initdb"), "").unwrap();
    }

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("postiz-auth-found-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir.canonicalize().unwrap()
    }

    #[test]
    fn the_newest_version_is_taken_by_number() {
        let dir = scratch("newest");
        for version in ["9.6", "15", "17"] {
            install(&dir.join(version).join("bin"));
        }
        fs::create_dir_all(dir.join("18/bin")).unwrap(); // only the client is installed
        assert_eq!(newest(&dir, "", "bin"), Some(dir.join("17/bin")));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_chosen_directory_goes_before_the_path_and_must_hold_a_server() {
        let dir = scratch("chosen");
        let (chosen, on_path, empty) = (dir.join("chosen"), dir.join("path"), dir.join("empty"));
        install(&chosen);
        install(&on_path);
        let path = std::env::join_paths([&empty, &on_path]).unwrap();
        assert_eq!(bin_dir(Some(&chosen), Some(&path)), Some(chosen));
        assert_eq!(bin_dir(Some(&empty), Some(&path)), None);
        assert_eq!(bin_dir(None, Some(&path)), Some(on_path));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_link_on_the_path_leads_to_the_programs_of_its_version() {
        let dir = scratch("link");
        install(&dir.join("17/bin"));
        fs::create_dir_all(dir.join("path")).unwrap();
        std::os::unix::fs::symlink(dir.join("17/bin/postgres"), dir.join("path/postgres")).unwrap();
        let path = dir.join("path").into_os_string();
        assert_eq!(bin_dir(None, Some(&path)), Some(dir.join("17/bin")));
        fs::remove_dir_all(dir).unwrap();
    }
}
