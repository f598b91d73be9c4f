//! Turns a policy crate into a component: cargo builds the core module, then the component encoding
//! is wrapped round it, so that no tool besides cargo is needed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, bail, ensure};
use wasm_encoder::{Module, RawSection};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "policy";

/// Builds `package` of the workspace in `workspace` and encodes it as a component.
///
/// `target_dir` must not be the target directory of a cargo that waits for this call: cargo locks it.
///
/// # Errors
/// Where cargo cannot be run, the package does not compile or exports no policy.
pub fn build(workspace: &Path, package: &str, target_dir: &Path) -> Result<Vec<u8>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(workspace)
        .args(["build", "--package", package, "--target", TARGET, "--profile", PROFILE])
        .arg("--target-dir")
        .arg(target_dir)
        // Flags and wrappers meant for the host's build do not fit the guest's.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .output()
        .context("cargo cannot be run")?;
    ensure!(
        output.status.success(),
        "policy `{package}` does not build (if the target is missing: `rustup target add {TARGET}`):\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let module = target_dir
        .join(TARGET)
        .join(PROFILE)
        .join(package.replace('-', "_"))
        .with_extension("wasm");
    let module = fs::read(&module).with_context(|| format!("{} cannot be read", module.display()))?;
    encode(&module).with_context(|| format!("policy `{package}`"))
}

/// Encodes a core module that exports the contract's functions as a component that imports nothing.
///
/// # Errors
/// Where the module exports neither an analyzer nor an optimizer, or imports something.
pub fn encode(module: &[u8]) -> Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(contract_dir())?;
    let world = resolve.select_world(&[package], Some(world_of(module)?))?;
    let mut module = without_bindings_metadata(module)?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().module(&module)?.validate(true).encode()
}

fn contract_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/policy@0.1.0")
}

/// The world that the module's exports make up.
fn world_of(module: &[u8]) -> Result<&'static str> {
    let (mut analyzer, mut optimizer) = (false, false);
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ExportSection(exports) = payload? {
            for export in exports {
                let name = export?.name;
                analyzer |= name.starts_with("trimtab:policy/analyzer@") && name.ends_with("#analyze");
                optimizer |= name.starts_with("trimtab:policy/optimizer@") && name.ends_with("#optimize");
            }
        }
    }
    match (analyzer, optimizer) {
        (true, false) => Ok("analyzer-policy"),
        (false, true) => Ok("optimizer-policy"),
        (true, true) => Ok("policy"),
        (false, false) => bail!(
            "exports neither an analyzer nor an optimizer: call `export_analyzer!` or `export_optimizer!`"
        ),
    }
}

/// Drops what the guest bindings wrote about their worlds: there `types` is an import, and a crate
/// that links both bindings would have to export both interfaces.
fn without_bindings_metadata(module: &[u8]) -> Result<Vec<u8>> {
    let mut kept = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Payload::CustomSection(custom) = &payload
            && custom.name().starts_with("component-type")
        {
            continue;
        }
        if let Some((id, range)) = payload.as_section() {
            let data = module
                .get(range.start as usize..range.end as usize)
                .context("a section reaches past the module's end")?;
            kept.section(&RawSection { id, data });
        }
    }
    Ok(kept.finish())
}
