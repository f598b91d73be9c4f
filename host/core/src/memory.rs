//! What the core remembers from tick to tick. Plain data: a host checkpoints it and resumes with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trimtab_contract::Knowledge;

use crate::policies::Digest;

/// Everything that one tick leaves for the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Memory {
    /// Learned values, shared by all pools; see [`crate::knowledge`].
    pub(crate) knowledge: Vec<Knowledge>,
    pub(crate) breakers: BTreeMap<Digest, Breaker>,
}

/// Faults of one policy in a row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Breaker {
    pub(crate) consecutive_faults: u32,
    /// Instant from which the policy is tried again.
    pub(crate) open_until_ms: Option<u64>,
}
