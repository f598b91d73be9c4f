//! Who decides in a scenario: for all pools, in single ones, on trial, and from an instant on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trimtab_core::experiment::Experiment;

use crate::scenario::bounds;

/// Who decides in pools that name nobody.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PoliciesEntry {
    /// Turns measurements into supply and demand. Without it: `builtin:queueing-analyzer`.
    pub analyzer: PolicyEntry,
    /// Turns supply and demand into replica counts. Without it: `builtin:cost-optimizer`.
    pub optimizer: PolicyEntry,
}

/// A policy and its settings.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PolicyEntry {
    /// `builtin:NAME`, or the path of a component, from the scenario file. Without it: the
    /// built-in one.
    pub policy: Option<String>,
    /// As the policy's own schema says.
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// A policy that is named, and its settings.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PolicyUseEntry {
    /// `builtin:NAME`, or the path of a component, from the scenario file.
    #[schemars(transform = bounds::name)]
    pub policy: String,
    /// As the policy's own schema says. Settings of the same policy elsewhere do not count here.
    #[serde(default)]
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// Policies in place of others; what is left out stays as it was.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PoolPoliciesEntry {
    /// At least one. Each sets floors and ceilings of its own, and all of them hold.
    #[schemars(length(min = 1))]
    pub analyzers: Option<Vec<PolicyUseEntry>>,
    /// Turns supply and demand into replica counts.
    pub optimizer: Option<PolicyUseEntry>,
}

/// Policies that are asked too, each tick, and given to nobody: what they would ask for is in
/// `shadows.jsonl` and in the report. Analyzers, an optimizer, or both.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(transform = bounds::some_policy)]
pub struct ShadowEntry {
    /// Of its own among the pool's shadows.
    #[schemars(transform = bounds::name)]
    pub name: String,
    /// At least one. Without it: the pool's own.
    #[schemars(length(min = 1))]
    pub analyzers: Option<Vec<PolicyUseEntry>>,
    /// Without it: the pool's own.
    pub optimizer: Option<PolicyUseEntry>,
}

/// Two arms that take turns on a pool: its own policies, and a candidate. Time is cut into slots,
/// in pairs of one for each arm, in an order that is drawn.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExperimentEntry {
    /// Analyzers, an optimizer, or both; the rest is the pool's own.
    #[schemars(transform = bounds::some_policy)]
    pub candidate: PoolPoliciesEntry,
    /// Length of a slot.
    #[serde(default = "slot_seconds")]
    #[schemars(transform = bounds::SLOT_SECONDS.shown())]
    pub slot_seconds: f64,
    /// The beginning of each slot that counts for nothing, below `slot-seconds`: replicas of the
    /// other arm are still there.
    #[serde(default = "washout_seconds")]
    #[schemars(transform = bounds::WASHOUT_SECONDS.shown())]
    pub washout_seconds: f64,
    /// What the order in each pair is drawn from. Without it: from the seed of the run and the pool's
    /// position.
    pub seed: Option<u64>,
    /// Slots after which it is over; of an odd number the last is not run.
    #[serde(default = "max_slots")]
    #[schemars(transform = bounds::SLOTS.shown())]
    pub max_slots: u32,
    /// What ends it before its time.
    #[serde(default)]
    pub stop_if: StopIfEntry,
}

/// Guard rails. Without them an experiment goes on until its last slot.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct StopIfEntry {
    /// Share of requests in the running slot that meet the objective, whichever the arm.
    #[schemars(transform = bounds::SHARE.shown())]
    pub attainment_below: Option<f64>,
    /// The candidate's cost as a multiple of the control's, once there are four pairs of slots.
    #[schemars(transform = bounds::RATIO.shown())]
    pub cost_above_ratio: Option<f64>,
}

/// Policies of a pool that make room for others while it runs. What was before becomes the last
/// good version, which stands in where the new one faults. An experiment there begins anew.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(transform = bounds::some_policy)]
pub struct SwapEntry {
    /// From the start of the run: the first decision at this instant or after it is made by the new
    /// policies.
    #[schemars(transform = bounds::INSTANT_SECONDS.shown())]
    pub at_seconds: f64,
    /// Name of the pool.
    pub pool: String,
    /// At least one. Without it: as they were.
    #[schemars(length(min = 1))]
    pub analyzers: Option<Vec<PolicyUseEntry>>,
    /// Without it: as it was.
    pub optimizer: Option<PolicyUseEntry>,
}

fn slot_seconds() -> f64 {
    Experiment::default().slot_seconds
}

fn washout_seconds() -> f64 {
    Experiment::default().washout_seconds
}

fn max_slots() -> u32 {
    Experiment::default().max_slots
}
