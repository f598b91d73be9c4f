//! Runs the cargo that compiles a policy crate to a core module.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use anyhow::{Context as _, Result, bail, ensure};

use crate::TARGET;

/// The workspace's profile for guests.
const PROFILE: &str = "policy";

/// A component begins with 2 MiB, of which its stack takes one: most calls then never grow it.
const FLAGS: &str = "-Clink-arg=--initial-memory=2097152";

/// Builds `package` of the workspace in `workspace` and encodes it as a component.
///
/// `target_dir` must not be the target directory of a cargo that waits for this call: cargo locks it.
///
/// # Errors
/// Where cargo cannot be run, the target is not installed, or the package does not compile or
/// exports no policy.
pub fn build(workspace: &Path, package: &str, target_dir: &Path) -> Result<Vec<u8>> {
    ensure_target()?;
    let output = cargo_build(workspace, package, target_dir)?;
    if !output.status.success() {
        bail!(
            "policy `{package}` does not compile:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let module = target_dir
        .join(TARGET)
        .join(PROFILE)
        .join(package.replace('-', "_"))
        .with_extension("wasm");
    let module =
        fs::read(&module).with_context(|| format!("{} cannot be read", module.display()))?;
    crate::encode(&module).with_context(|| format!("policy `{package}`"))
}

fn cargo_build(workspace: &Path, package: &str, target_dir: &Path) -> Result<Output> {
    Command::new(tool("CARGO", "cargo"))
        .current_dir(workspace)
        .args(["build", "--locked", "--package", package, "--lib"])
        .args(["--target", TARGET, "--profile", PROFILE])
        .arg("--target-dir")
        .arg(target_dir)
        // Flags and wrappers meant for the host's build do not fit the guest's.
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS)
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .output()
        .context("cargo cannot be run")
}

/// Asks the compiler, since what cargo prints for a missing target is a page about `core`.
fn ensure_target() -> Result<()> {
    let output = Command::new(tool("RUSTC", "rustc"))
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .context("rustc cannot be run")?;
    let directory = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    ensure!(
        output.status.success() && directory.is_dir(),
        "policies need the target {TARGET}, which is not installed: `rustup target add {TARGET}`"
    );
    Ok(())
}

/// The tool that runs this build, which names it in the environment; else the one on the path.
fn tool(variable: &str, name: &str) -> std::ffi::OsString {
    env::var_os(variable).unwrap_or_else(|| name.into())
}
