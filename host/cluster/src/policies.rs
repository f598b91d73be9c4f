//! What ScalingPolicies and PoolPolicies say, and which PoolPolicy holds for which pool.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use trimtab_core::fleet::FleetPool;

use crate::crd::policy::{ScalingPolicySpec, ScalingPolicyStatus};
use crate::crd::pool_policy::{PoolPolicySpec, PoolPolicyStatus};
use crate::index::Key;
use crate::objects::{Labels, millis};

/// An object as it was last seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<S, T> {
    pub uid: String,
    pub generation: i64,
    /// Milliseconds since the Unix epoch.
    pub created_ms: u64,
    pub(crate) labels: Labels,
    /// Or why it cannot be read.
    pub spec: Result<S, String>,
    pub recorded: T,
}

/// A ScalingPolicy.
pub type StoredPolicy = Stored<ScalingPolicySpec, ScalingPolicyStatus>;
/// A PoolPolicy.
pub type StoredPoolPolicy = Stored<PoolPolicySpec, PoolPolicyStatus>;

/// The policies of a cluster, by namespace and name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyView {
    pub policies: BTreeMap<Key, Arc<StoredPolicy>>,
    pub pool_policies: BTreeMap<Key, Arc<StoredPoolPolicy>>,
    /// What became of each PoolPolicy.
    pub verdicts: BTreeMap<Key, Verdict>,
    /// The PoolPolicy of each pool that has one, by the pool's namespace and name.
    pub holders: BTreeMap<Key, Key>,
}

/// What a PoolPolicy holds for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Holds {
        /// Names of the pools.
        pools: Vec<String>,
        /// Names of younger ones that say they are for the same.
        contested_by: Vec<String>,
    },
    /// Another one is older; its name.
    Conflict(String),
    /// There is no pool that it is for.
    NoPool,
    Invalid(String),
}

impl<S, T: Default> Stored<S, T> {
    /// One of which nothing else is known.
    #[must_use]
    pub fn of(generation: i64, spec: Result<S, String>) -> Self {
        let metadata = ObjectMeta {
            generation: Some(generation),
            ..ObjectMeta::default()
        };
        Self::new(&metadata, spec, T::default())
    }
}

impl<S, T> Stored<S, T> {
    pub(crate) fn new(metadata: &ObjectMeta, spec: Result<S, String>, recorded: T) -> Self {
        Self {
            uid: metadata.uid.clone().unwrap_or_default(),
            generation: metadata.generation.unwrap_or_default(),
            created_ms: metadata.creation_timestamp.as_ref().map_or(0, millis),
            labels: metadata.labels.clone().unwrap_or_default(),
            spec,
            recorded,
        }
    }
}

impl PolicyView {
    /// Finds which of `pool_policies` holds for each of `pools`. An InferencePool that no PoolPolicy
    /// names, and a pool that is none, has the namespace's default. Of several for one the oldest
    /// holds, and of equally old ones the first by name.
    pub(crate) fn new<'a>(
        policies: BTreeMap<Key, Arc<StoredPolicy>>,
        pool_policies: BTreeMap<Key, Arc<StoredPoolPolicy>>,
        pools: impl Iterator<Item = &'a FleetPool>,
    ) -> Self {
        let mut verdicts = BTreeMap::new();
        let mut places: BTreeMap<Place, Vec<(u64, Key)>> = BTreeMap::new();
        for (key, object) in &pool_policies {
            match &object.spec {
                Ok(spec) => {
                    let pool = spec.pool_ref.as_ref().map(|pool| pool.name.clone());
                    let of_place = places.entry((key.0.clone(), pool)).or_default();
                    of_place.push((object.created_ms, key.clone()));
                }
                Err(why) => {
                    verdicts.insert(key.clone(), Verdict::Invalid(why.clone()));
                }
            }
        }
        let mut winners: BTreeMap<Place, Key> = BTreeMap::new();
        for (place, mut rivals) in places {
            rivals.sort();
            let mut rivals = rivals.into_iter().map(|(_, key)| key);
            let Some(winner) = rivals.next() else {
                continue;
            };
            let rivals: Vec<Key> = rivals.collect();
            let lost = |key: &Key| (key.clone(), Verdict::Conflict(winner.1.clone()));
            verdicts.extend(rivals.iter().map(lost));
            let holds = Verdict::Holds {
                pools: Vec::new(),
                contested_by: rivals.into_iter().map(|(_, name)| name).collect(),
            };
            verdicts.insert(winner.clone(), holds);
            winners.insert(place, winner);
        }
        let mut holders = BTreeMap::new();
        for pool in pools {
            let found = winner(&winners, pool);
            let Some((key, verdict)) = found.and_then(|key| Some((key, verdicts.get_mut(key)?)))
            else {
                continue;
            };
            let name = pool.pool.name.clone();
            if let Verdict::Holds { pools, .. } = verdict {
                pools.push(name.clone());
            }
            holders.insert((pool.pool.namespace.clone(), name), key.clone());
        }
        for verdict in verdicts.values_mut() {
            if matches!(verdict, Verdict::Holds { pools, .. } if pools.is_empty()) {
                *verdict = Verdict::NoPool;
            }
        }
        Self {
            policies,
            pool_policies,
            verdicts,
            holders,
        }
    }

    /// The PoolPolicy that holds for a pool.
    #[must_use]
    pub fn of_pool(&self, pool: &FleetPool) -> Option<(&Key, &PoolPolicySpec)> {
        let of = (pool.pool.namespace.clone(), pool.pool.name.clone());
        let key = self.holders.get(&of)?;
        let object = self.pool_policies.get(key)?;
        Some((key, object.spec.as_ref().ok()?))
    }

    /// The ScalingPolicy that a name means in a namespace: one that is there, else one of `shared`,
    /// the operator's own.
    #[must_use]
    pub fn policy_key(&self, namespace: &str, name: &str, shared: &str) -> Key {
        let own = (namespace.to_owned(), name.to_owned());
        let shared = (shared.to_owned(), name.to_owned());
        if !self.policies.contains_key(&own) && self.policies.contains_key(&shared) {
            return shared;
        }
        own
    }
}

/// A namespace, and an InferencePool in it or all the others.
type Place = (String, Option<String>);

fn winner<'a>(winners: &'a BTreeMap<Place, Key>, pool: &FleetPool) -> Option<&'a Key> {
    let namespace = pool.pool.namespace.clone();
    let of_pool = pool.picker.is_some().then(|| pool.pool.name.clone());
    let own = of_pool.and_then(|name| winners.get(&(namespace.clone(), Some(name))));
    own.or_else(|| winners.get(&(namespace, None)))
}
