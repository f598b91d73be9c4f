//! What of a cluster is looked at, and what holds where its objects say nothing.

use std::collections::BTreeMap;

use trimtab_contract::Objective;
use trimtab_core::snapshot::PoolRules;

/// Rules for pools, and the part of the cluster that this operator is for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Only objects labelled with it are taken; `None` takes all.
    pub controller_instance: Option<String>,
    /// Labels that a node must have for its accelerators to count.
    pub node_selector: BTreeMap<String, String>,
    /// Where no override fits.
    pub defaults: PoolSettings,
    /// The last that fits a pool counts, as a whole.
    pub overrides: Vec<Override>,
}

/// What the operator sets for a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSettings {
    pub objective: Objective,
    pub rules: PoolRules,
}

/// Settings for some pools.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// Any namespace where `None`; so for the others.
    pub namespace: Option<String>,
    pub pool: Option<String>,
    pub model: Option<String>,
    pub settings: PoolSettings,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            objective: Objective {
                ttft: None,
                itl: None,
                throughput: None,
                percentile: 0.95,
                priority: 1,
            },
            rules: PoolRules::default(),
        }
    }
}

impl Config {
    pub(crate) fn of_pool(&self, namespace: &str, pool: &str, model: &str) -> &PoolSettings {
        let fits = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        let mut overrides = self.overrides.iter().rev();
        let found = overrides.find(|of| {
            fits(&of.namespace, namespace) && fits(&of.pool, pool) && fits(&of.model, model)
        });
        found.map_or(&self.defaults, |found| &found.settings)
    }
}
