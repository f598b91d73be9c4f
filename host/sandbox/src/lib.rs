//! Policies as WebAssembly components: verified, compiled, cached, called under limits.
//!
//! A component is admitted if it imports nothing and exports the contract. Every call gets a fresh
//! instance and a store of its own, which is dropped whatever happens, so no call can disturb
//! another; what a call may use grows with what it is given. The registry keeps the policies that are
//! wanted at hand, from wherever they come. Knows nothing of pools' policies, ladders or breakers:
//! those are the core's.

mod builtin;
mod cache;
mod call;
mod directory;
mod engine;
mod error;
mod fault;
mod limits;
mod load;
mod oci;
mod policy;
mod registry;
mod roles;
mod sandbox;
mod slots;
mod ticker;
mod verify;

pub use builtin::{builtin, builtin_names};
pub use cache::{CacheCounts, CacheError};
pub use call::{CallStats, Called};
pub use error::{LoadError, SandboxError};
pub use limits::{InputSize, Limits, Scaled};
pub use oci::{DockerConfig, OciConfig, OciError, PullRequest, Pulled, Puller};
pub use policy::{Policy, Roles};
pub use registry::{
    Backoff, Entry, Fetch, FetchError, Fetched, PolicyKey, Reason, Registry, RegistryConfig,
    Remote, Source, State, Table, Wanted,
};
pub use roles::{SandboxedAnalyzer, SandboxedOptimizer};
pub use sandbox::{Sandbox, SandboxConfig};
