//! What is known of a workload that can be scaled: all that its template says, worked out once.

#[cfg(test)]
mod tests;

use crate::engine::{self, Settings};
use crate::gpus::{self, Counts, PRODUCT_LABELS};
use crate::index::claim::ACCELERATOR;
use crate::objects::Labels;
use crate::objects::salvage::Salvaged;
use crate::objects::template::{NodeSelectorTerm, Template};
use crate::objects::workload::{LeaderWorkerTemplate, Workload, WorkloadSpec};

use trimtab_contract::Role;

const ROLE: &str = "llm-d.ai/role";

/// Targets of which everything is known, by group and kind: without `.spec.replicas` they have one.
pub(crate) const WELL_KNOWN: [(&str, &str); 3] = [
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("leaderworkerset.x-k8s.io", "LeaderWorkerSet"),
];

/// Why objects of a kind cannot be scaled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("its kind has no subresource `scale`")]
    NoScale,
    #[error("objects of its kind are in no namespace")]
    NoNamespace,
    #[error("objects of its kind cannot be read: {0}")]
    Unread(String),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Target {
    pub(crate) deleting: bool,
    /// Replicas asked for; 1 where nobody said.
    pub(crate) spec_replicas: u32,
    /// Whether anybody said.
    pub(crate) says_replicas: bool,
    /// Replicas that exist, surge included; `None` where the status does not say.
    pub(crate) replicas: Option<u32>,
    pub(crate) ready_replicas: u32,
    /// Why its pods are not made.
    pub(crate) not_made: Option<String>,
    /// Pods of one replica: several for the groups of a LeaderWorkerSet.
    pub(crate) pods_per_replica: u32,
    /// Of the pods that take requests.
    pub(crate) labels: Labels,
    pub(crate) engine: Option<Settings>,
    /// Accelerators of one replica, all its pods together.
    pub(crate) gpus: Counts,
    /// Names of the claim templates of one replica, once for each device claim of each pod.
    pub(crate) claim_templates: Vec<String>,
    /// Labels that a node must have, and terms of which it must fit one.
    pub(crate) node_selector: Labels,
    pub(crate) node_terms: Vec<NodeSelectorTerm>,
    pub(crate) accelerator: Option<String>,
    /// What of it cannot be read, though the rest is taken.
    pub(crate) faults: Vec<String>,
}

impl Target {
    pub(crate) fn of(object: Workload) -> Self {
        let metadata = object.metadata;
        let (Salvaged { value, left_out }, status) = (object.spec, object.status);
        let spec: WorkloadSpec = value;
        let spec_replicas = spec.replicas;
        let mut target = match (spec.leader_worker_template, spec.template) {
            (Some(group), _) => Self::of_group(group),
            (None, Some(template)) => Self::of_template(&template),
            (None, None) => Self {
                pods_per_replica: 1,
                ..Self::default()
            },
        };
        let label = metadata.labels.as_ref();
        let label = label.and_then(|labels| labels.get(ACCELERATOR));
        target.accelerator = label
            .or_else(|| target.labels.get(ACCELERATOR))
            .filter(|name| !name.is_empty())
            .cloned();
        target.faults = left_out.iter().map(|path| unreadable(path)).collect();
        target.deleting = metadata.deletion_timestamp.is_some();
        target.spec_replicas = spec_replicas.unwrap_or(1);
        target.says_replicas = spec_replicas.is_some();
        target.replicas = status.replicas;
        target.ready_replicas = status.ready_replicas.unwrap_or(0);
        let mut conditions = status.conditions.into_iter();
        let failure = conditions.find(|of| of.kind == "ReplicaFailure" && of.status == "True");
        target.not_made = failure.map(|of| of.message);
        target
    }

    fn of_template(template: &Template) -> Self {
        let spec = &template.spec;
        let claims = spec.resource_claims.iter();
        Self {
            pods_per_replica: 1,
            labels: template.metadata.labels.clone(),
            engine: engine::read(&spec.containers),
            gpus: gpus::of_pod(&spec.containers, &spec.init_containers),
            claim_templates: claims
                .filter_map(|claim| claim.resource_claim_template_name.clone())
                .collect(),
            node_selector: spec.node_selector.clone(),
            node_terms: spec
                .affinity
                .node_affinity
                .required
                .node_selector_terms
                .clone(),
            ..Self::default()
        }
    }

    /// A leader and `size - 1` workers are one replica.
    fn of_group(group: LeaderWorkerTemplate) -> Self {
        let size = group.size.unwrap_or(1).max(1);
        let worker = Self::of_template(&group.worker_template);
        let Some(leader) = group.leader_template else {
            let mut target = worker.clone();
            target.add_workers(&worker, size - 1);
            return target;
        };
        let mut target = Self::of_template(&leader);
        if target.engine.is_none() {
            target.engine.clone_from(&worker.engine);
        }
        if target.node_selector.is_empty() && target.node_terms.is_empty() {
            target.node_selector.clone_from(&worker.node_selector);
            target.node_terms.clone_from(&worker.node_terms);
        }
        target.add_workers(&worker, size - 1);
        target
    }

    fn add_workers(&mut self, worker: &Self, count: u32) {
        self.pods_per_replica = count.saturating_add(1);
        for (resource, each) in &worker.gpus {
            let sum = self.gpus.entry(resource.clone()).or_default();
            *sum = sum.saturating_add(each.saturating_mul(count));
        }
        for _ in 0..count.min(u32::from(u16::MAX)) {
            self.claim_templates
                .extend_from_slice(&worker.claim_templates);
        }
    }

    /// The role that its pods' label gives, or what is wrong with the label.
    pub(crate) fn role(&self) -> Result<Role, String> {
        match self.labels.get(ROLE).map_or("", String::as_str) {
            "" | "both" | "prefill-decode" => Ok(Role::Both),
            "prefill" => Ok(Role::Prefill),
            "decode" => Ok(Role::Decode),
            other => Err(format!(
                "pod label {ROLE}: `{other}` is no role (prefill, decode, both); both is taken"
            )),
        }
    }

    /// The product that its node selector or affinity names, as written there.
    pub(crate) fn selected_product(&self) -> Option<&str> {
        let selected = |key: &str| self.node_selector.get(key).map(String::as_str);
        if let Some(product) = PRODUCT_LABELS.iter().find_map(|key| selected(key)) {
            return Some(product);
        }
        let expressions = self
            .node_terms
            .iter()
            .flat_map(|term| &term.match_expressions);
        let mut named = expressions
            .filter(|expression| expression.operator == "In")
            .filter(|expression| PRODUCT_LABELS.contains(&expression.key.as_str()))
            .flat_map(|expression| &expression.values);
        let first = named.next()?;
        named.all(|other| other == first).then_some(first.as_str())
    }

    /// The node labels by which it chooses.
    pub(crate) fn node_labels(&self) -> impl Iterator<Item = &str> {
        let terms = self.node_terms.iter();
        let expressions = terms.flat_map(|term| &term.match_expressions);
        let selected = self.node_selector.keys().map(String::as_str);
        selected.chain(expressions.map(|expression| expression.key.as_str()))
    }

    /// Whether its pods may run on a node with these labels.
    pub(crate) fn fits(&self, labels: &Labels) -> bool {
        let selected = self
            .node_selector
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value));
        let term = |term: &NodeSelectorTerm| {
            term.match_expressions
                .iter()
                .all(|expression| expression.fits(labels))
        };
        selected && (self.node_terms.is_empty() || self.node_terms.iter().any(term))
    }
}

fn unreadable(path: &str) -> String {
    format!("`spec{path}` of it is not of the expected form: left out, as if it were not there")
}
