//! How the registry asks for what is elsewhere.

use futures::future::BoxFuture;
use trimtab_core::policies::Digest;

use super::reason::Reason;
use super::wanted::Remote;

/// Fetches components from elsewhere.
pub trait Fetch: Send + Sync {
    /// Asks once; whoever asks waits and tries again. Must end by itself, and be given up where it
    /// is dropped. `known` is the digest of the component that this source gave last: where it still
    /// gives that, nothing need be downloaded.
    fn fetch<'a>(
        &'a self,
        remote: &'a Remote,
        known: Option<&'a Digest>,
    ) -> BoxFuture<'a, Result<Fetched, FetchError>>;
}

/// What was fetched. `resolved` is what the reference led to, for people to read: the digest of a
/// manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The component that is known.
    Unchanged {
        resolved: String,
    },
    Component {
        bytes: Vec<u8>,
        resolved: String,
    },
}

/// Why nothing was fetched. All are tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    pub reason: Reason,
    pub message: String,
}
