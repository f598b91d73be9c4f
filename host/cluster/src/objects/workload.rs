//! What can be scaled: Deployments, StatefulSets, LeaderWorkerSets, and other kinds with a `scale`
//! subresource, once `definition` has found their counts.

use serde::Deserialize;

use super::autoscaler::ScalerCondition;
use super::salvage::Salvaged;
use super::template::Template;
use super::{Object, lenient, or_default};

pub(crate) type Workload = Object<Salvaged<WorkloadSpec>, WorkloadStatus>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct WorkloadSpec {
    pub(crate) replicas: Option<u32>,
    pub(crate) template: Option<Template>,
    /// LeaderWorkerSets only.
    pub(crate) leader_worker_template: Option<LeaderWorkerTemplate>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct LeaderWorkerTemplate {
    /// Pods of a group, its leader included; 1 where it is not set.
    pub(crate) size: Option<u32>,
    /// Leaders are made from the worker's template where there is none for them.
    pub(crate) leader_template: Option<Template>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) worker_template: Template,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct WorkloadStatus {
    #[serde(deserialize_with = "lenient")]
    pub(crate) replicas: Option<u32>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) ready_replicas: Option<u32>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) conditions: Vec<ScalerCondition>,
}
