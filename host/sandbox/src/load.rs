//! From bytes to a policy: verified, compiled or taken from the cache, described.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache::Cache;
use crate::engine::Runtime;
use crate::error::{LoadError, MAX_COMPONENT_BYTES};
use crate::limits::Limits;
use crate::policy::{Admitted, Policy};
use crate::verify;

/// Admits a component, or says why not.
pub(crate) fn load(
    runtime: &Arc<Runtime>,
    cache: Option<&Cache>,
    bytes: &[u8],
    limits: Limits,
) -> Result<Policy, LoadError> {
    if bytes.len() > MAX_COMPONENT_BYTES {
        return Err(LoadError::TooLarge { bytes: bytes.len() });
    }
    verify::is_component(bytes)?;
    let admitted = admit(&runtime.engine, cache, bytes)?;
    Policy::new(runtime, &admitted, bytes.len(), limits)
}

/// Only what verification admits reaches the cache.
fn admit(engine: &Engine, cache: Option<&Cache>, bytes: &[u8]) -> Result<Admitted, LoadError> {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let verified = |component: Component| {
        let roles = verify::roles(&component.component_type(), engine)?;
        Ok(Admitted {
            component,
            roles,
            digest,
        })
    };
    let Some(cache) = cache else {
        return verified(compile(engine, bytes)?);
    };
    if let Some(component) = cache.load(engine, &digest) {
        return verified(component);
    }
    let admitted = verified(compile(engine, bytes)?)?;
    cache.store(&digest, &admitted.component);
    Ok(admitted)
}

fn compile(engine: &Engine, bytes: &[u8]) -> Result<Component, LoadError> {
    Component::from_binary(engine, bytes).map_err(|error| LoadError::Invalid {
        why: format!("{error:#}"),
    })
}
