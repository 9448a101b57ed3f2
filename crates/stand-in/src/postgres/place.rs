//! The directory of a throw-away PostgreSQL, and the account that it runs as.

use std::fs::{DirBuilder, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Other users may enter a directory.
const PASSABLE: u32 = 0o001;
/// Other users may create and remove entries in it.
const WRITABLE: u32 = 0o002;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// A fresh directory with mode 0700.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) directory: PathBuf,
    /// The account to change to, because PostgreSQL refuses to run as root. `None` keeps the current one.
    pub(super) account: Option<Account>,
}

impl Place {
    /// Creates the directory and writes `password` into it, both readable by the account only.
    pub(super) fn create(password: &str) -> io::Result<Self> {
        let name = format!("postiz-auth-{:016x}", rand::random::<u64>());
        let mut directory = std::env::temp_dir().join(&name);
        DirBuilder::new().mode(0o700).create(&directory)?;
        // The owner of a new directory is the user that this process runs as.
        let account = if directory.metadata()?.uid() == 0 { Some(unprivileged()?) } else { None };
        if account.is_some() && !open_to_others(&directory) {
            std::fs::remove_dir(&directory)?;
            directory = Path::new("/tmp").join(&name);
            DirBuilder::new().mode(0o700).create(&directory)?;
        }
        let file = directory.join("password");
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?.write_all(password.as_bytes())?;
        if let Some(Account { uid, gid }) = account {
            chown(&file, Some(uid), Some(gid))?;
            chown(&directory, Some(uid), Some(gid))?;
        }
        Ok(Self { directory, account })
    }
}

/// Whether another user can reach `directory` and remove it.
fn open_to_others(directory: &Path) -> bool {
    let has = |path: &Path, bit| path.metadata().is_ok_and(|of: Metadata| of.mode() & bit == bit);
    directory.parent().is_some_and(|parent| has(parent, WRITABLE) && parent.ancestors().all(|path| has(path, PASSABLE)))
}

fn unprivileged() -> io::Result<Account> {
    ["postgres", "nobody"].into_iter().find_map(account_of).ok_or_else(|| {
        io::Error::other("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`")
    })
}

fn account_of(user: &str) -> Option<Account> {
    let id = |flag: &str| -> Option<u32> {
        let output = Command::new("id").args([flag, user]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    Some(Account { uid: id("-u")?, gid: id("-g")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_only_can_read_the_directory_and_the_password() {
        let place = Place::create("secret").unwrap();
        let directory = place.directory.metadata().unwrap();
        let password = place.directory.join("password").metadata().unwrap();
        std::fs::remove_dir_all(&place.directory).unwrap();

        assert_eq!(directory.mode() & 0o777, 0o700);
        assert_eq!(password.mode() & 0o777, 0o600);
        assert_eq!(directory.uid(), password.uid());
        assert_ne!(directory.uid(), 0, "PostgreSQL refuses root");
    }

    #[test]
    fn an_unknown_user_has_no_account() {
        assert_eq!(account_of("no-such-user-here"), None);
    }
}
