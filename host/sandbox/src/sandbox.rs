//! The sandbox: one engine, its ticker and its cache, from which policies are loaded.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::Engine;

use crate::cache::{Cache, CacheCounts, CacheError};
use crate::engine::Runtime;
use crate::limits::Limits;
use crate::load::{self, LoadError};
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

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("WebAssembly cannot be run on this machine: {why}")]
    Engine { why: String },
    #[error("the thread that ends overdue policy calls cannot be started")]
    Ticker(#[source] io::Error),
    #[error("the cache of compiled policies cannot be used")]
    Cache(#[from] CacheError),
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
        load::load(self, bytes, self.limits)
    }

    /// What the cache did so far; `None` where there is none.
    #[must_use]
    pub fn cache_counts(&self) -> Option<CacheCounts> {
        self.cache.as_ref().map(Cache::counts)
    }

    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.runtime.engine
    }

    pub(crate) fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }
}
