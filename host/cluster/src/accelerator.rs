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
    /// Kinds of devices that there are to claim.
    devices: BTreeSet<String>,
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
            whole.map(|device| device.accelerator).collect()
        };
        Self {
            index,
            kinds: kinds(index, &keys),
            devices: claiming.then(devices).unwrap_or_default(),
        }
    }

    /// The accelerator of a target's replicas: what its pods may be placed on, if that is one kind;
    /// else what they were placed on; else what a label says; else what its node selector says,
    /// though no such node exists yet. A variant whose accelerator is none of these is not
    /// dropped: it is `unresolved`. So is one whose label is no one accelerator's name: what is
    /// free of it is not known, and not zero.
    pub(crate) fn of<'p>(
        &self,
        target: &Target,
        label: Option<&str>,
        placed_on: impl Iterator<Item = &'p str>,
        warnings: &mut Vec<String>,
    ) -> String {
        let label = label.or(target.accelerator.as_deref());
        if target.gpus.is_empty() && target.claim_templates.is_empty() {
            let named = label.or_else(|| target.selected_product());
            return named.unwrap_or(UNRESOLVED).to_owned();
        }
        let devices = || {
            let claims = !target.claim_templates.is_empty();
            claims.then(|| only(self.devices.clone())).flatten()
        };
        self.candidate(target)
            .or_else(|| self.placed(target, placed_on))
            .or_else(|| label.map(|label| self.as_spelt(label, warnings)))
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

    /// A short name such as `H100`, where just one accelerator's name has it as a part, is that. Where
    /// there are no accelerators at all, there is nothing to compare it with.
    fn as_spelt(&self, label: &str, warnings: &mut Vec<String>) -> String {
        let wanted = label.to_ascii_uppercase();
        let of_nodes = self
            .kinds
            .iter()
            .flat_map(|kind| kind.accelerators.values());
        let all: BTreeSet<&String> = of_nodes.chain(&self.devices).collect();
        let whole = |name: &&&String| name.eq_ignore_ascii_case(&wanted);
        if let Some(name) = all.iter().find(whole) {
            return (*name).clone();
        }
        let part = |name: &&String| {
            let name = name.to_ascii_uppercase();
            name.split(['-', '_', ' ']).any(|part| part == wanted)
        };
        let named: Vec<&str> = all
            .iter()
            .copied()
            .filter(part)
            .map(String::as_str)
            .collect();
        match named[..] {
            [name] => name.to_owned(),
            [] if all.is_empty() => label.to_owned(),
            [] => {
                warnings.push(format!(
                    "no node has an accelerator `{label}`, as its label says: give it the name \
                     that nodes have"
                ));
                UNRESOLVED.to_owned()
            }
            _ => {
                let named = named.join("`, `");
                warnings.push(format!(
                    "its label's accelerator `{label}` may be `{named}`: name one of them"
                ));
                UNRESOLVED.to_owned()
            }
        }
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
