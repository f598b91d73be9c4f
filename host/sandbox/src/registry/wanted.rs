//! What is wanted of the registry: for each policy where it comes from and what it may use.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use trimtab_core::policies::Digest;

use crate::limits::Limits;

/// Namespace and name of a `ScalingPolicy`.
pub type PolicyKey = (String, String);

/// One policy as it is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub source: Source,
    /// SHA-256 that its component must have, as [`Digest`] has it.
    pub digest: Option<Digest>,
    /// What its calls may use.
    pub limits: Limits,
    /// Whose it is: faults of the same component elsewhere are not its own. Another number has it
    /// begin anew.
    pub owner: u64,
    /// Of the object that asks for it. A new one lifts a quarantine and tries again what failed.
    pub generation: i64,
}

/// Where a policy comes from.
#[derive(Clone, PartialEq)]
pub enum Source {
    /// One that is shipped inside, by name.
    Builtin(String),
    /// A file, relative to the policy directory.
    File(PathBuf),
    /// A component that the caller has at hand, e.g. from a ConfigMap.
    Bytes(Arc<[u8]>),
    /// The caller knows that it is not there, and why.
    Missing { why: String },
    /// Asked of [`Fetch`](super::Fetch).
    Remote(Remote),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(name) => f.debug_tuple("Builtin").field(name).finish(),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Missing { why } => f.debug_struct("Missing").field("why", why).finish(),
            Self::Remote(remote) => f.debug_tuple("Remote").field(remote).finish(),
        }
    }
}

impl Source {
    /// Bytes are compared only where they are not the very same, so that asking each tick for what
    /// is there costs nothing.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bytes(ours), Self::Bytes(theirs)) if Arc::ptr_eq(ours, theirs) => true,
            _ => self == other,
        }
    }
}

/// A policy in an OCI registry, and how to ask for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Remote {
    /// `registry/repository:tag`, or with `@sha256:` and the digest of a manifest.
    pub reference: String,
    /// The `.dockerconfigjson` of each pull secret, the first before the next.
    pub credentials: Vec<Arc<[u8]>>,
}

impl fmt::Debug for Remote {
    /// Without the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("reference", &self.reference)
            .field("credentials", &self.credentials.len())
            .finish()
    }
}

impl Remote {
    /// Whether it leads to the same component for ever.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.reference.contains('@')
    }
}
