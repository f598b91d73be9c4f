//! VariantAutoscalings (`llmd.ai/v1alpha1`), of WVA's schema or ours.

use serde::Deserialize;

use super::{Object, lenient};

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
    #[serde(deserialize_with = "lenient")]
    pub(crate) min_replicas: Option<u32>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) max_replicas: Option<u32>,
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

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct VariantStatus {
    #[serde(deserialize_with = "lenient")]
    pub(crate) desired_optimized_alloc: DesiredAllocation,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DesiredAllocation {
    /// `None` where nothing was decided yet.
    #[serde(deserialize_with = "lenient")]
    pub(crate) num_replicas: Option<u32>,
}
