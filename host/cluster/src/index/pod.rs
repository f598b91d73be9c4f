//! What is kept of a pod.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::gpus::{self, Counts};
use crate::index::claim::{TargetKey, group};
use crate::objects::pod::Pod as Object;
use crate::objects::{Labels, millis, true_since_ms};

/// A pod that was ready for the first time this long after it was scheduled did so again, after
/// it had not been for a while: no engine loads its weights for an hour.
const LONGEST_START_SECONDS: f64 = 3600.0;

/// Labels of a LeaderWorkerSet's pods.
const SET_NAME: &str = "leaderworkerset.sigs.k8s.io/name";
const GROUP_INDEX: &str = "leaderworkerset.sigs.k8s.io/group-index";
const WORKER_INDEX: &str = "leaderworkerset.sigs.k8s.io/worker-index";

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pod {
    pub(crate) uid: String,
    pub(crate) labels: Arc<Labels>,
    /// Its controller, in its own namespace.
    pub(crate) owner: Option<Owner>,
    pub(crate) node: Option<String>,
    pub(crate) ip: Option<String>,
    pub(crate) gpus: Counts,
    /// Neither finished nor on its way out.
    pub(crate) alive: bool,
    /// Finished pods hold nothing; those on their way out still do.
    pub(crate) holds_gpus: bool,
    pub(crate) ready_since_ms: Option<u64>,
    /// Why the scheduler finds no place for it.
    pub(crate) unschedulable: bool,
    /// From being scheduled until it was ready for the first time, in seconds.
    pub(crate) startup_seconds: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) name: String,
}

impl Owner {
    /// The controlling owner of an object.
    pub(crate) fn of(metadata: &ObjectMeta) -> Option<Self> {
        let mut owners = metadata.owner_references.iter().flatten();
        let owner = owners.find(|owner| owner.controller == Some(true))?;
        Some(Self {
            group: group(&owner.api_version).to_owned(),
            kind: owner.kind.clone(),
            name: owner.name.clone(),
        })
    }

    pub(crate) fn key(&self, namespace: &str) -> TargetKey {
        TargetKey {
            namespace: namespace.to_owned(),
            group: self.group.clone(),
            kind: self.kind.clone(),
            name: self.name.clone(),
        }
    }
}

impl Pod {
    /// `before` is what was known of a pod of that name.
    pub(super) fn of(object: Object, before: Option<&Self>) -> Self {
        let metadata = object.metadata;
        let uid = metadata.uid.clone().unwrap_or_default();
        let before = before.filter(|before| before.uid == uid);
        let (spec, status) = (object.spec, object.status);
        let conditions = &status.conditions;
        let ready_since_ms = true_since_ms(conditions, "Ready");
        let created = metadata.creation_timestamp.as_ref().map(millis);
        let scheduled = true_since_ms(conditions, "PodScheduled").filter(|at| *at > 0);
        let startup = || {
            let ready = ready_since_ms.filter(|at| *at > 0)?;
            let took = ready.checked_sub(scheduled.or(created)?)? as f64 / 1000.0;
            (took <= LONGEST_START_SECONDS).then_some(took)
        };
        let finished = matches!(status.phase.as_str(), "Succeeded" | "Failed");
        let labels = metadata.labels.clone().unwrap_or_default();
        Self {
            labels: match before {
                Some(before) if *before.labels == labels => Arc::clone(&before.labels),
                _ => Arc::new(labels),
            },
            owner: Owner::of(&metadata),
            gpus: gpus::of_pod(&spec.containers, &spec.init_containers),
            alive: !finished && metadata.deletion_timestamp.is_none(),
            holds_gpus: !finished && spec.node_name.is_some(),
            unschedulable: spec.node_name.is_none()
                && conditions.iter().any(|condition| {
                    condition.kind == "PodScheduled" && condition.status == "False"
                }),
            node: spec.node_name,
            ip: status.pod_ip,
            ready_since_ms,
            startup_seconds: before
                .and_then(|before| before.startup_seconds)
                .or_else(startup),
            uid,
        }
    }

    /// Whether others lack accelerators because of it.
    pub(super) fn holds_any_gpu(&self) -> bool {
        self.holds_gpus && !self.gpus.is_empty()
    }

    /// The LeaderWorkerSet group that it is part of.
    pub(crate) fn group(&self) -> Option<Group<'_>> {
        let label = |key| self.labels.get(key).map(String::as_str);
        Some(Group {
            set: label(SET_NAME)?,
            index: label(GROUP_INDEX)?,
            is_leader: label(WORKER_INDEX) == Some("0"),
        })
    }
}

/// Part of a LeaderWorkerSet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group<'a> {
    pub(crate) set: &'a str,
    pub(crate) index: &'a str,
    pub(crate) is_leader: bool,
}

/// Pods by namespace and name.
pub(crate) type Pods = BTreeMap<String, BTreeMap<String, Pod>>;
