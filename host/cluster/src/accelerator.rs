//! Which accelerator a variant's replicas run on.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::gpus::UNRESOLVED;
use crate::index::device;
use crate::index::{Index, target::Target};

impl Index {
    /// The accelerator of a target's replicas: what its pods may be placed on, if that is one kind;
    /// else what they were placed on; else what a label says; else what its node selector says,
    /// though no such node exists yet. A variant whose accelerator is none of these is not
    /// dropped: it is `unresolved`.
    pub(crate) fn accelerator<'a>(
        &self,
        target: &Target,
        label: Option<&str>,
        placed_on: impl Iterator<Item = &'a str>,
    ) -> String {
        let label = label.or(target.accelerator.as_deref());
        if target.gpus.is_empty() && target.claim_templates.is_empty() {
            let named = label.or_else(|| target.selected_product());
            return named.unwrap_or(UNRESOLVED).to_owned();
        }
        let nodes = self.nodes.values().filter(|node| target.fits(&node.labels));
        let candidates = nodes.flat_map(|node| self.of_node(node, target)).collect();
        let nodes = placed_on.filter_map(|name| self.nodes.get(name));
        let placed = || nodes.flat_map(|node| self.of_node(node, target)).collect();
        only(candidates)
            .or_else(|| only(placed()))
            .or_else(|| label.map(|label| self.as_nodes_spell(label)))
            .or_else(|| self.of_devices(target))
            .or_else(|| target.selected_product().map(str::to_owned))
            .unwrap_or_else(|| UNRESOLVED.to_owned())
    }

    /// Accelerators of a node that the target asks for.
    fn of_node(&self, node: &crate::index::node::Node, target: &Target) -> Vec<String> {
        let asked = target.gpus.keys();
        asked
            .filter(|resource| node.allocatable.contains_key(*resource))
            .map(|resource| crate::gpus::name(&node.labels, resource))
            .collect()
    }

    /// Where all devices of the cluster are of one kind, claims are for that.
    fn of_devices(&self, target: &Target) -> Option<String> {
        if target.claim_templates.is_empty() {
            return None;
        }
        let known = device::devices(self.slices.values());
        only(
            known
                .into_values()
                .filter(|device| device.card.is_none())
                .map(|device| device.accelerator)
                .collect(),
        )
    }

    /// A short name such as `H100`, where just one accelerator's name has it as a part, is that.
    fn as_nodes_spell(&self, label: &str) -> String {
        let wanted = label.to_ascii_uppercase();
        let parts = |name: &str| {
            let name = name.to_ascii_uppercase();
            name == wanted || name.split(['-', '_', ' ']).any(|part| part == wanted)
        };
        let all = self.nodes.values().flat_map(|node| node.accelerators());
        let named: BTreeSet<String> = all.filter(|name| parts(name)).collect();
        only(named).unwrap_or_else(|| label.to_owned())
    }
}

fn only(names: BTreeSet<String>) -> Option<String> {
    let mut names = names.into_iter();
    names.next().filter(|_| names.next().is_none())
}
