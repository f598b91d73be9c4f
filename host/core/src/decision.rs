//! What a tick gives back: a count for every variant, with all that led to it.

use serde::{Deserialize, Serialize};
use trimtab_contract::{Note, Refusal, Role, Stage};

use crate::experiment::Arm;
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
    /// Which arm of the pool's experiment decided; `None` where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm: Option<Arm>,
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Call {
    /// The policy that answered, or that refused; `None` where every rung faulted or was skipped.
    pub answered_by: Option<Answerer>,
    /// A refusal ends the call: no further rung is tried, and the pool does not shrink on it.
    pub refusal: Option<Refusal>,
    /// Faults of the rungs above the one that answered.
    pub faults: Vec<RungFault>,
    /// Why the bound version could not be asked at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<String>,
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
    /// What is known does not allow fewer replicas.
    Evidence,
    /// Requests wait in front of replicas that have none.
    Router,
    /// The variant's minimum and maximum.
    Bounds,
    /// One replica per pool and role, unless the pool may go to zero.
    LastReplica,
    /// Stabilisation windows and rate limits.
    Behavior,
    Gpus,
    Budget,
    /// A stage has nothing to spare: what it would lose is given back.
    Ceiling,
    Paused,
}

/// Something that an operator should see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Condition {
    /// One of [`condition`]'s.
    pub reason: String,
    pub message: String,
}

impl VariantDecision {
    /// Why the count is what it is: the guard's last word, else the plan's.
    #[must_use]
    pub fn why(&self) -> &str {
        self.steps.last().map_or(&self.reason, |step| &step.why)
    }
}

impl Condition {
    pub fn new(reason: &str, message: impl Into<String>) -> Self {
        Self {
            reason: reason.to_owned(),
            message: message.into(),
        }
    }

    /// One that is of a single variant of its pool: the message begins with the name.
    #[must_use]
    pub fn of_variant(reason: &str, variant: &str, message: &str) -> Self {
        Self::new(reason, format!("`{variant}`: {message}"))
    }

    /// Whether it is of this variant alone.
    #[must_use]
    pub fn is_of_variant(&self, variant: &str) -> bool {
        let rest = self.message.strip_prefix('`');
        let rest = rest.and_then(|rest| rest.strip_prefix(variant));
        rest.is_some_and(|rest| rest.starts_with("`: "))
    }
}

/// The reasons that a [`Condition`] may have: a closed vocabulary.
pub mod condition {
    /// No analyzer said anything of this pool: what is desired is held.
    pub const NO_ANALYSIS: &str = "NoAnalysis";
    /// No optimizer planned for this pool: what is desired is held.
    pub const NO_PLAN: &str = "NoPlan";
    /// A policy faulted, or its breaker is open.
    pub const POLICY_FAULT: &str = "PolicyFault";
    /// The policy that is bound is not there: another stands in for it.
    pub const POLICY_UNAVAILABLE: &str = "PolicyUnavailable";
    /// A version faulted too often at its beginning: its last good one decides.
    pub const POLICY_ROLLED_BACK: &str = "PolicyRolledBack";
    /// A policy refused the operator's settings.
    pub const SETTINGS_INVALID: &str = "SettingsInvalid";
    /// A policy refused: the input lacks what it needs.
    pub const INSUFFICIENT_DATA: &str = "InsufficientData";
    /// A policy refused for a reason of its own.
    pub const POLICY_REFUSED: &str = "PolicyRefused";
    /// Measurements are missing, stale or partial.
    pub const EVIDENCE_PARTIAL: &str = "EvidencePartial";
    /// Measurements are there, and something about them cannot be right.
    pub const MEASUREMENTS_DOUBTFUL: &str = "MeasurementsDoubtful";
    /// A variant's minimum is above its maximum.
    pub const BOUNDS_CONTRADICT: &str = "BoundsContradict";
    /// The GPU inventory cannot be discovered: growth goes on without it.
    pub const INVENTORY_UNKNOWN: &str = "InventoryUnknown";
    /// A variant's accelerator is not known.
    pub const ACCELERATOR_UNRESOLVED: &str = "AcceleratorUnresolved";
    /// Too few GPUs are free for the growth that was planned.
    pub const GPUS_SHORT: &str = "GpusShort";
    /// The budget does not allow the growth that was planned.
    pub const BUDGET_REACHED: &str = "BudgetReached";
    /// What must run, or was asked for before, is more than the budget or the GPUs allow.
    pub const OVER_BUDGET: &str = "OverBudget";
    /// Requests wait at the endpoint picker, and it sends none to replicas that have nothing to do.
    pub const ROUTER_STUCK: &str = "RouterStuck";
    /// Something else scales a workload that is to be scaled directly.
    pub const ACTUATION_CONFLICT: &str = "ActuationConflict";
    /// A workload could not be scaled.
    pub const SCALING_FAILED: &str = "ScalingFailed";
    /// A request waits for a pool that cannot be started.
    pub const CANNOT_START: &str = "CannotStart";
    /// Somebody else changed a desired count.
    pub const DRIFT: &str = "Drift";
}
