//! The HOME of the printed command, so that the CLI leaves the credentials in the person's own HOME as they are.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

/// Dropping it removes the directory, if the demo has created it.
pub(crate) struct Home {
    pub(crate) path: PathBuf,
    is_temporary: bool,
}

impl Home {
    /// Creates a temporary one unless `chosen` is given. The CLI creates a chosen one if it is missing.
    pub(crate) fn new(chosen: Option<PathBuf>) -> io::Result<Self> {
        if let Some(path) = chosen {
            return Ok(Self { path, is_temporary: false });
        }
        // In /tmp and with a short name, so that the printed command fits into 80 columns: macOS' TMPDIR alone takes 49.
        let path = PathBuf::from(format!("/tmp/pz-{:04x}", rand::random::<u16>()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self { path, is_temporary: true })
    }

    /// Whether the directory is gone.
    pub(crate) fn remove(&self) -> bool {
        self.is_temporary && fs::remove_dir_all(&self.path).is_ok()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.remove();
    }
}
