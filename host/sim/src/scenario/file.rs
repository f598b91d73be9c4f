//! The scenario file's format. What is written here is its documentation: the JSON Schema shows it.

mod behavior;
mod fleet;
mod policies;
mod workload;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use trimtab_core::snapshot::{Behavior, Mode};

pub use self::fleet::*;
pub use self::policies::*;
pub use self::workload::*;
use super::{bounds, defaults};

/// A simulated fleet and what it serves.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScenarioFile {
    /// What the report calls it.
    #[schemars(transform = bounds::name)]
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Of everything random: arrivals, start-up times, faults.
    #[serde(default = "defaults::seed")]
    pub seed: u64,
    /// Requests arrive until here. Without it: as long as the longest trace.
    #[schemars(transform = bounds::DURATION_SECONDS.shown())]
    pub duration_seconds: Option<f64>,
    /// How long requests that have arrived are waited for after that.
    #[serde(default = "defaults::drain_seconds")]
    #[schemars(transform = bounds::DRAIN_SECONDS.shown())]
    pub drain_seconds: f64,
    /// The control loop's clocks and windows. Without it: 15 s for each clock.
    #[serde(default)]
    pub timing: TimingEntry,
    /// Accelerators beside those of the catalogue, or other figures for those.
    #[serde(default)]
    pub accelerators: BTreeMap<String, AcceleratorEntry>,
    /// Models beside those of the catalogue, or other figures for those.
    #[serde(default)]
    pub models: BTreeMap<String, ModelEntry>,
    /// GPUs by accelerator. An accelerator that is not listed has none; without any inventory
    /// there is no end of them.
    #[schemars(transform = bounds::GPUS.shown_of_values())]
    pub inventory: Option<BTreeMap<String, u32>>,
    /// Cost per hour that all pools together may reach.
    #[schemars(transform = bounds::BUDGET_PER_HOUR.shown())]
    pub budget_per_hour: Option<f64>,
    /// Who decides in pools that name nobody. Without it: the built-in analyzer and optimizer.
    #[serde(default)]
    pub policies: PoliciesEntry,
    /// At least one.
    #[schemars(length(min = 1))]
    pub pools: Vec<PoolEntry>,
    /// What goes wrong, and when.
    #[serde(default)]
    pub faults: Vec<FaultEntry>,
    /// Policies that make room for others while it runs.
    #[serde(default)]
    pub swaps: Vec<SwapEntry>,
    /// Baselines to run beside it.
    #[serde(default)]
    pub compare: Vec<Baseline>,
}

/// The control loop's clocks and windows.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TimingEntry {
    /// Between decisions.
    #[schemars(transform = bounds::PERIOD_SECONDS.shown())]
    pub tick_seconds: f64,
    /// Between scrapes of a replica's metrics.
    #[schemars(transform = bounds::PERIOD_SECONDS.shown())]
    pub scrape_seconds: f64,
    /// Between the HPA's looks at the wanted count.
    #[schemars(transform = bounds::PERIOD_SECONDS.shown())]
    pub actuation_seconds: f64,
    /// Over how long rates, maxima and latencies are taken: the operator's
    /// `prometheus.windowSeconds`.
    #[schemars(transform = bounds::MEASURED_SECONDS.shown())]
    pub window_seconds: f64,
    /// Over how long token lengths and prefix hits are taken, at least `window-seconds`: the
    /// operator's `prometheus.longWindowSeconds`.
    #[schemars(transform = bounds::MEASURED_SECONDS.shown())]
    pub long_window_seconds: f64,
}

/// One model, the variants that serve it, and what it serves.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PoolEntry {
    /// Of its own in the scenario.
    #[schemars(transform = bounds::name)]
    pub name: String,
    /// Kubernetes namespace of the pool.
    #[serde(default = "defaults::namespace")]
    pub namespace: String,
    /// Of the catalogue, or of `models`.
    pub model: String,
    /// What its users were promised.
    pub objective: ObjectiveEntry,
    /// What the guard holds it to.
    #[serde(default)]
    pub rules: RulesEntry,
    /// Who decides here, in place of the scenario's own.
    #[serde(default)]
    pub policies: PoolPoliciesEntry,
    /// Who is asked too, and given to nobody.
    #[serde(default)]
    pub shadows: Vec<ShadowEntry>,
    /// Who takes turns with the pool's own policies.
    pub experiment: Option<ExperimentEntry>,
    /// Where its requests come from.
    pub workload: WorkloadEntry,
    /// At least one.
    #[schemars(length(min = 1))]
    pub variants: Vec<VariantEntry>,
}

/// What the pool's users were promised.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ObjectiveEntry {
    /// Time to first token.
    #[schemars(transform = bounds::LATENCY_SECONDS.shown())]
    pub ttft_seconds: Option<f64>,
    /// Mean time between a request's output tokens.
    #[schemars(transform = bounds::LATENCY_SECONDS.shown())]
    pub itl_seconds: Option<f64>,
    /// Share of requests that must meet both, below 1.
    #[serde(default = "defaults::percentile")]
    #[schemars(transform = bounds::PERCENTILE.shown())]
    pub percentile: f64,
    /// 1 is the most important.
    #[serde(default = "defaults::priority")]
    #[schemars(transform = bounds::PRIORITY.shown())]
    pub priority: u32,
    /// Output tokens per second to be able to serve, even while less arrives.
    #[schemars(transform = bounds::TOKENS_PER_SECOND.shown())]
    pub throughput: Option<f64>,
}

/// What the guard holds the pool to.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RulesEntry {
    /// `enforce`, `observe` or `paused`.
    #[schemars(with = "ModeSchema")]
    pub mode: Mode,
    /// Seconds without requests after which the pool may go to zero. Without it: never.
    #[schemars(transform = bounds::INSTANT_SECONDS.shown())]
    pub scale_to_zero_after_seconds: Option<f64>,
    /// As an HPA's `spec.behavior`, in its own camel case. Without it: none.
    #[schemars(with = "Option<behavior::BehaviorSchema>")]
    pub behavior: Option<Behavior>,
    /// Measurements older than this are stale: nothing shrinks on them.
    #[schemars(transform = bounds::AGE_SECONDS.shown())]
    pub max_metrics_age_seconds: f64,
}

/// [`Mode`] for the schema.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is used")]
enum ModeSchema {
    Enforce,
    Observe,
    Paused,
}

/// Something that goes wrong. Pools and variants are named.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
pub enum FaultEntry {
    /// The oldest serving replica dies; its requests go back to the router.
    ReplicaDies {
        /// From the start of the run.
        #[schemars(transform = bounds::INSTANT_SECONDS.shown())]
        at_seconds: f64,
        /// Name of the pool.
        pool: String,
        /// Name of the variant in it.
        variant: String,
    },
    /// The next start after this time fails when it would have served.
    StartFails {
        /// From the start of the run.
        #[schemars(transform = bounds::INSTANT_SECONDS.shown())]
        at_seconds: f64,
        /// Name of the pool.
        pool: String,
        /// Name of the variant in it.
        variant: String,
    },
    /// No metrics of the pool are scraped.
    MetricsVanish {
        /// From the start of the run.
        #[schemars(transform = bounds::INSTANT_SECONDS.shown())]
        from_seconds: f64,
        /// From the start of the run; at least `from-seconds`.
        #[schemars(transform = bounds::INSTANT_SECONDS.shown())]
        until_seconds: f64,
        /// Name of the pool.
        pool: String,
    },
}

/// What a run can be compared with.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// The cheapest constant fleet that meets the objective.
    Static,
    /// HPA v2 on waiting and running requests.
    Hpa,
    /// Perfect foresight.
    Oracle,
}
