//! Who else asks for a workload: two that ask for the same replicas would undo each other's counts.

use std::collections::BTreeMap;

use crate::index::Index;
use crate::index::claim::{Claimant, TargetKey};

/// Claimed targets of which one wraps the other.
pub(super) struct Rivals<'a> {
    index: &'a Index,
    /// By each of the two, the other.
    nested: BTreeMap<&'a TargetKey, Vec<&'a TargetKey>>,
}

impl<'a> Rivals<'a> {
    pub(super) fn new(index: &'a Index) -> Self {
        let mut nested: BTreeMap<&TargetKey, Vec<&TargetKey>> = BTreeMap::new();
        for inner in index.claimants.keys() {
            for owner in index.and_owners(inner.clone()).skip(1) {
                if let Some((outer, _)) = index.claimants.get_key_value(&owner) {
                    nested.entry(inner).or_default().push(outer);
                    nested.entry(outer).or_default().push(inner);
                }
            }
        }
        Self { index, nested }
    }

    /// What keeps this claimant from being served, if anything does. Claims of other instances count
    /// too: both would be told to the same workload.
    pub(super) fn of(&self, claimant: &Claimant, target: &TargetKey) -> Option<String> {
        let stands_back = |of: &Claimant| self.index.is_registered(of);
        let alike = stands_back(claimant);
        let on = |target: &TargetKey| -> Vec<String> {
            let all = self.index.claimants.get(target).into_iter().flatten();
            let others = all.filter(|of| *of != claimant && !self.index.is_excluded(of));
            let others = others.filter(|of| alike || !stands_back(of));
            others.map(ToString::to_string).collect()
        };
        let mut told = Vec::new();
        let others = on(target);
        if !others.is_empty() {
            told.push(format!("is claimed by {} too", others.join(" and ")));
        }
        for nested in self.nested.get(target).into_iter().flatten() {
            let others = on(nested);
            if !others.is_empty() {
                let others = others.join(" and ");
                told.push(format!(
                    "has replicas in common with {nested}, which {others} claims"
                ));
            }
        }
        (!told.is_empty()).then(|| format!("{target} {}: keep one of them", told.join(" and ")))
    }
}
