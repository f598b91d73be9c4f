//! GPUs by accelerator: what the nodes have, and what pods of anybody hold.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use trimtab_contract::Accelerator;

use crate::gpus;
use crate::index::device;
use crate::index::{Index, node::Node};

impl Index {
    /// Accelerators of ready, schedulable nodes; in the order of their names.
    pub(crate) fn inventory(&self) -> Vec<Accelerator> {
        let mut counts: BTreeMap<String, (u32, u32)> = BTreeMap::new();
        for node in self.usable_nodes() {
            for (resource, count) in &node.allocatable {
                let (total, _) = counts
                    .entry(gpus::name(&node.labels, resource))
                    .or_default();
                *total = total.saturating_add(*count);
            }
        }
        for pod in self.pods.values().flat_map(BTreeMap::values) {
            let node = pod.node.as_ref().filter(|_| pod.holds_gpus);
            let Some(node) = node.and_then(|name| self.nodes.get(name)) else {
                continue;
            };
            if !node.usable {
                continue;
            }
            for (resource, count) in &pod.gpus {
                let (_, used) = counts
                    .entry(gpus::name(&node.labels, resource))
                    .or_default();
                *used = used.saturating_add(*count);
            }
        }
        self.count_devices(&mut counts);
        counts
            .into_iter()
            .map(|(name, (total, used))| Accelerator {
                name,
                total,
                available: total.saturating_sub(used),
                quota: None,
            })
            .collect()
    }

    fn usable_nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(|node| node.usable)
    }

    fn count_devices(&self, counts: &mut BTreeMap<String, (u32, u32)>) {
        let mut known = device::devices(self.slices.values());
        known.retain(|_, device| {
            let node = device.node.as_ref();
            node.is_none_or(|name| self.nodes.get(name).is_some_and(|node| node.usable))
        });
        for device in known.values().filter(|device| device.card.is_none()) {
            let (total, _) = counts.entry(device.accelerator.clone()).or_default();
            *total = total.saturating_add(1);
        }
        // Several claims may share a device, or hold partitions of one card.
        let held = self.held.values().flatten();
        let held: BTreeSet<_> = held
            .filter_map(|key| known.get_key_value(key))
            .map(|(key, device)| device.card.as_ref().unwrap_or(key))
            .collect();
        for device in held.into_iter().filter_map(|key| known.get(key)) {
            let (_, used) = counts.entry(device.accelerator.clone()).or_default();
            *used = used.saturating_add(1);
        }
    }
}
