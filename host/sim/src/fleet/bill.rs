//! What the fleet costs: a replica from the moment that it holds its GPUs until it is gone.

use std::collections::BTreeMap;

use super::Fleet;

impl Fleet<'_> {
    /// Cost per hour of all replicas of a pool that hold GPUs now.
    pub(crate) fn cost_per_hour(&self, pool: usize) -> f64 {
        let holding = self
            .replicas
            .iter()
            .filter(|replica| replica.pool == pool && replica.holds_gpus());
        holding
            .filter_map(|replica| Some(self.variant_spec(replica)?.cost_per_hour))
            // The sum of nothing would be -0.
            .fold(0.0, |sum, cost| sum + cost)
    }

    /// Cost, and GPU hours by accelerator, of `0..until`.
    pub(crate) fn bill(&self, until: f64) -> (f64, BTreeMap<String, f64>) {
        let mut cost = 0.0;
        let mut gpu_hours: BTreeMap<String, f64> = BTreeMap::new();
        for replica in &self.replicas {
            let Some(variant) = self.variant_spec(replica) else {
                continue;
            };
            let hours = replica.held_seconds(until) / 3600.0;
            if hours > 0.0 {
                cost += hours * variant.cost_per_hour;
                let of_accelerator = gpu_hours.entry(variant.accelerator.clone()).or_default();
                *of_accelerator += hours * f64::from(variant.gpus_per_replica);
            }
        }
        (cost, gpu_hours)
    }
}
