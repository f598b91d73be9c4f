//! What a tick gives back: a count for every variant, with all that led to it.

use serde::{Deserialize, Serialize};
use trimtab_contract::{Note, Refusal, Role, Stage};

use crate::policies::{Digest, Fault};
use crate::snapshot::Mode;

/// The decisions of one tick for one pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PoolDecision {
    pub now_ms: u64,
    pub namespace: String,
    pub pool: String,
    pub mode: Mode,
    /// One entry for each analyzer of the pool, in the order in which it is bound.
    pub analyses: Vec<Analyzed>,
    pub plan: Planned,
    /// One entry for each variant, in the pool's order.
    pub variants: Vec<VariantDecision>,
    /// What an operator should know of the pool as a whole, e.g. "GPU inventory unknown".
    pub conditions: Vec<Condition>,
}

/// What an analyzer said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Analyzed {
    pub call: Call,
    pub stages: Vec<Stage>,
    pub notes: Vec<Note>,
}

/// What an optimizer said of this pool. Its targets stand in the variants' `proposed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Planned {
    pub call: Call,
    pub notes: Vec<Note>,
}

/// How a call went, rung by rung.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Call {
    /// The policy that answered; `None` where no rung did.
    pub answered_by: Option<Answerer>,
    /// A refusal ends the call: the pool is held.
    pub refusal: Option<Refusal>,
    /// Faults of the rungs above the one that answered.
    pub faults: Vec<RungFault>,
}

/// The policy that gave an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Answerer {
    pub name: String,
    pub version: String,
    pub digest: Digest,
    /// 0 is the bound version; larger numbers are further down the ladder.
    pub rung: usize,
}

/// A fault of one rung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RungFault {
    pub digest: Digest,
    /// `None` where the breaker kept the call from being made.
    pub fault: Option<Fault>,
}

/// The count for one variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VariantDecision {
    pub variant: String,
    pub accelerator: String,
    pub role: Role,
    /// Replicas that existed.
    pub current: u32,
    /// What was asked for before this tick.
    pub previous: u32,
    /// What the plan asked for; `None` where there was none.
    pub proposed: Option<u32>,
    /// What is asked for now.
    pub desired: u32,
    /// False in modes that keep the count to themselves.
    pub published: bool,
    /// The plan's own reason.
    pub reason: String,
    /// Every change that the guard made, in its order.
    pub steps: Vec<GuardStep>,
}

/// One change by the guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct GuardStep {
    pub rule: Rule,
    pub before: u32,
    pub after: u32,
    pub why: String,
}

/// The guard's rules, in the order in which they are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// No plan, or none that the contract allows: what is desired now is held.
    Hold,
    Evidence,
    Bounds,
    LastReplica,
    Behavior,
    Gpus,
    Budget,
    Paused,
}

/// Something that an operator should see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Condition {
    /// Closed vocabulary, e.g. `InventoryUnknown`, `OverBudget`, `EvidencePartial`.
    pub reason: String,
    pub message: String,
}
