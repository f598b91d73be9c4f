//! Wraps a core module in the component encoding of the world that its exports make up.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use wasm_encoder::{Module, RawSection};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Encodes a core module that exports the contract's functions as a component that imports nothing.
///
/// # Errors
/// Where the module exports neither an analyzer nor an optimizer, or imports something.
pub fn encode(module: &[u8]) -> Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(contract_directory())?;
    let world = resolve.select_world(&[package], Some(world_of(module)?))?;
    let mut module = without_bindings_metadata(module)?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default()
        .module(&module)?
        .validate(true)
        .encode()
}

fn contract_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/policy@0.1.0")
}

/// The world that the module's exports make up.
fn world_of(module: &[u8]) -> Result<&'static str> {
    let (mut analyzer, mut optimizer) = (false, false);
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ExportSection(exports) = payload? {
            for export in exports {
                let name = export?.name;
                analyzer |= exports_function(name, "analyzer", "analyze");
                optimizer |= exports_function(name, "optimizer", "optimize");
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

/// Whether a core export is `function` of `interface`, in whatever version of the contract; the
/// encoder refuses one that is not this version's.
fn exports_function(export: &str, interface: &str, function: &str) -> bool {
    export
        .strip_prefix("trimtab:policy/")
        .and_then(|rest| rest.strip_prefix(interface))
        .and_then(|rest| rest.strip_prefix('@'))
        .and_then(|rest| rest.split_once('#'))
        .is_some_and(|(_version, name)| name == function)
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
            let data = usize::try_from(range.start)
                .ok()
                .zip(usize::try_from(range.end).ok())
                .and_then(|(start, end)| module.get(start..end))
                .context("a section reaches past the module's end")?;
            kept.section(&RawSection { id, data });
        }
    }
    Ok(kept.finish())
}

#[cfg(test)]
mod tests;
