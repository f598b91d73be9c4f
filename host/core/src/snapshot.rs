//! What a tick is given: everything that was observed, and the rules of each pool.

use serde::{Deserialize, Deserializer, Serialize};
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
    /// What is doubtful about the measurements, for the operator to see.
    #[serde(default)]
    pub warnings: Vec<String>,
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
    /// Cost per hour that the pool may reach; the guard alone knows of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_per_hour: Option<f64>,
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
            budget_per_hour: None,
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

/// HPA v2's `behavior`, with HPA's own default for each field that is not set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Behavior {
    #[serde(
        default = "ScalingRules::up",
        deserialize_with = "ScalingRules::read_up"
    )]
    pub scale_up: ScalingRules,
    #[serde(
        default = "ScalingRules::down",
        deserialize_with = "ScalingRules::read_down"
    )]
    pub scale_down: ScalingRules,
}

impl Default for Behavior {
    fn default() -> Self {
        Self {
            scale_up: ScalingRules::up(),
            scale_down: ScalingRules::down(),
        }
    }
}

/// One direction of a [`Behavior`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScalingRules {
    pub stabilization_window_seconds: u32,
    pub select_policy: SelectPolicy,
    pub policies: Vec<ScalingPolicy>,
}

/// [`ScalingRules`] as they are written: null is as missing.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WrittenRules {
    stabilization_window_seconds: Option<u32>,
    select_policy: Option<SelectPolicy>,
    policies: Option<Vec<ScalingPolicy>>,
}

impl ScalingRules {
    /// HPA's defaults for growth: at once, by 4 pods or 100 % in 15 s, whichever is more.
    #[must_use]
    pub fn up() -> Self {
        Self {
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
        }
    }

    /// HPA's defaults for shrinking: to the most of five minutes, then by 100 % in 15 s.
    #[must_use]
    pub fn down() -> Self {
        Self {
            stabilization_window_seconds: 300,
            select_policy: SelectPolicy::Max,
            policies: vec![ScalingPolicy {
                kind: ScalingPolicyKind::Percent,
                value: 100,
                period_seconds: 15,
            }],
        }
    }

    fn read_up<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self::up().with(Option::deserialize(from)?))
    }

    fn read_down<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self::down().with(Option::deserialize(from)?))
    }

    fn with(self, written: Option<WrittenRules>) -> Self {
        let written = written.unwrap_or_default();
        Self {
            stabilization_window_seconds: written
                .stabilization_window_seconds
                .unwrap_or(self.stabilization_window_seconds),
            select_policy: written.select_policy.unwrap_or(self.select_policy),
            policies: written.policies.unwrap_or(self.policies),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(document: &str) -> Behavior {
        serde_json::from_str(document).unwrap()
    }

    #[test]
    fn each_field_of_a_behavior_that_is_not_set_is_as_hpa_has_it() {
        assert_eq!(read("{}"), Behavior::default());
        assert_eq!(
            read(r#"{"scaleUp": {}, "scaleDown": null}"#),
            Behavior::default()
        );
        let down = read(r#"{"scaleDown": {"stabilizationWindowSeconds": 60}}"#).scale_down;
        assert_eq!(
            down,
            ScalingRules {
                stabilization_window_seconds: 60,
                ..ScalingRules::down()
            }
        );
        let up = read(
            r#"{"scaleUp": {"selectPolicy": "Min", "policies": null,
                            "stabilizationWindowSeconds": null}}"#,
        );
        assert_eq!(
            up.scale_up,
            ScalingRules {
                select_policy: SelectPolicy::Min,
                ..ScalingRules::up()
            }
        );
        let policy = r#"{"scaleUp": {"policies": [
            {"type": "Pods", "value": 2, "periodSeconds": 60}
        ]}}"#;
        let up = read(policy).scale_up;
        assert_eq!((up.stabilization_window_seconds, up.policies.len()), (0, 1));
    }

    #[test]
    fn what_is_read_of_a_behavior_is_what_was_written() {
        let behavior = read(r#"{"scaleDown": {"selectPolicy": "Disabled"}}"#);
        let written = serde_json::to_string(&behavior).unwrap();
        assert_eq!(read(&written), behavior);
    }

    #[test]
    fn unknown_fields_of_a_behavior_are_refused() {
        for document in [r#"{"scaleSideways": {}}"#, r#"{"scaleUp": {"window": 1}}"#] {
            let error = serde_json::from_str::<Behavior>(document)
                .unwrap_err()
                .to_string();
            assert!(error.contains("unknown field"), "{error}");
        }
    }
}
