//! Builds the shipped policies as components, and writes the table that embeds them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Policies that are shipped inside: directories of `policies/`, crates `trimtab-NAME`.
const BUILTINS: &[&str] = &["queueing-analyzer", "cost-optimizer"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let packages: Vec<String> = BUILTINS
        .iter()
        .map(|name| format!("trimtab-{name}"))
        .collect();
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    trimtab_componentize::build_script::embed(&workspace, &packages, &["policies"]);
    let mut table = String::from("const BUILTINS: &[(&str, &[u8])] = &[\n");
    for (name, package) in BUILTINS.iter().zip(&packages) {
        let component = format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{package}.wasm\"))");
        writeln!(table, "    ({name:?}, {component}),")?;
    }
    table.push_str("];\n");
    fs::write(
        PathBuf::from(env::var("OUT_DIR")?).join("builtin.rs"),
        table,
    )?;
    Ok(())
}
