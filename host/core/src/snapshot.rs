//! What a tick is given: everything that was observed, and the rules of each pool.

use serde::{Deserialize, Serialize};
use trimtab_contract::{Accelerator, Pool, Replica};

/// One observation of all pools.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Snapshot {
    /// Milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// Seconds until the next tick.
    pub period_seconds: f64,
    pub pools: Vec<PoolSnapshot>,
    /// GPUs by accelerator. `None` where the inventory cannot be discovered: then growth goes on.
    pub inventory: Option<Vec<Accelerator>>,
    /// Cost per hour that all pools together may reach.
    pub budget_per_hour: Option<f64>,
}

/// One pool as observed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PoolSnapshot {
    pub pool: Pool,
    pub replicas: Vec<Replica>,
    /// Seconds since a request was last in the pool (arrived, waiting, running or finished).
    /// `None` where that is not known, which is not idleness.
    pub idle_seconds: Option<f64>,
    pub rules: PoolRules,
}

/// What the operator set for a pool, beside the policies' own settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct PoolRules {
    pub mode: Mode,
    /// Seconds without requests after which a pool may go to zero; `None` where it may not.
    pub scale_to_zero_after_seconds: Option<f64>,
    /// Stabilisation and rate limits as HPA v2 has them; `None` where HPA or KEDA does that.
    pub behavior: Option<Behavior>,
    /// Measurements older than this are stale: nothing shrinks on them.
    pub max_metrics_age_seconds: f64,
    /// Most replicas that a plan may ask of one variant before it is taken for nonsense.
    pub max_plausible_replicas: u32,
}

impl Default for PoolRules {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            scale_to_zero_after_seconds: None,
            behavior: None,
            // Four scrapes of 15 s, and one of slack.
            max_metrics_age_seconds: 75.0,
            max_plausible_replicas: 100_000,
        }
    }
}

/// What becomes of a pool's decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Published.
    Enforce,
    /// Computed and shown, never published.
    Observe,
    /// What is desired now is held.
    Paused,
}

/// HPA v2's `behavior`, with HPA's own defaults where a part is not set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Behavior {
    pub scale_up: ScalingRules,
    pub scale_down: ScalingRules,
}

impl Default for Behavior {
    fn default() -> Self {
        Self {
            scale_up: ScalingRules {
                stabilization_window_seconds: 0,
                select_policy: SelectPolicy::Max,
                policies: vec![
                    ScalingPolicy {
                        kind: ScalingPolicyKind::Pods,
                        value: 4,
                        period_seconds: 15,
                    },
                    ScalingPolicy {
                        kind: ScalingPolicyKind::Percent,
                        value: 100,
                        period_seconds: 15,
                    },
                ],
            },
            scale_down: ScalingRules {
                stabilization_window_seconds: 300,
                select_policy: SelectPolicy::Max,
                policies: vec![ScalingPolicy {
                    kind: ScalingPolicyKind::Percent,
                    value: 100,
                    period_seconds: 15,
                }],
            },
        }
    }
}

/// One direction of a [`Behavior`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScalingRules {
    pub stabilization_window_seconds: u32,
    pub select_policy: SelectPolicy,
    pub policies: Vec<ScalingPolicy>,
}

/// Which of several policies counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SelectPolicy {
    /// The one that allows the largest change.
    Max,
    /// The one that allows the smallest change.
    Min,
    /// No change in this direction.
    Disabled,
}

/// A change allowed in a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScalingPolicy {
    #[serde(rename = "type")]
    pub kind: ScalingPolicyKind,
    pub value: u32,
    pub period_seconds: u32,
}

/// Unit of a [`ScalingPolicy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScalingPolicyKind {
    Pods,
    Percent,
}
