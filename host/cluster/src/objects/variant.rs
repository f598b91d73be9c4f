//! VariantAutoscalings (`llmd.ai/v1alpha1`), of WVA's schema or ours.

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

use super::{Count, Object, lenient};

pub(crate) type VariantAutoscaling = Object<VariantSpec, VariantStatus>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct VariantSpec {
    #[serde(deserialize_with = "lenient")]
    pub(crate) scale_target_ref: TargetReference,
    #[serde(rename = "modelID", deserialize_with = "lenient")]
    pub(crate) model_id: String,
    #[serde(deserialize_with = "lenient")]
    pub(crate) variant_cost: Option<String>,
    pub(crate) min_replicas: Count,
    pub(crate) max_replicas: Count,
}

/// `scaleTargetRef` of a VariantAutoscaling, an HPA or a ScaledObject.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TargetReference {
    #[serde(deserialize_with = "lenient")]
    pub(crate) api_version: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) kind: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) name: String,
}

/// As it was last written, by whomever.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VariantStatus {
    #[serde(deserialize_with = "lenient")]
    pub(crate) desired_optimized_alloc: DesiredAllocation,
    #[serde(deserialize_with = "lenient")]
    pub(crate) actuation: Actuation,
    #[serde(deserialize_with = "lenient")]
    pub(crate) current_replicas: Option<u32>,
    pub(crate) reason: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) conditions: Vec<VariantCondition>,
}

impl VariantStatus {
    /// Instant at which a count was last written, in milliseconds since the Unix epoch.
    pub(crate) fn written_ms(&self) -> Option<u64> {
        let written = self.desired_optimized_alloc.last_run_time.as_ref()?;
        let written: Timestamp = written.parse().ok()?;
        u64::try_from(written.as_millisecond()).ok()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DesiredAllocation {
    /// `None` where nothing was decided yet.
    #[serde(deserialize_with = "lenient")]
    pub(crate) num_replicas: Option<u32>,
    pub(crate) accelerator: Option<String>,
    pub(crate) last_run_time: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Actuation {
    pub(crate) applied: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct VariantCondition {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) last_transition_time: Option<String>,
}
