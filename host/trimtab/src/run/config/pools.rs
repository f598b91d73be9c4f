//! What is asked of each pool: defaults, and entries that override them.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use trimtab_contract::Objective;
use trimtab_core::snapshot::{Behavior, Mode, PoolRules};

use super::Config;
use super::duration::Seconds;

/// What the users of a pool were promised, where no entry says otherwise.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ObjectiveDefaults {
    /// Time to first token. Without it: no bound.
    pub(crate) ttft_seconds: Option<Seconds>,
    /// Time between output tokens. Without it: no bound.
    pub(crate) itl_seconds: Option<Seconds>,
    /// Output tokens per second to be able to serve, even while less arrives.
    pub(crate) tokens_per_second: Option<f64>,
    /// Share of requests that must meet both times.
    pub(crate) percentile: f64,
    /// 1 is the most important: who is served first when GPUs run short. 10 leaves room on both
    /// sides.
    pub(crate) priority: u32,
}

impl Default for ObjectiveDefaults {
    fn default() -> Self {
        Self {
            ttft_seconds: None,
            itl_seconds: None,
            tokens_per_second: None,
            percentile: 0.95,
            priority: 10,
        }
    }
}

/// Whether a pool without requests may go to zero, where no entry says otherwise.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ScaleToZeroDefaults {
    pub(crate) enabled: bool,
    /// How long nothing must have been served.
    pub(crate) retention: Seconds,
}

impl Default for ScaleToZeroDefaults {
    fn default() -> Self {
        Self {
            enabled: false,
            retention: Seconds::new(600),
        }
    }
}

/// Who sets the count of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Actuation {
    /// HPA or KEDA: they read what it should be.
    Metrics,
    /// We do, by its `scale` subresource, with HPA's own stabilisation and rates unless `behavior`
    /// says otherwise. A workload that an HPA or a ScaledObject scales is left to it.
    Direct,
}

/// What is different for some pools. A pool is meant where all of `namespace`, `pool` and `model`
/// that are given are its own. Where several entries mean a pool, the last that sets a key wins,
/// key by key.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct PoolEntry {
    /// Without it: in every namespace.
    pub(crate) namespace: Option<String>,
    /// Name of the InferencePool. Without it: every one.
    pub(crate) pool: Option<String>,
    /// Model ID. Without it: every one.
    pub(crate) model: Option<String>,
    pub(crate) objective: ObjectiveEntry,
    pub(crate) scale_to_zero: ScaleToZeroEntry,
    /// `enforce`, `observe` or `paused`.
    #[schemars(with = "Option<ModeSchema>")]
    pub(crate) mode: Option<Mode>,
    /// `metrics` or `direct`.
    pub(crate) actuation: Option<Actuation>,
    /// As an HPA's `spec.behavior`, for pools that no HPA or KEDA scales.
    #[schemars(with = "Option<Map<String, Value>>")]
    pub(crate) behavior: Option<Behavior>,
    /// Cost per hour that the pool may reach.
    pub(crate) budget_per_hour: Option<f64>,
    /// Settings of the analyzer that are different; each replaces the one of the same name in
    /// `policies.analyzer.settings`.
    pub(crate) analyzer_settings: Map<String, Value>,
}

/// What is different in a pool's objective. A bound of null is none.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ObjectiveEntry {
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Seconds>")]
    pub(crate) ttft_seconds: Option<Option<Seconds>>,
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Seconds>")]
    pub(crate) itl_seconds: Option<Option<Seconds>>,
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub(crate) tokens_per_second: Option<Option<f64>>,
    pub(crate) percentile: Option<f64>,
    pub(crate) priority: Option<u32>,
}

/// What is different in how a pool goes to zero.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ScaleToZeroEntry {
    pub(crate) enabled: Option<bool>,
    pub(crate) retention: Option<Seconds>,
}

/// [`Mode`] for the schema.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case", rename = "Mode")]
#[expect(dead_code, reason = "only its schema is asked for")]
pub(super) enum ModeSchema {
    Enforce,
    Observe,
    Paused,
}

/// A key that is there, even with null.
fn given<'de, D, T>(from: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(from).map(Some)
}

/// What tells a pool from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolIdentity<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) pool: &'a str,
    pub(crate) model: &'a str,
}

/// What holds for one pool.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PoolSettings {
    pub(crate) objective: Objective,
    pub(crate) rules: PoolRules,
    pub(crate) actuation: Actuation,
    /// Of the analyzer.
    pub(crate) analyzer_settings: Map<String, Value>,
}

impl PoolEntry {
    fn means(&self, pool: PoolIdentity<'_>) -> bool {
        let is = |wanted: &Option<String>, name: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == name)
        };
        is(&self.namespace, pool.namespace)
            && is(&self.pool, pool.pool)
            && is(&self.model, pool.model)
    }
}

impl Config {
    /// What holds for a pool. `inherited` are entries from elsewhere (WVA's ConfigMaps): they win
    /// over the defaults, our own `pools` over them, and `bound`, a PoolPolicy's, over all.
    #[must_use]
    pub(crate) fn pool(
        &self,
        inherited: &[PoolEntry],
        bound: Option<&PoolEntry>,
        pool: PoolIdentity<'_>,
    ) -> PoolSettings {
        let mut objective = self.objective.clone();
        let mut scale_to_zero = self.scale_to_zero.clone();
        let mut settings = PoolSettings {
            objective: Objective {
                ttft: None,
                itl: None,
                throughput: None,
                percentile: 0.0,
                priority: 0,
            },
            rules: PoolRules {
                mode: self.mode,
                max_metrics_age_seconds: self.max_metrics_age_seconds.seconds(),
                ..PoolRules::default()
            },
            actuation: self.actuation,
            analyzer_settings: self.policies.analyzer.settings.clone(),
        };
        let entries = inherited.iter().chain(&self.pools).chain(bound);
        for entry in entries.filter(|entry| entry.means(pool)) {
            objective.change(&entry.objective);
            scale_to_zero.change(&entry.scale_to_zero);
            settings.change(entry);
        }
        if settings.actuation == Actuation::Direct && settings.rules.behavior.is_none() {
            settings.rules.behavior = Some(Behavior::default());
        }
        settings.objective = objective.contract();
        settings.rules.scale_to_zero_after_seconds = scale_to_zero
            .enabled
            .then(|| scale_to_zero.retention.seconds());
        settings
    }
}

impl PoolSettings {
    fn change(&mut self, entry: &PoolEntry) {
        self.rules.mode = entry.mode.unwrap_or(self.rules.mode);
        self.actuation = entry.actuation.unwrap_or(self.actuation);
        if let Some(behavior) = &entry.behavior {
            self.rules.behavior = Some(behavior.clone());
        }
        if entry.budget_per_hour.is_some() {
            self.rules.budget_per_hour = entry.budget_per_hour;
        }
        self.analyzer_settings
            .extend(entry.analyzer_settings.clone());
    }
}

impl ObjectiveDefaults {
    fn change(&mut self, entry: &ObjectiveEntry) {
        self.ttft_seconds = entry.ttft_seconds.unwrap_or(self.ttft_seconds);
        self.itl_seconds = entry.itl_seconds.unwrap_or(self.itl_seconds);
        self.tokens_per_second = entry.tokens_per_second.unwrap_or(self.tokens_per_second);
        self.percentile = entry.percentile.unwrap_or(self.percentile);
        self.priority = entry.priority.unwrap_or(self.priority);
    }

    fn contract(&self) -> Objective {
        Objective {
            ttft: self.ttft_seconds.map(Seconds::seconds),
            itl: self.itl_seconds.map(Seconds::seconds),
            throughput: self.tokens_per_second,
            percentile: self.percentile,
            priority: self.priority,
        }
    }
}

impl ScaleToZeroDefaults {
    fn change(&mut self, entry: &ScaleToZeroEntry) {
        self.enabled = entry.enabled.unwrap_or(self.enabled);
        self.retention = entry.retention.unwrap_or(self.retention);
    }
}
