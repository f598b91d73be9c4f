//! What the core remembers from tick to tick. Plain data: a host checkpoints it and resumes with it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::breaker::{Asked, Breakers};
use crate::experiment::{self, Report};
use crate::guard::behavior::History;
use crate::knowledge::Store;
use crate::policies::Version;
use crate::probation::Probations;
use crate::shadow::{self, Tally};
use crate::snapshot::{PoolSnapshot, Snapshot};
use crate::state::States;

/// A pool or group that was not seen for a day is gone. A shorter absence, such as an API server
/// that does not answer, must not cost the policies their states.
const FORGOTTEN_AFTER_MS: u64 = 86_400_000;

/// A variant that was in another pool within this time is the same one; later it is another of its
/// name.
const SAME_WITHIN_MS: u64 = 3_600_000;

/// Everything that one tick leaves for the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Memory {
    /// Learned values, shared by all pools.
    pub(crate) knowledge: Store,
    pub(crate) breakers: Breakers,
    pub(crate) probations: Probations,
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
    /// Since when requests wait at the endpoint picker while no replica has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) undispatched_since_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) experiment: Option<experiment::Record>,
    /// By the candidate's name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) shadows: BTreeMap<String, shadow::Kept>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct VariantMemory {
    pub(crate) history: History,
    /// The last count that was published.
    pub(crate) published: Option<Published>,
    /// Whether it was compared with what is recorded since it was loaded.
    #[serde(skip)]
    settled: bool,
}

/// What the objects say was last asked for, and given to whoever scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub replicas: u32,
    /// Instant of the tick that asked, in milliseconds since the Unix epoch; 0 where it is unknown.
    pub at_ms: u64,
}

/// What was asked for, and the counts that may be found set while that is being acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Published {
    pub(crate) asked: u32,
    lowest: u32,
    highest: u32,
    /// The count that was found set in this tick, where that is another than the desired one.
    #[serde(skip)]
    set: Option<u32>,
}

impl Published {
    /// `set` was found, `before` had been asked for, now `asked` is.
    fn new(set: u32, before: u32, asked: u32) -> Self {
        Self {
            asked,
            lowest: set.min(before).min(asked),
            highest: set.max(before).max(asked),
            set: None,
        }
    }

    /// What stands after a tick that found `previous` desired and asks for `asked`.
    pub(crate) fn next(kept: Option<Self>, previous: u32, asked: u32) -> Self {
        let set = kept.and_then(|kept| kept.set).unwrap_or(previous);
        Self::new(set, previous, asked)
    }

    /// Whether a count is one that an autoscaler passes on its way.
    pub(crate) fn is_on_its_way(&self, set: u32) -> bool {
        (self.lowest..=self.highest).contains(&set)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct GroupMemory {
    pub(crate) seen_ms: u64,
    pub(crate) states: States,
}

impl Memory {
    /// The same in parts, for whoever keeps it in pieces of bounded size: the first has what all
    /// pools share, each of the others some pools, always the same ones for the same number of
    /// parts; of twice as many parts a pool is in the same one as before, or in a new one.
    /// [`Self::absorb`] puts them together again, in any order.
    #[must_use]
    pub fn split(&self, parts: usize) -> Vec<Self> {
        let shared = Self {
            pools: BTreeMap::new(),
            ..self.clone()
        };
        let mut of_pools = vec![Self::default(); parts.max(1)];
        let count = of_pools.len() as u64;
        for (key, pool) in &self.pools {
            let place = (fnv(key) % count) as usize;
            if let Some(part) = of_pools.get_mut(place) {
                part.pools.insert(key.clone(), pool.clone());
            }
        }
        std::iter::once(shared).chain(of_pools).collect()
    }

    /// Takes up a part. Of a pool that is in both, as when a process died while it kept its memory,
    /// the one that was seen later stays.
    pub fn absorb(&mut self, part: Self) {
        self.knowledge.absorb(part.knowledge);
        self.breakers.absorb(part.breakers);
        self.probations.absorb(part.probations);
        self.groups.extend(part.groups);
        for (key, pool) in part.pools {
            let known = self.pools.get(&key);
            if known.is_none_or(|known| known.seen_ms <= pool.seen_ms) {
                self.pools.insert(key, pool);
            }
        }
    }

    /// What another memory begins with that knows what is known of a model, and nothing else.
    pub(crate) fn knowing_of(&self, model: &str) -> Self {
        Self {
            knowledge: self.knowledge.only(model),
            ..Self::default()
        }
    }

    /// Counts what became of the policies that were called.
    pub(crate) fn record(&mut self, asked: &[Asked], now_ms: u64) {
        self.breakers.record(asked, now_ms);
        self.probations.record(asked, now_ms);
    }

    /// Versions of policies of which an answer was accepted.
    #[must_use]
    pub fn good(&self) -> BTreeSet<Version> {
        self.probations.good()
    }

    /// Versions of policies that faulted three times in their first ten calls, with whatever settings.
    #[must_use]
    pub fn failed(&self) -> BTreeSet<Version> {
        self.probations.failed()
    }

    /// How a pool's experiment stands; `None` where it has none.
    #[must_use]
    pub fn experiment(&self, namespace: &str, pool: &str) -> Option<Report> {
        let of_pool = self.pools.get(&format!("{namespace}/{pool}"))?;
        Some(of_pool.experiment.as_ref()?.report())
    }

    /// How each candidate of a pool has compared so far, by name.
    pub fn shadows<'a>(
        &'a self,
        namespace: &str,
        pool: &str,
    ) -> impl Iterator<Item = (&'a str, &'a Tally)> {
        let of_pool = self.pools.get(&format!("{namespace}/{pool}"));
        let kept = of_pool.into_iter().flat_map(|of| &of.shadows);
        kept.map(|(name, kept)| (name.as_str(), &kept.tally))
    }

    /// Puts what was last asked for into a snapshot whose `desired-replicas` are the counts that
    /// are set, which lag behind: an autoscaler acts when it likes, or not at all. A count that lies
    /// between what was set and what was asked for is on its way; another was set by somebody else,
    /// and decisions start from it. `recorded` tells, for a pool and a variant by position, what was
    /// asked for by whoever came before, where this memory does not know it: a leader may have died
    /// after it asked and before that was kept. Where nothing at all was kept, a record only raises.
    pub fn settle(
        &mut self,
        snapshot: &mut Snapshot,
        recorded: impl Fn(usize, usize) -> Option<Recorded>,
    ) {
        self.follow_moves(snapshot);
        for (position, pool) in snapshot.pools.iter_mut().enumerate() {
            let memory = self.pools.entry(key(pool)).or_default();
            for (number, variant) in pool.pool.variants.iter_mut().enumerate() {
                let set = variant.desired_replicas;
                let kept_ms = memory.seen_ms;
                let kept = memory.variant_mut(&variant.name);
                let is_newer = |of: &Recorded| !kept.settled && of.at_ms > kept_ms;
                let recorded = recorded(position, number)
                    .filter(|of| match kept.published {
                        Some(_) => is_newer(of),
                        // How old it is nobody knows: whoever set more since then meant it.
                        None => of.replicas > set,
                    })
                    .map(|of| Published::new(set, of.replicas, of.replicas));
                kept.settled = true;
                let Some(published) = recorded.or(kept.published) else {
                    continue;
                };
                if published.is_on_its_way(set) {
                    variant.desired_replicas = published.asked;
                }
                kept.published = Some(Published {
                    set: Some(set),
                    ..published
                });
            }
        }
    }

    /// Takes note that this many replicas of a variant were asked for between two ticks, where that is
    /// more than before.
    pub fn raise(&mut self, namespace: &str, pool: &str, variant: &str, asked: u32) {
        let pool = self.pools.entry(format!("{namespace}/{pool}")).or_default();
        let kept = pool.variant_mut(variant);
        let before = kept.published.map_or(0, |published| published.asked);
        if asked > before {
            kept.published = Some(Published::new(before, before, asked));
        }
    }

    /// Variants keep what was asked for when the pool around them gets another name, as when an
    /// InferencePool is made for them, and when they come to another pool. A pool that only changed
    /// its name keeps its policies' states too.
    fn follow_moves(&mut self, snapshot: &Snapshot) {
        let is_known = |pool: &PoolSnapshot| {
            let known = self.pool(pool);
            let mut variants = pool.pool.variants.iter();
            known.is_some_and(|known| variants.all(|of| known.variants.contains_key(&of.name)))
        };
        if snapshot.pools.iter().all(is_known) {
            return;
        }
        let mut present: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for pool in &snapshot.pools {
            let names = pool.pool.variants.iter().map(|of| of.name.as_str());
            present.entry(key(pool)).or_default().extend(names);
        }
        for pool in &snapshot.pools {
            let here = key(pool);
            for variant in &pool.pool.variants {
                let name = variant.name.as_str();
                let known = self.pools.get(&here);
                if known.is_some_and(|known| known.variants.contains_key(name)) {
                    continue;
                }
                let namespace = format!("{}/", pool.pool.namespace);
                let former = self.pools.range(namespace.clone()..);
                let former = former
                    .take_while(|(key, _)| key.starts_with(&namespace))
                    .filter(|(_, memory)| memory.variants.contains_key(name))
                    .filter(|(_, memory)| {
                        snapshot.now_ms.saturating_sub(memory.seen_ms) < SAME_WITHIN_MS
                    })
                    .filter(|(key, _)| !present.get(*key).is_some_and(|of| of.contains(name)))
                    .max_by_key(|(_, memory)| memory.seen_ms)
                    .map(|(key, _)| key.clone());
                if let Some(former) = former {
                    self.move_variant(name, &former, &here, present.contains_key(&former));
                }
            }
        }
    }

    fn move_variant(&mut self, name: &str, former: &str, here: &str, former_stays: bool) {
        if !former_stays && !self.pools.contains_key(here) {
            let memory = self.pools.remove(former).unwrap_or_default();
            self.pools.insert(here.to_owned(), memory);
            return;
        }
        let left = self.pools.get_mut(former);
        let Some(variant) = left.and_then(|left| left.variants.remove(name)) else {
            return;
        };
        let memory = self.pools.entry(here.to_owned()).or_default();
        memory.variants.insert(name.to_owned(), variant);
    }

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
        self.probations.forget(now_ms);
    }
}

/// A slash is allowed in neither name, so no two pools share a key.
fn key(pool: &PoolSnapshot) -> String {
    format!("{}/{}", pool.pool.namespace, pool.pool.name)
}

/// FNV-1a with 64 bits: the same in every process and version.
pub(crate) fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
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
