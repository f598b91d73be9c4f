//! What is kept of a node with accelerators.

use crate::gpus::{self, Counts};
use crate::objects::node::Node as Object;
use crate::objects::{Labels, true_since_ms};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) labels: Labels,
    /// Accelerators that pods may have, by resource.
    pub(crate) allocatable: Counts,
    /// Ready, and open for new pods.
    pub(crate) usable: bool,
}

impl Node {
    pub(super) fn of(object: Object) -> Self {
        let status = &object.status;
        let ready = true_since_ms(&status.conditions, "Ready").is_some();
        Self {
            labels: object.metadata.labels.unwrap_or_default(),
            allocatable: gpus::of_resources(&status.allocatable),
            usable: ready && !object.spec.unschedulable,
        }
    }
}
