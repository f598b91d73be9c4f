//! HPAs and KEDA's ScaledObjects, as far as they say what may be scaled, what they scale by, and
//! what came of it. How fast is their own affair: whoever applied their behavior before them would
//! have its windows pass twice.

use serde::Deserialize;

use super::variant::TargetReference;
use super::{Count, Labels, Object, lenient};

pub(crate) type HorizontalPodAutoscaler = Object<HpaSpec, HpaStatus>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct HpaSpec {
    #[serde(deserialize_with = "lenient")]
    pub(crate) scale_target_ref: TargetReference,
    pub(crate) min_replicas: Count,
    pub(crate) max_replicas: Count,
    #[serde(deserialize_with = "lenient")]
    pub(crate) metrics: Vec<MetricSpec>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) behavior: Tolerances,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct MetricSpec {
    /// Of a metric of another type there is none.
    #[serde(deserialize_with = "lenient")]
    pub(crate) external: Option<ExternalMetric>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ExternalMetric {
    #[serde(deserialize_with = "lenient")]
    pub(crate) metric: MetricIdentifier,
    #[serde(deserialize_with = "lenient")]
    pub(crate) target: MetricTarget,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct MetricTarget {
    /// A quantity.
    #[serde(deserialize_with = "lenient")]
    pub(crate) average_value: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct MetricIdentifier {
    pub(crate) name: String,
    #[serde(deserialize_with = "lenient")]
    pub(crate) selector: MetricSelector,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct MetricSelector {
    #[serde(deserialize_with = "lenient")]
    pub(crate) match_labels: Labels,
}

/// Of an HPA's `behavior`, what it leaves alone.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Tolerances {
    #[serde(deserialize_with = "lenient")]
    pub(crate) scale_up: Tolerance,
    #[serde(deserialize_with = "lenient")]
    pub(crate) scale_down: Tolerance,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Tolerance {
    /// A quantity, e.g. `50m`.
    #[serde(deserialize_with = "lenient")]
    pub(crate) tolerance: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct HpaStatus {
    #[serde(deserialize_with = "lenient")]
    pub(crate) conditions: Vec<ScalerCondition>,
}

/// What a scaler says of itself.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct ScalerCondition {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) status: String,
    #[serde(deserialize_with = "lenient")]
    pub(crate) reason: String,
    #[serde(deserialize_with = "lenient")]
    pub(crate) message: String,
}

pub(crate) type ScaledObject = Object<ScaledObjectSpec, ScaledObjectStatus>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ScaledObjectSpec {
    #[serde(deserialize_with = "lenient")]
    pub(crate) scale_target_ref: TargetReference,
    pub(crate) min_replica_count: Count,
    pub(crate) max_replica_count: Count,
    #[serde(deserialize_with = "lenient")]
    pub(crate) triggers: Vec<Trigger>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) advanced: Advanced,
}

/// What KEDA scales by.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Trigger {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(deserialize_with = "lenient")]
    pub(crate) metric_type: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) metadata: Labels,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Advanced {
    #[serde(deserialize_with = "lenient")]
    pub(crate) horizontal_pod_autoscaler_config: HpaConfig,
}

/// What KEDA passes on to the HPA that it makes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct HpaConfig {
    #[serde(deserialize_with = "lenient")]
    pub(crate) behavior: Tolerances,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ScaledObjectStatus {
    /// Each is `s<index of the trigger>-<the scaler's own name for it>`.
    #[serde(deserialize_with = "lenient")]
    pub(crate) external_metric_names: Option<Vec<String>>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) conditions: Vec<ScalerCondition>,
}
