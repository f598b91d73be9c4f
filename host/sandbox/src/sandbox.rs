//! The sandbox: one engine, its ticker and its cache, from which policies are loaded.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cache::{Cache, CacheCounts};
use crate::engine::Runtime;
use crate::error::{LoadError, SandboxError};
use crate::limits::Limits;
use crate::load;
use crate::policy::Policy;

/// How a sandbox is set up.
#[derive(Clone, Debug, Default)]
pub struct SandboxConfig {
    /// Where compiled components are kept from run to run; made if it is not there. It must be a
    /// directory that only this user can write to. `None` compiles every time.
    pub cache_directory: Option<PathBuf>,
    /// What one call may use, where a policy is not given limits of its own.
    pub limits: Limits,
}

/// Loads policies. Those may outlive it.
pub struct Sandbox {
    runtime: Arc<Runtime>,
    cache: Option<Cache>,
    limits: Limits,
}

impl Sandbox {
    /// # Errors
    /// Where the machine cannot run WebAssembly, or the cache directory is not safe to use.
    pub fn new(config: SandboxConfig) -> Result<Self, SandboxError> {
        let runtime = Arc::new(Runtime::new()?);
        let cache = config
            .cache_directory
            .map(|directory| Cache::open(&directory, &runtime.engine))
            .transpose()?;
        Ok(Self {
            runtime,
            cache,
            limits: config.limits,
        })
    }

    /// Verifies, compiles and describes a component.
    ///
    /// # Errors
    /// Where it is not admitted.
    pub fn load(&self, bytes: &[u8]) -> Result<Policy, LoadError> {
        load::load(&self.runtime, self.cache.as_ref(), bytes, self.limits)
    }

    /// What the cache did so far; `None` where there is none.
    #[must_use]
    pub fn cache_counts(&self) -> Option<CacheCounts> {
        self.cache.as_ref().map(Cache::counts)
    }
}
