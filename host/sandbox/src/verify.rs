//! What a component must be to be a policy: it imports nothing, and exports the contract.

use wasmtime::Engine;
use wasmtime::component::types;

use crate::error::{ANALYZER, LoadError, OPTIMIZER};
use crate::policy::Roles;

/// The first eight bytes of a core module and of a component: magic, version, layer.
const MODULE: [u8; 8] = *b"\0asm\x01\0\0\0";
const COMPONENT: [u8; 8] = *b"\0asm\x0d\0\x01\0";

/// Checks the beginning, for an error that says more than the parser's.
///
/// # Errors
/// Where the bytes are something else than a component.
pub(crate) fn is_component(bytes: &[u8]) -> Result<(), LoadError> {
    let why = if bytes.starts_with(&COMPONENT) {
        return Ok(());
    } else if bytes.is_empty() {
        "it is empty"
    } else if bytes.starts_with(&MODULE) {
        "it is a core module; encode it as a component"
    } else if bytes.starts_with(b"\0asm") {
        "it is WebAssembly in a version that this host does not know"
    } else {
        "it is not WebAssembly"
    };
    Err(LoadError::NotAComponent { why })
}

/// Reads the roles off a component's type. Exports besides the contract are ignored.
///
/// # Errors
/// Where it imports something, or exports no role in this version.
pub(crate) fn roles(component: &types::Component, engine: &Engine) -> Result<Roles, LoadError> {
    let imports: Vec<String> = component
        .imports(engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    if !imports.is_empty() {
        return Err(LoadError::Imports { imports });
    }
    let exports: Vec<String> = component
        .exports(engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    let has = |interface: &str| exports.iter().any(|export| export == interface);
    let roles = Roles {
        analyzer: has(ANALYZER),
        optimizer: has(OPTIMIZER),
    };
    if roles.analyzer || roles.optimizer {
        return Ok(roles);
    }
    let offered: Vec<String> = exports
        .iter()
        .filter(|export| is_role(export))
        .cloned()
        .collect();
    if offered.is_empty() {
        return Err(LoadError::NoPolicy { exports });
    }
    Err(LoadError::WrongContract { offered })
}

/// Whether an export is a role of the contract, in any version.
fn is_role(export: &str) -> bool {
    let interface = export
        .split_once('@')
        .map_or(export, |(interface, _)| interface);
    [ANALYZER, OPTIMIZER]
        .iter()
        .any(|wanted| wanted.split('@').next() == Some(interface))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(bytes: &[u8]) -> String {
        is_component(bytes).unwrap_err().to_string()
    }

    #[test]
    fn the_first_bytes_say_what_it_is_instead() {
        assert!(refused(b"").contains("empty"));
        assert!(refused(b"#!/bin/sh").contains("not WebAssembly"));
        assert!(refused(b"\0as").contains("not WebAssembly"));
        assert!(refused(b"\0asm\x01\0\0\0").contains("core module"));
        assert!(refused(b"\0asm\x09\0\0\0").contains("version"));
        is_component(b"\0asm\x0d\0\x01\0...").unwrap();
    }

    #[test]
    fn a_role_is_recognised_in_every_version() {
        assert!(is_role("trimtab:policy/analyzer@0.1.0"));
        assert!(is_role("trimtab:policy/optimizer@7.0.0-draft"));
        assert!(is_role("trimtab:policy/analyzer"));
        assert!(!is_role("trimtab:policy/types@0.1.0"));
        assert!(!is_role("other:policy/analyzer@0.1.0"));
    }
}
