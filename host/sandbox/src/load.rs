//! From bytes to a policy: verified, compiled or taken from the cache, described.

use sha2::{Digest as _, Sha256};
use trimtab_core::policies::Fault;
use wasmtime::component::Component;

use crate::limits::Limits;
use crate::policy::{Policy, Roles};
use crate::sandbox::Sandbox;
use crate::verify::{self, ANALYZER, OPTIMIZER};

/// Largest component that is compiled. A Python policy brings its interpreter, 18 MB; compilation
/// takes about a second for each megabyte.
pub(crate) const MAX_COMPONENT_BYTES: usize = 64 << 20;

/// Why a component is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error(
        "component has {bytes} bytes, more than the {} that are allowed",
        MAX_COMPONENT_BYTES
    )]
    TooLarge { bytes: usize },
    #[error("not a component: {why}")]
    NotAComponent { why: &'static str },
    #[error("not a valid component: {why}")]
    Invalid { why: String },
    #[error("a policy may not import anything; this component imports {}", .imports.join(", "))]
    Imports { imports: Vec<String> },
    #[error("component is for another version of the contract: wanted is {ANALYZER} or {OPTIMIZER}, offered is {}", .offered.join(", "))]
    WrongContract { offered: Vec<String> },
    #[error("component exports neither {ANALYZER} nor {OPTIMIZER}; it exports {}", list(.exports))]
    NoPolicy { exports: Vec<String> },
    #[error("`{function}` of {interface} is not what the contract says: {why}")]
    WrongSignature {
        interface: &'static str,
        function: &'static str,
        why: String,
    },
    #[error("`describe` of {interface} failed: {fault}")]
    Describe {
        interface: &'static str,
        fault: Fault,
    },
}

impl LoadError {
    /// Closed vocabulary for a metric's label and a status condition's reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "TooLarge",
            Self::NotAComponent { .. } => "NotAComponent",
            Self::Invalid { .. } => "Invalid",
            Self::Imports { .. } => "Imports",
            Self::WrongContract { .. } | Self::WrongSignature { .. } => "WrongContract",
            Self::NoPolicy { .. } => "NoPolicy",
            Self::Describe { .. } => "DescribeFailed",
        }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}

/// A component that was verified.
pub(crate) struct Admitted {
    pub(crate) component: Component,
    pub(crate) roles: Roles,
    /// SHA-256 of the bytes that it was compiled from.
    pub(crate) digest: [u8; 32],
}

/// Admits a component, or says why not.
pub(crate) fn load(sandbox: &Sandbox, bytes: &[u8], limits: Limits) -> Result<Policy, LoadError> {
    if bytes.len() > MAX_COMPONENT_BYTES {
        return Err(LoadError::TooLarge { bytes: bytes.len() });
    }
    verify::is_component(bytes)?;
    Policy::new(sandbox, &admit(sandbox, bytes)?, bytes.len(), limits)
}

/// Only what verification admits reaches the cache.
fn admit(sandbox: &Sandbox, bytes: &[u8]) -> Result<Admitted, LoadError> {
    let engine = sandbox.engine();
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let verified = |component: Component| {
        let roles = verify::roles(&component.component_type(), engine)?;
        Ok(Admitted {
            component,
            roles,
            digest,
        })
    };
    let Some(cache) = sandbox.cache() else {
        return verified(compile(engine, bytes)?);
    };
    if let Some(component) = cache.load(engine, &digest) {
        return verified(component);
    }
    let admitted = verified(compile(engine, bytes)?)?;
    cache.store(&digest, &admitted.component);
    Ok(admitted)
}

fn compile(engine: &wasmtime::Engine, bytes: &[u8]) -> Result<Component, LoadError> {
    Component::from_binary(engine, bytes).map_err(|error| LoadError::Invalid {
        why: format!("{error:#}"),
    })
}
