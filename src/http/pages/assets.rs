//! The stylesheet, the script and the icon. Each name contains a digest of the content, so that browsers can cache it for a year and
//! never combine a new page with an old style.

use std::sync::LazyLock;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// Below the path of `SERVER_URL`.
pub const ASSETS_PATH: &str = "/assets/";

pub const ASSET_CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

#[derive(Debug)]
pub struct Asset {
    /// `style.css`, as templates refer to it.
    file: &'static str,
    /// `style.0123456789.css`, as browsers request it.
    pub name: String,
    pub content_type: &'static str,
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
        let digest = HEXLOWER.encode(&Sha256::digest(body)[..5]);
        Self { file, name: format!("{stem}.{digest}.{extension}"), content_type, body }
    }
}

pub fn assets() -> &'static [Asset] {
    &*ASSETS
}

/// Finds an asset by its name with the digest. An outdated digest is not found.
pub fn asset(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

/// Adds the digest to a file name. An unknown name stays as it is.
pub(super) fn digested(file: &str) -> &str {
    ASSETS.iter().find(|asset| asset.file == file).map_or(file, |asset| &asset.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_contains_ten_digits_of_its_digest() {
        let name = digested("style.css");
        let digest = name.strip_prefix("style.").and_then(|rest| rest.strip_suffix(".css")).unwrap();
        assert_eq!(digest.len(), 10);
        assert!(digest.chars().all(|c| c.is_ascii_hexdigit()));
    }

    #[test]
    fn every_asset_is_found_by_the_name_on_pages() {
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
