//! VariantAutoscalings (`llmd.ai/v1alpha1`), of WVA's schema or ours.

use serde::Deserialize;

use super::{Object, or_default};

pub(crate) type VariantAutoscaling = Object<VariantSpec, VariantStatus>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct VariantSpec {
    #[serde(deserialize_with = "or_default")]
    pub(crate) scale_target_ref: TargetReference,
    #[serde(rename = "modelID", deserialize_with = "or_default")]
    pub(crate) model_id: String,
    pub(crate) variant_cost: Option<String>,
    pub(crate) min_replicas: Option<u32>,
    pub(crate) max_replicas: Option<u32>,
}

/// `scaleTargetRef` of a VariantAutoscaling, an HPA or a ScaledObject.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TargetReference {
    pub(crate) api_version: Option<String>,
    pub(crate) kind: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct VariantStatus {
    #[serde(deserialize_with = "or_default")]
    pub(crate) desired_optimized_alloc: DesiredAllocation,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DesiredAllocation {
    /// `None` where nothing was decided yet.
    pub(crate) num_replicas: Option<u32>,
}
