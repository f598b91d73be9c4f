//! WVA's ConfigMaps, for those who move over: what they say in our own words, and for each key
//! whether it is honoured.
//!
//! Not taken over are WVA's traps: 0 and false can be set, a model's entry inherits what its
//! `default` says, priority 0 stays the lowest, and an entry that cannot be costs only itself.

mod entry;
mod priority;
mod process;
mod queueing;
mod report;
mod saturation;
mod scale_to_zero;
#[cfg(test)]
mod tests;
mod thresholds;

use std::collections::BTreeMap;

use self::entry::Entry;
pub(crate) use self::report::{Line, Verdict};
use super::config::{PoolEntry, Setting};

/// A ConfigMap's `data`.
pub(crate) type Data = BTreeMap<String, String>;

/// The ConfigMaps that a namespace may have, the system's own or any other. Empty: there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NamespaceMaps {
    /// `wva-saturation-scaling-config`.
    pub(crate) saturation: Data,
    /// `wva-model-scale-to-zero-config`.
    pub(crate) scale_to_zero: Data,
    /// `wva-queueing-model-config`.
    pub(crate) queueing: Data,
}

/// All of WVA's ConfigMaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConfigMaps {
    /// `wva-variantautoscaling-config`, which only the system's namespace has.
    pub(crate) process: Data,
    /// Those of the system's namespace.
    pub(crate) global: NamespaceMaps,
    /// Those of other namespaces, by its name.
    pub(crate) local: BTreeMap<String, NamespaceMaps>,
    /// Those that do not count, with their namespaces, and why.
    pub(crate) left_out: Vec<(Map, String, String)>,
}

/// What WVA's ConfigMaps say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Translation {
    /// The weakest layer of the configuration.
    pub(crate) settings: Vec<Setting>,
    /// Entries over the configuration's defaults, below its own `pools`.
    pub(crate) pools: Vec<PoolEntry>,
    /// A line for each key.
    pub(crate) report: Vec<Line>,
}

/// Which of the maps an entry is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Map {
    Process,
    Saturation,
    ScaleToZero,
    Queueing,
}

impl Map {
    pub(crate) const ALL: [Self; 4] = [
        Self::Process,
        Self::Saturation,
        Self::ScaleToZero,
        Self::Queueing,
    ];

    /// Its name in Kubernetes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Process => "wva-variantautoscaling-config",
            Self::Saturation => "wva-saturation-scaling-config",
            Self::ScaleToZero => "wva-model-scale-to-zero-config",
            Self::Queueing => "wva-queueing-model-config",
        }
    }
}

impl ConfigMaps {
    /// `built_in` says whether the analyzer is the built-in one: WVA's thresholds are settings of
    /// it, and of no other.
    #[must_use]
    pub(crate) fn translate(&self, built_in: bool) -> Translation {
        let mut out = Translation::default();
        process::read(&self.process, &mut out);
        for (map, namespace, why) in &self.left_out {
            out.report.push(Line {
                map: *map,
                namespace: Some(namespace.clone()),
                entry: String::new(),
                key: None,
                verdict: Verdict::ignored(why.clone()),
            });
        }
        let entries = self.entries(&mut out.report);
        let ranks = priority::Ranks::of(&entries);
        out.pools.extend(ranks.default_entry());
        let mut thresholds = thresholds::Inherited::default();
        for entry in &entries {
            let mut pool = PoolEntry {
                namespace: entry.scope.namespace.clone(),
                model: entry.scope.model.clone(),
                ..PoolEntry::default()
            };
            for (key, value) in &entry.fields {
                let verdict = match entry.map {
                    Map::Saturation => saturation::key(entry, key, value, built_in, &mut pool),
                    Map::ScaleToZero => scale_to_zero::key(key, value, &mut pool),
                    Map::Queueing => queueing::key(key, value, built_in, &mut pool),
                    // Its keys are no entries.
                    Map::Process => continue,
                };
                out.report.push(entry.line(key, verdict));
            }
            if let Some(rank) = ranks.rank(entry) {
                pool.objective.priority = Some(rank);
            }
            if entry.map == Map::Saturation {
                saturation::inventory(entry, &mut out.settings);
                thresholds.check(entry, &mut pool, &mut out.report);
            }
            out.pools.push(pool);
        }
        out
    }

    /// The weakest first: of the whole cluster, of a namespace; in each the defaults, then models.
    fn entries(&self, report: &mut Vec<Line>) -> Vec<Entry> {
        let global = std::iter::once((None, &self.global));
        let local = self
            .local
            .iter()
            .map(|(name, maps)| (Some(name.as_str()), maps));
        let mut entries = Vec::new();
        for (namespace, maps) in global.chain(local) {
            let of_scope = [
                (Map::Saturation, &maps.saturation),
                (Map::ScaleToZero, &maps.scale_to_zero),
                (Map::Queueing, &maps.queueing),
            ];
            let mut found = Vec::new();
            for (map, data) in of_scope {
                found.extend(entry::read(map, namespace, data, report));
            }
            found.sort_by_key(|entry: &Entry| entry.scope.model.is_some());
            entries.append(&mut found);
        }
        entries
    }
}
