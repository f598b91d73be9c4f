//! Modules are written by hand here: none of them needs a guest toolchain.

use wasm_encoder::{
    CodeSection, CustomSection, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    ImportSection, MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wasmparser::{ComponentExternalKind, Parser, Payload};

use super::encode;

const DESCRIBE: &str = "trimtab:policy/analyzer@0.1.0#describe";
const ANALYZE: &str = "trimtab:policy/analyzer@0.1.0#analyze";

/// A module whose functions all trap, exported as the names given.
#[derive(Default)]
struct Guest<'a> {
    /// Exports of type `() -> i32`.
    describers: &'a [&'a str],
    /// Exports of the type that `analyze` or `optimize` has.
    callees: &'a [&'static str],
    import: Option<(&'a str, &'a str)>,
    custom: Option<&'a str>,
}

impl Guest<'_> {
    fn module(&self) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], [ValType::I32]);
        types.ty().function([ValType::I32], [ValType::I32]);
        types.ty().function([ValType::I32; 4], [ValType::I32]);
        types.ty().function(optimize_parameters(), [ValType::I32]);
        let mut module = Module::new();
        module.section(&types);
        let mut index = 0;
        if let Some((from, name)) = self.import {
            module.section(ImportSection::new().import(from, name, EntityType::Function(0)));
            index += 1;
        }
        let mut functions = FunctionSection::new();
        let mut exports = ExportSection::new();
        let mut code = CodeSection::new();
        let named = self.describers.iter().map(|name| (0, *name));
        let callee = |name: &&'static str| (if name.ends_with("#optimize") { 3 } else { 1 }, *name);
        let named = named.chain(self.callees.iter().map(callee));
        for (ty, name) in named.chain([(2, "cabi_realloc")]) {
            functions.function(ty);
            exports.export(name, ExportKind::Func, index);
            let mut body = Function::new([]);
            body.instructions().unreachable().end();
            code.function(&body);
            index += 1;
        }
        exports.export("memory", ExportKind::Memory, 0);
        let memory = MemoryType {
            minimum: 1,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        };
        module
            .section(&functions)
            .section(MemorySection::new().memory(memory));
        module.section(&exports).section(&code);
        if let Some(name) = self.custom {
            module.section(&CustomSection {
                name: name.into(),
                data: b"kept?"[..].into(),
            });
        }
        module.finish()
    }

    #[track_caller]
    fn refused(&self) -> String {
        format!("{:#}", encode(&self.module()).unwrap_err())
    }
}

/// Few enough to be passed flat; those of `analyze` are passed in memory, by one pointer.
fn optimize_parameters() -> Vec<ValType> {
    use ValType::{F64, I32, I64};
    let context = [I64, F64, I32, I32, I32, I32];
    let requests = [I32, I32];
    let limits = [I32, I32, I32, I32, F64];
    [&context[..], &requests, &limits].concat()
}

/// Names of the component's imports and exports.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "two of the two dozen kinds of section matter"
)]
fn interface(component: &[u8]) -> (Vec<String>, Vec<String>) {
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                imports.extend(
                    section
                        .into_iter()
                        .map(|import| import.unwrap().name.name.to_owned()),
                );
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                let instances = section
                    .into_iter()
                    .map(Result::unwrap)
                    .filter(|export| export.kind == ComponentExternalKind::Instance);
                exports.extend(instances.map(|export| export.name.name.to_owned()));
            }
            _ => {}
        }
    }
    (imports, exports)
}

#[test]
fn a_module_that_exports_nothing_is_refused() {
    let why = Guest::default().refused();
    assert!(
        why.contains("exports neither an analyzer nor an optimizer"),
        "{why}"
    );
}

#[test]
fn an_analyzer_becomes_a_component_without_imports() {
    let guest = Guest {
        describers: &[DESCRIBE],
        callees: &[ANALYZE],
        ..Guest::default()
    };
    let (imports, exports) = interface(&encode(&guest.module()).unwrap());
    assert_eq!(imports, Vec::<String>::new());
    assert_eq!(
        exports,
        [
            "trimtab:policy/types@0.1.0",
            "trimtab:policy/analyzer@0.1.0"
        ]
    );
}

#[test]
fn a_module_with_both_roles_exports_both() {
    let guest = Guest {
        describers: &[DESCRIBE, "trimtab:policy/optimizer@0.1.0#describe"],
        callees: &[ANALYZE, "trimtab:policy/optimizer@0.1.0#optimize"],
        ..Guest::default()
    };
    let (_, exports) = interface(&encode(&guest.module()).unwrap());
    assert!(
        exports.contains(&"trimtab:policy/analyzer@0.1.0".to_owned()),
        "{exports:?}"
    );
    assert!(
        exports.contains(&"trimtab:policy/optimizer@0.1.0".to_owned()),
        "{exports:?}"
    );
}

#[test]
fn a_missing_function_of_the_interface_is_refused() {
    let why = Guest {
        callees: &[ANALYZE],
        ..Guest::default()
    }
    .refused();
    assert!(why.contains("describe"), "{why}");
}

#[test]
fn an_import_is_refused_by_name() {
    let why = Guest {
        describers: &[DESCRIBE],
        callees: &[ANALYZE],
        import: Some(("wasi_snapshot_preview1", "random_get")),
        ..Guest::default()
    }
    .refused();
    assert!(why.contains("wasi_snapshot_preview1"), "{why}");
}

#[test]
fn another_version_of_the_contract_is_refused() {
    let why = Guest {
        describers: &["trimtab:policy/analyzer@9.0.0#describe"],
        callees: &["trimtab:policy/analyzer@9.0.0#analyze"],
        ..Guest::default()
    }
    .refused();
    assert!(why.contains("trimtab:policy/analyzer@0.1.0"), "{why}");
}

#[test]
fn only_the_bindings_sections_are_dropped() {
    let component = |custom| {
        let guest = Guest {
            describers: &[DESCRIBE],
            callees: &[ANALYZE],
            custom: Some(custom),
            ..Guest::default()
        };
        let bytes = encode(&guest.module()).unwrap();
        bytes.windows(5).any(|window| window == b"kept?")
    };
    assert!(!component("component-type:analyzer-bindings"));
    assert!(component("build-id"));
}

#[test]
fn bytes_that_are_no_module_are_refused() {
    assert!(encode(b"not a module").is_err());
    assert!(encode(&[]).is_err());
}
