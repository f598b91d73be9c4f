//! Which accelerator a variant's replicas run on.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::gpus::{self, UNRESOLVED};
use crate::index::node::Node;
use crate::index::{Index, device, target::Target};
use crate::objects::Labels;

/// The accelerators that there are, looked through once for many targets.
pub(crate) struct Accelerators<'a> {
    index: &'a Index,
    kinds: Vec<NodeKind>,
    /// The one kind of devices that there are to claim.
    devices: Option<String>,
}

/// Nodes that no target can tell from each other.
struct NodeKind {
    /// Those labels by which some target chooses.
    labels: Labels,
    /// Names of its accelerators by resource.
    accelerators: BTreeMap<String, String>,
}

impl<'a> Accelerators<'a> {
    pub(crate) fn new<'t>(index: &'a Index, targets: impl Iterator<Item = &'t Target>) -> Self {
        let mut keys = BTreeSet::new();
        let mut claiming = false;
        for target in targets {
            keys.extend(target.node_labels());
            claiming |= !target.claim_templates.is_empty();
        }
        let devices = || {
            let known = device::devices(index.slices.values()).known.into_values();
            let whole = known.filter(|device| device.card.is_none());
            only(whole.map(|device| device.accelerator).collect())
        };
        Self {
            index,
            kinds: kinds(index, &keys),
            devices: claiming.then(devices).flatten(),
        }
    }

    /// The accelerator of a target's replicas: what its pods may be placed on, if that is one kind;
    /// else what they were placed on; else what a label says; else what its node selector says,
    /// though no such node exists yet. A variant whose accelerator is none of these is not
    /// dropped: it is `unresolved`.
    pub(crate) fn of<'p>(
        &self,
        target: &Target,
        label: Option<&str>,
        placed_on: impl Iterator<Item = &'p str>,
    ) -> String {
        let label = label.or(target.accelerator.as_deref());
        if target.gpus.is_empty() && target.claim_templates.is_empty() {
            let named = label.or_else(|| target.selected_product());
            return named.unwrap_or(UNRESOLVED).to_owned();
        }
        let devices = || {
            let claims = !target.claim_templates.is_empty();
            self.devices.clone().filter(|_| claims)
        };
        self.candidate(target)
            .or_else(|| self.placed(target, placed_on))
            .or_else(|| label.map(|label| self.as_nodes_spell(label)))
            .or_else(devices)
            .or_else(|| target.selected_product().map(str::to_owned))
            .unwrap_or_else(|| UNRESOLVED.to_owned())
    }

    /// What all nodes have on which its pods may be placed.
    fn candidate(&self, target: &Target) -> Option<String> {
        let kinds = self.kinds.iter().filter(|kind| target.fits(&kind.labels));
        let asked = |kind: &'_ NodeKind| {
            let asked = target.gpus.keys();
            let names = asked.filter_map(|resource| kind.accelerators.get(resource).cloned());
            names.collect::<Vec<_>>()
        };
        only(kinds.flat_map(asked).collect())
    }

    /// What all nodes have on which its pods are.
    fn placed<'p>(&self, target: &Target, nodes: impl Iterator<Item = &'p str>) -> Option<String> {
        let mut names = BTreeSet::new();
        for node in nodes.filter_map(|name| self.index.nodes.get(name)) {
            let asked = target.gpus.keys();
            let there = asked.filter(|resource| node.allocatable.contains_key(*resource));
            names.extend(there.map(|resource| gpus::name(&node.labels, resource)));
        }
        only(names)
    }

    /// A short name such as `H100`, where just one accelerator's name has it as a part, is that.
    fn as_nodes_spell(&self, label: &str) -> String {
        let wanted = label.to_ascii_uppercase();
        let parts = |name: &&String| {
            let name = name.to_ascii_uppercase();
            name == wanted || name.split(['-', '_', ' ']).any(|part| part == wanted)
        };
        let all = self
            .kinds
            .iter()
            .flat_map(|kind| kind.accelerators.values());
        let named: BTreeSet<String> = all.filter(parts).cloned().collect();
        only(named).unwrap_or_else(|| label.to_owned())
    }
}

/// Nodes with accelerators, those as one that are the same by these labels.
fn kinds(index: &Index, keys: &BTreeSet<&str>) -> Vec<NodeKind> {
    let mut kinds = BTreeMap::new();
    let with_accelerators = |node: &&Node| !node.allocatable.is_empty();
    for node in index.nodes.values().filter(with_accelerators) {
        let chosen = keys.iter().map(|key| node.labels.get(*key));
        let chosen: Vec<Option<&String>> = chosen.collect();
        let resources: Vec<&String> = node.allocatable.keys().collect();
        let kind = (gpus::product(&node.labels), chosen, resources);
        kinds.entry(kind).or_insert(node);
    }
    let kinds = kinds.into_values();
    kinds.map(|node| NodeKind::of(node, keys)).collect()
}

impl NodeKind {
    fn of(node: &Node, keys: &BTreeSet<&str>) -> Self {
        let labels = node.labels.iter();
        let labels = labels.filter(|(key, _)| keys.contains(key.as_str()));
        let resources = node.allocatable.keys();
        Self {
            labels: labels
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            accelerators: resources
                .map(|resource| (resource.clone(), gpus::name(&node.labels, resource)))
                .collect(),
        }
    }
}

fn only(names: BTreeSet<String>) -> Option<String> {
    let mut names = names.into_iter();
    names.next().filter(|_| names.next().is_none())
}
