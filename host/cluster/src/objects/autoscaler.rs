//! HPAs and KEDA's ScaledObjects, as far as they say what may be scaled. How fast is their own
//! affair: whoever applied their behavior before them would have its windows pass twice.

use serde::Deserialize;

use super::variant::TargetReference;
use super::{Count, Ignored, Object, lenient};

pub(crate) type HorizontalPodAutoscaler = Object<HpaSpec, Ignored>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct HpaSpec {
    #[serde(deserialize_with = "lenient")]
    pub(crate) scale_target_ref: TargetReference,
    pub(crate) min_replicas: Count,
    pub(crate) max_replicas: Count,
}

pub(crate) type ScaledObject = Object<ScaledObjectSpec, Ignored>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ScaledObjectSpec {
    #[serde(deserialize_with = "lenient")]
    pub(crate) scale_target_ref: TargetReference,
    pub(crate) min_replica_count: Count,
    pub(crate) max_replica_count: Count,
}
