//! What the core remembers from tick to tick. Plain data: a host checkpoints it and resumes with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::breaker::Breakers;
use crate::guard::behavior::History;
use crate::knowledge::Store;
use crate::snapshot::{PoolSnapshot, Snapshot};
use crate::state::States;

/// A pool or group that was not seen for a day is gone. A shorter absence, such as an API server
/// that does not answer, must not cost the policies their states.
const FORGOTTEN_AFTER_MS: u64 = 86_400_000;

/// Everything that one tick leaves for the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Memory {
    /// Learned values, shared by all pools.
    pub(crate) knowledge: Store,
    pub(crate) breakers: Breakers,
    /// By `namespace/name`.
    pub(crate) pools: BTreeMap<String, PoolMemory>,
    /// By the bound optimizer's name and its settings document.
    pub(crate) groups: BTreeMap<String, GroupMemory>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct PoolMemory {
    pub(crate) seen_ms: u64,
    /// One entry for each analyzer, in the order in which they are bound.
    pub(crate) analyzers: Vec<States>,
    /// By name.
    pub(crate) variants: BTreeMap<String, VariantMemory>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct VariantMemory {
    pub(crate) history: History,
    /// The last count that was published, with the desired count that was found then.
    pub(crate) published: Option<Published>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Published {
    pub(crate) found: u32,
    pub(crate) asked: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct GroupMemory {
    pub(crate) seen_ms: u64,
    pub(crate) states: States,
}

impl Memory {
    pub(crate) fn pool(&self, pool: &PoolSnapshot) -> Option<&PoolMemory> {
        self.pools.get(&key(pool))
    }

    pub(crate) fn pool_mut(&mut self, pool: &PoolSnapshot) -> &mut PoolMemory {
        self.pools.entry(key(pool)).or_default()
    }

    /// Lets go of what no longer concerns anybody.
    pub(crate) fn forget(&mut self, snapshot: &Snapshot) {
        let now_ms = snapshot.now_ms;
        for pool in &snapshot.pools {
            let memory = self.pool_mut(pool);
            memory.seen_ms = now_ms;
            let variants = &pool.pool.variants;
            memory
                .variants
                .retain(|name, _| variants.iter().any(|variant| variant.name == *name));
        }
        self.pools
            .retain(|_, pool| now_ms.saturating_sub(pool.seen_ms) < FORGOTTEN_AFTER_MS);
        self.groups
            .retain(|_, group| now_ms.saturating_sub(group.seen_ms) < FORGOTTEN_AFTER_MS);
        self.knowledge.forget(now_ms);
        self.breakers.forget(now_ms);
    }
}

/// A slash is allowed in neither name, so no two pools share a key.
fn key(pool: &PoolSnapshot) -> String {
    format!("{}/{}", pool.pool.namespace, pool.pool.name)
}

impl PoolMemory {
    pub(crate) fn variant_mut(&mut self, name: &str) -> &mut VariantMemory {
        if !self.variants.contains_key(name) {
            self.variants
                .insert(name.to_owned(), VariantMemory::default());
        }
        self.variants.entry(name.to_owned()).or_default()
    }
}
