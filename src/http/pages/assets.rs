//! The stylesheet, the script and the icon. Each name carries a digest of its content, so that a browser may keep it for ever and
//! never shows a new page in an old style.

use std::{fmt::Write, sync::LazyLock};

use sha2::{Digest, Sha256};

/// The path, below that of `SERVER_URL`, under which [`asset`] is served.
pub const ASSETS_PATH: &str = "/assets/";

/// What `Cache-Control` says about every asset.
pub const ASSET_CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// A file that pages refer to.
#[derive(Debug)]
pub struct Asset {
    /// The name without the digest, as templates know it.
    file: &'static str,
    /// The name with the digest, as browsers ask for it: `style.0123456789.css`.
    pub name: String,
    /// For the header `Content-Type`.
    pub content_type: &'static str,
    /// The file itself.
    pub body: &'static [u8],
}

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        Asset::new("style.css", "text/css; charset=utf-8", include_bytes!("../../../assets/style.css")),
        Asset::new("script.js", "text/javascript; charset=utf-8", include_bytes!("../../../assets/script.js")),
        Asset::new("icon.svg", "image/svg+xml", include_bytes!("../../../assets/icon.svg")),
    ]
});

impl Asset {
    fn new(file: &'static str, content_type: &'static str, body: &'static [u8]) -> Self {
        let (stem, extension) = file.split_once('.').unwrap_or((file, ""));
        let mut name = format!("{stem}.");
        for byte in Sha256::digest(body).iter().take(5) {
            // Writing to a String cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        name.push('.');
        name.push_str(extension);
        Self { file, name, content_type, body }
    }
}

/// All of them.
pub fn assets() -> &'static [Asset] {
    &*ASSETS
}

/// The asset that is served as [`ASSETS_PATH`] followed by `name`; `None` for any other name, an outdated digest included.
pub fn asset(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

/// The name with the digest for a file's own name; a file that does not exist keeps its name and is not found.
pub(super) fn digested(file: &str) -> &str {
    ASSETS.iter().find(|asset| asset.file == file).map_or(file, |asset| &asset.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_carries_ten_digits_of_its_digest() {
        let name = digested("style.css");
        let digest = name.strip_prefix("style.").and_then(|rest| rest.strip_suffix(".css")).unwrap();
        assert_eq!(digest.len(), 10);
        assert!(digest.chars().all(|c| c.is_ascii_hexdigit()));
    }

    #[test]
    fn every_asset_is_found_by_the_name_that_pages_use() {
        for file in ["style.css", "script.js", "icon.svg"] {
            let found = asset(digested(file)).unwrap();
            assert!(!found.body.is_empty());
        }
    }

    #[test]
    fn an_outdated_or_bare_name_is_not_found() {
        for name in ["style.css", "style.0000000000.css", "", "../Cargo.toml"] {
            assert!(asset(name).is_none(), "{name}");
        }
    }
}
