//! Writes the Rust types of the contract's `types` interface from its WIT definition.
#![expect(
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "ids come from the `Resolve` that they index, and a form of type that has no Rust form yet is an error"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, Result, bail};
use wit_parser::{Docs, Resolve, Type, TypeDef, TypeDefKind};

const DERIVES: &str = "Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize";
const COMPONENT_DERIVES: &str =
    "wasmtime::component::ComponentType, wasmtime::component::Lift, wasmtime::component::Lower";

fn main() -> Result<()> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../wit/policy@0.1.0");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(&root)?;
    let interface = *resolve.packages[package]
        .interfaces
        .get("types")
        .with_context(|| format!("{} has no interface `types`", root.display()))?;
    let mut code = String::new();
    for id in resolve.interfaces[interface].types.values() {
        define(&mut code, &resolve, &resolve.types[*id])?;
    }
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("types.rs"), code)?;
    Ok(())
}

fn define(code: &mut String, resolve: &Resolve, definition: &TypeDef) -> Result<()> {
    let wit_name = definition
        .name
        .as_deref()
        .context("a type without a name")?;
    let name = upper_camel(wit_name);
    doc(code, "", &definition.docs);
    match &definition.kind {
        TypeDefKind::Record(record) => {
            head(code, "record", DERIVES)?;
            writeln!(code, "pub struct {name} {{")?;
            for field in &record.fields {
                doc(code, "    ", &field.docs);
                component_name(code, &field.name)?;
                let rust = rust_type(resolve, &field.ty)?;
                writeln!(code, "    pub {}: {rust},", field.name.replace('-', "_"))?;
            }
            writeln!(code, "}}\n")?;
        }
        TypeDefKind::Enum(cases) => {
            head(
                code,
                "enum",
                &format!("{DERIVES}, Copy, Eq, Hash, PartialOrd, Ord"),
            )?;
            writeln!(code, "#[repr(u8)]\npub enum {name} {{")?;
            for case in &cases.cases {
                doc(code, "    ", &case.docs);
                component_name(code, &case.name)?;
                writeln!(code, "    {},", upper_camel(&case.name))?;
            }
            writeln!(code, "}}\n")?;
            lift(
                code,
                &name,
                cases.cases.iter().map(|case| upper_camel(&case.name)),
            )?;
        }
        TypeDefKind::Variant(cases) => {
            head(code, "variant", DERIVES)?;
            writeln!(code, "pub enum {name} {{")?;
            for case in &cases.cases {
                doc(code, "    ", &case.docs);
                component_name(code, &case.name)?;
                match &case.ty {
                    Some(ty) => writeln!(
                        code,
                        "    {}({}),",
                        upper_camel(&case.name),
                        rust_type(resolve, ty)?
                    )?,
                    None => writeln!(code, "    {},", upper_camel(&case.name))?,
                }
            }
            writeln!(code, "}}\n")?;
        }
        other => {
            bail!("type `{wit_name}`: no Rust form for {other:?}; records, enums and variants only")
        }
    }
    Ok(())
}

fn head(code: &mut String, kind: &str, derives: &str) -> Result<()> {
    writeln!(code, "#[derive({derives})]")?;
    writeln!(code, "#[serde(rename_all = \"kebab-case\")]")?;
    if kind == "record" {
        writeln!(code, "#[serde(deny_unknown_fields)]")?;
    }
    writeln!(
        code,
        "#[cfg_attr(feature = \"component\", derive({COMPONENT_DERIVES}), component({kind}))]"
    )?;
    Ok(())
}

fn component_name(code: &mut String, wit_name: &str) -> Result<()> {
    writeln!(
        code,
        "    #[cfg_attr(feature = \"component\", component(name = \"{wit_name}\"))]"
    )?;
    Ok(())
}

/// Guest bindings that are mapped to these types turn a discriminant into an enum by this name.
fn lift(code: &mut String, name: &str, cases: impl Iterator<Item = String>) -> Result<()> {
    let mut cases: Vec<String> = cases.collect();
    let last = cases.pop().context("an enum without cases")?;
    writeln!(code, "impl {name} {{")?;
    writeln!(
        code,
        "    #[doc(hidden)]\n    #[must_use]\n    pub fn _lift(discriminant: u8) -> Self {{"
    )?;
    writeln!(code, "        match discriminant {{")?;
    for (number, case) in cases.iter().enumerate() {
        writeln!(code, "            {number} => Self::{case},")?;
    }
    writeln!(
        code,
        "            _ => Self::{last},\n        }}\n    }}\n}}\n"
    )?;
    Ok(())
}

fn rust_type(resolve: &Resolve, ty: &Type) -> Result<String> {
    Ok(match ty {
        Type::Bool => "bool".into(),
        Type::U8 => "u8".into(),
        Type::U32 => "u32".into(),
        Type::U64 => "u64".into(),
        Type::F64 => "f64".into(),
        Type::String => "String".into(),
        Type::Id(id) => {
            let definition = &resolve.types[*id];
            match &definition.kind {
                TypeDefKind::Option(inner) => format!("Option<{}>", rust_type(resolve, inner)?),
                TypeDefKind::List(inner) => format!("Vec<{}>", rust_type(resolve, inner)?),
                _ => upper_camel(
                    definition
                        .name
                        .as_deref()
                        .context("a type without a name")?,
                ),
            }
        }
        other => bail!("no Rust form for {other:?}; add it to the contract's build"),
    })
}

fn doc(code: &mut String, indent: &str, docs: &Docs) {
    for line in docs
        .contents
        .iter()
        .flat_map(|text| text.trim_end().lines())
    {
        let _ = writeln!(code, "{indent}/// {}", line.trim_end());
    }
}

fn upper_camel(wit_name: &str) -> String {
    wit_name
        .split('-')
        .flat_map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
        })
        .collect()
}
