//! GPUs by accelerator: what the nodes have, and what pods of anybody hold.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use trimtab_contract::Accelerator;

use crate::gpus;
use crate::index::device;
use crate::index::{Index, node::Node};

/// Accelerators of one name on one node.
#[derive(Clone, Copy, Default)]
struct Counted {
    /// Given out by a device plugin.
    allocatable: u32,
    /// Given out by claims.
    devices: u32,
    used: u32,
}

/// By node, empty where there is none, and name.
type ByNode<'a> = BTreeMap<(&'a str, String), Counted>;

impl Index {
    /// Accelerators of ready, schedulable nodes; in the order of their names.
    ///
    /// # Errors
    /// Why they are not known: a driver has not told of all devices of such a node yet.
    pub(crate) fn inventory(&self) -> Result<Vec<Accelerator>, String> {
        let mut counts = ByNode::new();
        self.count_allocatable(&mut counts);
        self.count_pods(&mut counts);
        self.count_devices(&mut counts)?;
        let mut sums: BTreeMap<String, (u32, u32)> = BTreeMap::new();
        for ((_, name), counted) in counts {
            // A plugin and a driver on one node give out the same cards.
            let here = counted.allocatable.max(counted.devices);
            let (total, available) = sums.entry(name).or_default();
            *total = total.saturating_add(here);
            *available = available.saturating_add(here.saturating_sub(counted.used));
        }
        let sums = sums.into_iter();
        let accelerators = sums.map(|(name, (total, available))| Accelerator {
            name,
            total,
            available,
            quota: None,
        });
        Ok(accelerators.collect())
    }

    fn usable_node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name).filter(|node| node.usable)
    }

    fn count_allocatable<'a>(&'a self, counts: &mut ByNode<'a>) {
        for (name, node) in self.nodes.iter().filter(|(_, node)| node.usable) {
            for (resource, count) in &node.allocatable {
                let key = (name.as_str(), gpus::name(&node.labels, resource));
                let counted = counts.entry(key).or_default();
                counted.allocatable = counted.allocatable.saturating_add(*count);
            }
        }
    }

    fn count_pods<'a>(&'a self, counts: &mut ByNode<'a>) {
        for pod in self.pods.values().flat_map(BTreeMap::values) {
            let name = pod.node.as_deref().filter(|_| pod.holds_gpus);
            let Some((name, node)) = name.and_then(|name| Some((name, self.usable_node(name)?)))
            else {
                continue;
            };
            // What no plugin gives out, a pod has by a claim, which is counted by itself.
            let given_out = |resource: &String| node.allocatable.contains_key(resource);
            for (resource, count) in pod.gpus.iter().filter(|(of, _)| given_out(of)) {
                let key = (name, gpus::name(&node.labels, resource));
                let counted = counts.entry(key).or_default();
                counted.used = counted.used.saturating_add(*count);
            }
        }
    }

    fn count_devices<'a>(&'a self, counts: &mut ByNode<'a>) -> Result<(), String> {
        let usable = |node: Option<&str>| node.is_none_or(|name| self.usable_node(name).is_some());
        let devices = device::devices(self.slices.values());
        if let Some(of) = devices.untold.iter().find(|of| usable(of.node)) {
            let (driver, pool) = (of.driver, of.pool);
            return Err(format!(
                "driver `{driver}` has not published all ResourceSlices of its pool `{pool}`"
            ));
        }
        let mut known = devices.known;
        known.retain(|_, device| usable(device.node));
        let key = |device: &device::Known<'a>| {
            let node = device.node.unwrap_or_default();
            (node, device.accelerator.clone())
        };
        for device in known.values().filter(|device| device.card.is_none()) {
            let counted = counts.entry(key(device)).or_default();
            counted.devices = counted.devices.saturating_add(1);
        }
        // Several claims may share a device, or hold partitions of one card.
        let held = self.held.values().flatten();
        let held: BTreeSet<_> = held
            .filter_map(|key| known.get_key_value(key))
            .map(|(key, device)| device.card.as_ref().unwrap_or(key))
            .collect();
        for device in held.into_iter().filter_map(|key| known.get(key)) {
            let counted = counts.entry(key(device)).or_default();
            counted.used = counted.used.saturating_add(1);
        }
        Ok(())
    }
}
