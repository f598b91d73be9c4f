//! For build scripts that embed policies of this workspace.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, Result};

/// What every policy is made of, relative to the workspace: a change builds them anew.
const SOURCES: [&str; 5] = ["Cargo.toml", "Cargo.lock", "host/contract", "sdk", "wit"];

/// Builds each of `packages` and leaves it in the script's output directory as `PACKAGE.wasm`.
///
/// `sources` are the directories of these packages, relative to the workspace. A failure is
/// reported to cargo, which ends the build with it.
pub fn embed(workspace: &Path, packages: &[&str], sources: &[&str]) {
    for source in SOURCES.iter().chain(sources) {
        directive(
            "rerun-if-changed",
            &workspace.join(source).display().to_string(),
        );
    }
    for package in packages {
        if let Err(error) = embed_one(workspace, package) {
            for line in format!("{error:#}").lines() {
                directive("error", line);
            }
        }
    }
}

fn embed_one(workspace: &Path, package: &str) -> Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").context("only for build scripts: no OUT_DIR")?);
    let component = crate::build(workspace, package, &target_directory(&out)?)?;
    let file = out.join(package).with_extension("wasm");
    fs::write(&file, component).with_context(|| format!("{} cannot be written", file.display()))
}

/// Beside the directories of the host's profiles, so that all build scripts share it and compile
/// the policies' dependencies once. `out` is `TARGET/PROFILE/build/PACKAGE-HASH/out`.
fn target_directory(out: &Path) -> Result<PathBuf> {
    let target = out
        .ancestors()
        .nth(4)
        .context("OUT_DIR is not four deep in a target directory")?;
    Ok(target.join("policies"))
}

#[expect(
    clippy::print_stdout,
    reason = "this is how a build script speaks to cargo"
)]
fn directive(name: &str, value: &str) {
    println!("cargo::{name}={value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_built_beside_the_hosts_profiles() {
        let out = Path::new("target/debug/build/trimtab-sandbox-0123456789abcdef/out");
        assert_eq!(target_directory(out).unwrap(), Path::new("target/policies"));
        assert!(target_directory(Path::new("out")).is_err());
    }
}
