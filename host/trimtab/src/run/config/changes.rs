//! What another configuration changes, and what of it can be taken over while running.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Config, PoolEntry};

/// Keys that are read anew for each cycle or each line of the log. A key stands for all below it.
const RELOADED: [&str; 9] = [
    "objective",
    "pools",
    "scaleToZero",
    "budgetPerHour",
    "mode",
    "actuation",
    "policies.analyzer.settings",
    "policies.optimizer.settings",
    "logging.level",
];

/// Keys whose values are different.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Taken over at the next cycle.
    pub(crate) reloaded: Vec<String>,
    /// Taken over when the process starts again.
    pub(crate) restart: Vec<String>,
}

impl Config {
    /// What is different in `new`.
    #[must_use]
    pub(crate) fn changes(&self, new: &Self) -> Changes {
        let mut keys = Vec::new();
        differences("", &document(self), &document(new), &mut keys);
        let (policies, others) = (&self.policies, &new.policies);
        let policies = [
            ("policies.analyzer.", &policies.analyzer, &others.analyzer),
            (
                "policies.optimizer.",
                &policies.optimizer,
                &others.optimizer,
            ),
        ];
        // Settings wait with the policy that they are for.
        let waits = |key: &str| {
            let mut others = policies
                .iter()
                .filter(|(_, old, new)| old.policy != new.policy);
            others.any(|(path, ..)| key.starts_with(path))
        };
        let (reloaded, restart) = keys
            .into_iter()
            .partition(|key| is_reloaded(key) && !waits(key));
        Changes { reloaded, restart }
    }

    /// The settings that these pools have now.
    fn analyzer_settings_of(&self, entry: &PoolEntry) -> Map<String, Value> {
        let place = |of: &PoolEntry| (of.namespace.clone(), of.pool.clone(), of.model.clone());
        let mut same = self.pools.iter().filter(|of| place(of) == place(entry));
        let settings = same.next().map(|of| of.analyzer_settings.clone());
        settings.unwrap_or_default()
    }

    /// This configuration with what can be taken over of `new`.
    #[must_use]
    pub(crate) fn reloaded(&self, new: &Self) -> Self {
        let mut next = self.clone();
        next.objective = new.objective.clone();
        next.pools = new.pools.clone();
        next.scale_to_zero = new.scale_to_zero.clone();
        next.budget_per_hour = new.budget_per_hour;
        next.mode = new.mode;
        next.actuation = new.actuation;
        // Settings are for the policy that is named beside them.
        let (policies, others) = (&mut next.policies, &new.policies);
        if policies.optimizer.policy == others.optimizer.policy {
            policies.optimizer.settings = others.optimizer.settings.clone();
        }
        if policies.analyzer.policy == others.analyzer.policy {
            policies.analyzer.settings = others.analyzer.settings.clone();
        } else {
            for entry in &mut next.pools {
                entry.analyzer_settings = self.analyzer_settings_of(entry);
            }
        }
        next.logging.level = new.logging.level.clone();
        next
    }
}

fn is_reloaded(key: &str) -> bool {
    RELOADED.iter().any(|reloaded| {
        let below = key.strip_prefix(reloaded);
        below.is_some_and(|below| below.is_empty() || below.starts_with('.'))
    })
}

fn document(config: &Config) -> Value {
    // The struct holds nothing that JSON has no word for.
    serde_json::to_value(config).unwrap_or_default()
}

/// Paths of the keys whose values differ.
fn differences(path: &str, old: &Value, new: &Value, keys: &mut Vec<String>) {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        if old != new {
            keys.push(path.to_owned());
        }
        return;
    };
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let inner = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        let of = |map: &Map<String, Value>| map.get(name).cloned().unwrap_or_default();
        differences(&inner, &of(old), &of(new), keys);
    }
}
