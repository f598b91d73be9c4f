//! What a tick reads: every policy as it stands, at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use trimtab_core::policies::Digest;

use super::reason::Reason;
use super::wanted::PolicyKey;
use crate::policy::Policy;

/// Every policy that is wanted, at one moment. Never changes: the next one takes its place.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Counts the tables.
    pub serial: u64,
    pub entries: BTreeMap<PolicyKey, Arc<Entry>>,
}

/// One policy as it stands.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The version to call. It stays while a newer one fails; `None` before there was one.
    pub current: Option<Policy>,
    /// The version before it that gave accepted decisions; never of the same digest.
    pub last_good: Option<Policy>,
    pub state: State,
    /// What a remote reference led to.
    pub resolved: Option<String>,
}

/// How it stands with what is wanted, which is not always what is current.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is being fetched or compiled.
    Fetching,
    /// What is wanted is current.
    Ready,
    /// What is wanted cannot be had or is not admitted. What was current stays.
    Failed { reason: Reason, message: String },
    /// What is wanted faulted too often, so the last good version is current again.
    Quarantined { digest: Digest, message: String },
}

impl State {
    /// Why what is wanted is not current; `None` where it is.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Fetching => Some(Reason::Fetching),
            Self::Ready => None,
            Self::Failed { reason, .. } => Some(*reason),
            Self::Quarantined { .. } => Some(Reason::Quarantined),
        }
    }

    pub(super) fn failed(reason: Reason, message: impl ToString) -> Self {
        Self::Failed {
            reason,
            message: message.to_string(),
        }
    }
}
