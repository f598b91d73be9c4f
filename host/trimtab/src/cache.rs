//! Where compiled policies are kept, and the sandbox that keeps them there.

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use trimtab_sandbox::{Sandbox, SandboxConfig, SandboxError};

use crate::arguments::CacheArguments;

/// The sandbox for this command. Where the default cache cannot be used, e.g. in a home that is
/// read-only, policies are compiled every time; a cache that was asked for must work.
pub(crate) fn sandbox(arguments: &CacheArguments) -> Result<Sandbox> {
    let open = |cache_directory| {
        Sandbox::new(SandboxConfig {
            cache_directory,
            ..SandboxConfig::default()
        })
    };
    let sandbox = if arguments.no_cache {
        open(None)
    } else if let Some(directory) = &arguments.cache {
        open(Some(directory.clone()))
    } else {
        open(default_directory()).or_else(|error| match error {
            SandboxError::Cache(reason) => {
                tracing::warn!(%reason, "compiled policies are not kept");
                open(None)
            }
            SandboxError::Engine { .. } | SandboxError::Ticker(_) => Err(error),
        })
    };
    sandbox.context("policies cannot be run")
}

fn default_directory() -> Option<PathBuf> {
    let set = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(base.join("trimtab"))
}
