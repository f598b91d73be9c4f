//! A policy that is loaded: what it says of itself, and its roles as the core calls them.

use std::fmt;
use std::sync::Arc;

use trimtab_contract::Descriptor;
use trimtab_core::policies::{Analyzer, Digest, Optimizer, Version};
use wasmtime::component::{Component, Linker};

use crate::call::Guest;
use crate::engine::Runtime;
use crate::error::LoadError;
use crate::limits::Limits;
use crate::roles::{Loading, SandboxedAnalyzer, SandboxedOptimizer};

/// What a component can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    pub analyzer: bool,
    pub optimizer: bool,
}

/// A component that was verified.
pub(crate) struct Admitted {
    pub(crate) component: Component,
    pub(crate) roles: Roles,
    /// SHA-256 of the bytes that it was compiled from.
    pub(crate) digest: [u8; 32],
}

/// A component that was verified, compiled and described.
#[derive(Clone)]
pub struct Policy {
    digest: Digest,
    size: usize,
    roles: Roles,
    descriptor: Descriptor,
    analyzer: Option<Arc<SandboxedAnalyzer>>,
    optimizer: Option<Arc<SandboxedOptimizer>>,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("name", &self.descriptor.name)
            .field("digest", &self.digest)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

impl Policy {
    /// SHA-256 of the component.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Bytes of the component.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    #[must_use]
    pub fn roles(&self) -> Roles {
        self.roles
    }

    /// What it says of itself; the analyzer's word where it is an optimizer too.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The same policy, compiled once, under other limits.
    #[must_use]
    pub fn with_limits(&self, limits: Limits) -> Self {
        self.with(
            |analyzer| analyzer.with_limits(limits),
            |optimizer| optimizer.with_limits(limits),
        )
    }

    /// The same policy as that of somebody, a number that tells owners apart.
    #[must_use]
    pub fn owned_by(&self, owner: u64) -> Self {
        self.with(
            |analyzer| analyzer.owned_by(owner),
            |optimizer| optimizer.owned_by(owner),
        )
    }

    fn with(
        &self,
        analyzer: impl Fn(&SandboxedAnalyzer) -> SandboxedAnalyzer,
        optimizer: impl Fn(&SandboxedOptimizer) -> SandboxedOptimizer,
    ) -> Self {
        let analyzer = self.analyzer.as_ref().map(|role| Arc::new(analyzer(role)));
        let optimizer = self
            .optimizer
            .as_ref()
            .map(|role| Arc::new(optimizer(role)));
        Self {
            analyzer,
            optimizer,
            ..self.clone()
        }
    }

    /// Its component, and the terms under which it is called.
    #[must_use]
    pub fn version(&self) -> Version {
        let analyzer = self.analyzer.as_ref().map(|role| role.terms());
        let optimizer = self.optimizer.as_ref().map(|role| role.terms());
        Version {
            digest: self.digest.clone(),
            terms: analyzer.or(optimizer).unwrap_or_default(),
        }
    }

    /// Its analyzer as the core calls it.
    #[must_use]
    pub fn analyzer(&self) -> Option<Arc<dyn Analyzer>> {
        self.analyzer
            .clone()
            .map(|analyzer| analyzer as Arc<dyn Analyzer>)
    }

    /// Its optimizer as the core calls it.
    #[must_use]
    pub fn optimizer(&self) -> Option<Arc<dyn Optimizer>> {
        self.optimizer
            .clone()
            .map(|optimizer| optimizer as Arc<dyn Optimizer>)
    }

    /// Its analyzer, with calls that say what they used.
    #[must_use]
    pub fn sandboxed_analyzer(&self) -> Option<&Arc<SandboxedAnalyzer>> {
        self.analyzer.as_ref()
    }

    /// Its optimizer, with calls that say what they used.
    #[must_use]
    pub fn sandboxed_optimizer(&self) -> Option<&Arc<SandboxedOptimizer>> {
        self.optimizer.as_ref()
    }

    pub(crate) fn new(
        runtime: &Arc<Runtime>,
        admitted: &Admitted,
        size: usize,
        limits: Limits,
    ) -> Result<Self, LoadError> {
        let Admitted {
            component,
            roles,
            digest,
        } = admitted;
        let instance = Linker::new(&runtime.engine)
            .instantiate_pre(component)
            .map_err(|error| LoadError::Invalid {
                why: format!("{error:#}"),
            })?;
        let guest = Guest {
            runtime: Arc::clone(runtime),
            instance,
        };
        let digest = Digest(format!("sha256:{}", hex::encode(digest)));
        let guest = Arc::new(guest);
        let role = Loading {
            component,
            guest: &guest,
            limits,
            digest: &digest,
        };
        let analyzer = roles
            .analyzer
            .then(|| SandboxedAnalyzer::load(&role))
            .transpose()?;
        let optimizer = roles
            .optimizer
            .then(|| SandboxedOptimizer::load(&role))
            .transpose()?;
        let descriptor = analyzer
            .as_ref()
            .map(Analyzer::descriptor)
            .or(optimizer.as_ref().map(Optimizer::descriptor))
            .cloned()
            .ok_or(LoadError::NoPolicy {
                exports: Vec::new(),
            })?;
        Ok(Self {
            digest,
            size,
            roles: *roles,
            descriptor,
            analyzer: analyzer.map(Arc::new),
            optimizer: optimizer.map(Arc::new),
        })
    }
}
