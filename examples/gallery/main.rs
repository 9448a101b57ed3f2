//! Writes every page in every state and language to a directory, from which `tests/browser` serves them to Chromium.

mod samples;

use std::{env, fs, io, path::PathBuf};

use postiz_auth_server::http::pages::{self, ASSETS_PATH, LANGUAGES, assets, render};
use postiz_auth_server::{config, flow, grant, postiz};
use samples::{context, samples};

fn main() -> io::Result<()> {
    let directory = PathBuf::from(env::args().nth(1).unwrap_or_else(|| "target/gallery".to_owned()));
    let asset_directory = directory.join(ASSETS_PATH.trim_matches('/'));
    fs::create_dir_all(&asset_directory)?;
    for asset in assets() {
        fs::write(asset_directory.join(&asset.name), asset.body)?;
    }
    let config = samples::config("");
    for language in &LANGUAGES {
        let context = context(&config, language);
        for (name, page) in samples() {
            let file = format!("{name}.{}.html", language.tag);
            fs::write(directory.join(file), render(&page, &context).1)?;
        }
    }
    Ok(())
}
