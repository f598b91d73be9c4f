//! `PoolPolicy`: what a pool is decided with, and by which rules.
#![allow(clippy::duplicated_attributes, reason = "columns are of the same type")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use kube::core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::policy::{LocalReference, free};

/// A length of time as Go writes it.
const LENGTH: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";

/// How one pool is scaled.
#[derive(Clone, Debug, Default, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "trimtab.dev",
    version = "v1alpha1",
    kind = "PoolPolicy",
    plural = "poolpolicies",
    shortname = "pp",
    namespaced,
    status = "PoolPolicyStatus",
    doc = "Binds an InferencePool, or all of the namespace that no other PoolPolicy names, to policies and rules. What it does not say is as Trimtab's configuration has it.",
    printcolumn(name = "Pool", type_ = "string", json_path = ".spec.poolRef.name"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Accepted')].reason"
    ),
    printcolumn(
        name = "Bound",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Bound')].reason"
    ),
    printcolumn(
        name = "Experiment",
        type_ = "string",
        json_path = ".status.pools[*].experiment.phase"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct PoolPolicySpec {
    /// The InferencePool. Without it: every pool of the namespace that no other PoolPolicy names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_ref: Option<LocalReference>,
    /// Who turns measurements into supply and demand. Every floor of all of them is met, and
    /// replicas go only while all of them can spare some. Without it: as the configuration says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub analyzers: Vec<PolicyUse>,
    /// Who turns supply and demand into replica counts. Pools with the same optimizer and settings
    /// are planned for together. Without it: as the configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<PolicyUse>,
    /// What users were promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<ObjectiveSpec>,
    /// What becomes of decisions. `Enforce`: they are published. `Observe`: they are computed and
    /// shown, and never published. `Paused`: what is desired now is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ModeSpec")]
    pub mode: Option<ModeSpec>,
    /// Whether the pool may go to zero when it is idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_to_zero: Option<ScaleToZeroSpec>,
    /// As an HPA's `spec.behavior`, for pools that no HPA or KEDA scales.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavior: Option<BehaviorSpec>,
    /// What the pool may cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetSpec>,
    /// Who sets the count of workloads. `Metrics`: HPA or KEDA, which read what it should be.
    /// `Direct`: Trimtab itself, by the `scale` subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ActuationSpec")]
    pub actuation: Option<ActuationSpec>,
    /// Policies that are asked too, with the same measurements, and given to nobody: what they would
    /// ask for stands in the status and in metrics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub shadows: Vec<ShadowSpec>,
    /// A candidate that takes turns with the pool's own policies, slot by slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<ExperimentSpec>,
}

/// A policy, and what is different in its settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyUse {
    /// A ScalingPolicy of this namespace, or else of Trimtab's own. Without it: the policy that the
    /// configuration names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_ref: Option<LocalReference>,
    /// Each replaces the policy's own setting of the same name.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "free")]
    pub settings: Map<String, Value>,
}

/// What the users of a pool were promised. A bound that is not given is as the configuration says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectiveSpec {
    /// Time to first token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = true, "minimum" = 0))]
    pub ttft_seconds: Option<f64>,
    /// Time between output tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = true, "minimum" = 0))]
    pub itl_seconds: Option<f64>,
    /// Output tokens per second to be able to serve, even while less arrives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub tokens_per_second: Option<f64>,
    /// Share of requests that must meet both times, e.g. 0.95.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1), extend("exclusiveMinimum" = true))]
    pub percentile: Option<f64>,
    /// 1 is the most important: who is served first when GPUs run short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub priority: Option<u32>,
}

/// What becomes of decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ModeSpec {
    Enforce,
    Observe,
    Paused,
}

/// Who sets the count of workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ActuationSpec {
    Metrics,
    Direct,
}

/// How an idle pool goes to zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleToZeroSpec {
    /// Whether it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// How long nothing must have been served, e.g. `10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = LENGTH))]
    pub retention: Option<Duration>,
}

/// What a pool may cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetSpec {
    /// Cost per hour of all its replicas, in the currency of the variants' costs. Growth stops at
    /// it; what runs already is not taken away.
    #[schemars(range(min = 0))]
    pub cost_per_hour: f64,
}

/// An HPA's `spec.behavior`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BehaviorSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_up: Option<ScalingRulesSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down: Option<ScalingRulesSpec>,
}

/// One direction of a behaviour; what is not given is as an HPA has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingRulesSpec {
    /// How long a recommendation is kept in mind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub stabilization_window_seconds: Option<u32>,
    /// Which of several policies counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SelectPolicySpec")]
    pub select_policy: Option<SelectPolicySpec>,
    /// How much may change in which period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub policies: Option<Vec<RatePolicySpec>>,
}

/// Which of several policies counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SelectPolicySpec {
    /// The one that allows the largest change.
    Max,
    /// The one that allows the smallest change.
    Min,
    /// No change in this direction.
    Disabled,
}

/// A change allowed in a period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RatePolicySpec {
    #[serde(rename = "type")]
    pub kind: RateKindSpec,
    /// Pods, or per cent of the replicas that there are.
    #[schemars(range(min = 1))]
    pub value: u32,
    /// Over how long it is counted.
    #[schemars(range(min = 1, max = 1800))]
    pub period_seconds: u32,
}

/// Unit of a rate policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RateKindSpec {
    Pods,
    Percent,
}

/// Policies that stand in for the pool's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.analyzers) || has(self.optimizer)",
    "message": "a candidate needs analyzers or an optimizer"
}]))]
pub struct CandidateSpec {
    /// Without it: the pool's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 4))]
    pub analyzers: Vec<PolicyUse>,
    /// Without it: the pool's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<PolicyUse>,
}

/// A candidate that is tried in shadow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.analyzers) || has(self.optimizer)",
    "message": "a shadow needs analyzers or an optimizer"
}]))]
pub struct ShadowSpec {
    /// What the candidate is called in the status and in metrics.
    #[schemars(length(max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Without it: the pool's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 4))]
    pub analyzers: Vec<PolicyUse>,
    /// Without it: the pool's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<PolicyUse>,
}

/// A switchback experiment: slots of time are given to the pool's own policies (control) and to a
/// candidate, in pairs, each pair in an order drawn by the seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "duration(has(self.washout) ? self.washout : '10m') < duration(has(self.slot) ? self.slot : '30m')",
        "message": "washout must be shorter than slot (10m and 30m where they are not given)"
    },
    {
        "rule": "!has(self.slot) || duration(self.slot) >= duration('1m')",
        "message": "a slot lasts at least a minute"
    }
]))]
pub struct ExperimentSpec {
    pub candidate: CandidateSpec,
    /// How long an arm decides before the turn is drawn again. 30 minutes where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = LENGTH))]
    pub slot: Option<Duration>,
    /// How long nothing is counted at the beginning of a slot: replicas of the other arm are still
    /// there. 10 minutes where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = LENGTH))]
    pub washout: Option<Duration>,
    /// Draws the order of the arms. The same seed gives the same order, of each pool its own.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub seed: i64,
    /// When it is over, if it is not before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// After how many slots it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 10000))]
    pub max_slots: Option<u32>,
    /// What ends it before its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_if: Option<StopIfSpec>,
}

/// Guard rails. An experiment that is stopped stays so until its candidate, the pool's own policies,
/// seed, slot or washout change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StopIfSpec {
    /// Share of requests that meet the objective, of the arm that decides, e.g. 0.9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub attainment_below: Option<f64>,
    /// The candidate's cost as a multiple of the control's, e.g. 1.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = true, "minimum" = 0))]
    pub cost_above_ratio: Option<f64>,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolPolicyStatus {
    /// Generation of the object that this speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted`: it holds for at least one pool, and none of it is contradicted by another.
    /// `Bound`: the policies that it names decide.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The pools that it holds for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub pools: Vec<PoolStatus>,
}

/// One pool that a PoolPolicy holds for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolStatus {
    /// Of the pool.
    pub name: String,
    /// Who decided last, e.g. `queueing-analyzer 0.1.0 sha256:…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub analyzers: Vec<String>,
    /// Who planned last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<String>,
    /// How each candidate compares with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub shadows: Vec<ShadowStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<ExperimentStatus>,
}

/// How a candidate compares with the active policies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShadowStatus {
    /// Of the candidate.
    pub name: String,
    /// Since when it is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub since: Option<String>,
    /// Ticks in which it was asked.
    pub ticks: u64,
    /// Ticks in which there was no time left for it.
    pub skipped: u64,
    /// Ticks in which one of its policies faulted.
    pub faulted: u64,
    /// Share of its ticks in which it would have asked for another count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disagreement_rate: Option<f64>,
    /// Cost per hour of what is asked for, as a mean over ticks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_cost_per_hour: Option<f64>,
    /// Cost per hour of what it would ask for, as a mean over ticks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate_cost_per_hour: Option<f64>,
    /// By variant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["variant"]))]
    pub variants: Vec<ComparedStatus>,
}

/// Counts of one variant, by the active policies and by a candidate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComparedStatus {
    /// Name of the variant.
    pub variant: String,
    /// What was asked for in the last tick.
    pub active: u32,
    /// What it would have asked for in the last tick.
    pub candidate: u32,
    /// Candidate less active, over all ticks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_difference: Option<f64>,
}

/// How an experiment stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentStatus {
    /// `Waiting` (for its candidate), `Running`, `Done` or `Stopped`.
    pub phase: String,
    /// What goes on, or why it was stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Pairs of slots that count.
    pub pairs: u64,
    pub control: ArmStatus,
    pub candidate: ArmStatus,
    /// Candidate less control, in cost per hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<EffectStatus>,
    /// Candidate less control, as a share of requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attainment: Option<EffectStatus>,
}

/// One arm of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArmStatus {
    /// Slots of it that count.
    pub slots: u64,
    /// Mean cost per hour of the replicas that it held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_per_hour: Option<f64>,
    /// Share of requests that met the objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attainment: Option<f64>,
}

/// A difference between the arms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectStatus {
    /// Candidate less control.
    pub effect: f64,
    /// Of the effect.
    pub standard_error: f64,
    /// The lower end of the 95 % confidence interval.
    pub low: f64,
    /// The upper end of the 95 % confidence interval.
    pub high: f64,
}
