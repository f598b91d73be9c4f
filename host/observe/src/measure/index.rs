//! Which pool, replica and pod a series is of. Names count only within their namespace.

use std::collections::HashMap;

use trimtab_core::fleet::FleetPool;

use crate::answer::Labels;

/// Position of a pod among pools, its pool's replicas, and its replica's pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) pool: usize,
    pub(super) replica: usize,
    pub(super) pod: usize,
}

/// What a name stands for: one thing, or several, so that it says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner<T> {
    One(T),
    Several,
}

impl<T: PartialEq> Owner<T> {
    pub(super) fn one(self) -> Option<T> {
        match self {
            Self::One(owner) => Some(owner),
            Self::Several => None,
        }
    }
}

/// Namespace and name.
type Key<'a> = (&'a str, &'a str);

pub(super) struct Index<'a> {
    pods: HashMap<Key<'a>, Place>,
    /// By namespace and address; pods on the host's network share one.
    addresses: HashMap<Key<'a>, Owner<Place>>,
    /// By the name of the InferencePool.
    pickers: HashMap<Key<'a>, Owner<usize>>,
    picker_pods: HashMap<Key<'a>, Owner<usize>>,
    models: HashMap<Key<'a>, Owner<usize>>,
}

impl<'a> Index<'a> {
    pub(super) fn new(pools: &'a [FleetPool]) -> Self {
        let count = pools.iter().map(|pool| pool.replicas.len()).sum();
        let mut index = Self {
            pods: HashMap::with_capacity(count),
            addresses: HashMap::with_capacity(count),
            pickers: HashMap::new(),
            picker_pods: HashMap::new(),
            models: HashMap::new(),
        };
        for (position, pool) in pools.iter().enumerate() {
            index.insert_pool(position, pool);
        }
        index
    }

    fn insert_pool(&mut self, position: usize, pool: &'a FleetPool) {
        let namespace = pool.pool.namespace.as_str();
        insert(&mut self.models, (namespace, &pool.pool.model), position);
        if let Some(picker) = &pool.picker {
            insert(&mut self.pickers, (namespace, &picker.pool), position);
            for pod in &picker.pods {
                insert(&mut self.picker_pods, (namespace, &pod.name), position);
            }
        }
        for (replica, of) in pool.replicas.iter().enumerate() {
            for (pod, of) in of.pods.iter().enumerate() {
                let place = Place {
                    pool: position,
                    replica,
                    pod,
                };
                self.pods.insert((namespace, &of.name), place);
                if let Some(ip) = &of.ip {
                    insert(&mut self.addresses, (namespace, ip), place);
                }
            }
        }
    }

    /// The pod that a series of an engine is of, with the rank that its name tells.
    pub(super) fn place<'l>(&self, labels: &'l Labels) -> Option<(Place, &'l str)> {
        let mut named = false;
        for (namespace, name) in pod_names(labels) {
            named = true;
            if let Some(place) = self.pods.get(&(namespace, name)) {
                return Some((*place, ""));
            }
            let ranked = split_rank(name)
                .and_then(|(pod, rank)| Some((*self.pods.get(&(namespace, pod))?, rank)));
            if ranked.is_some() {
                return ranked;
            }
        }
        if named {
            // A pod that is gone: its address may be another's by now.
            return None;
        }
        let address = (namespace(labels), host(&labels.instance));
        Some((self.addresses.get(&address)?.one()?, ""))
    }

    /// The pool that a series of a picker is of. `learned` says the pools of picker pods that name
    /// them in other series.
    pub(super) fn picker_pool(
        &self,
        labels: &Labels,
        learned: &HashMap<Key<'_>, usize>,
    ) -> Option<usize> {
        if let Some(pool) = self.named_pool(labels) {
            return Some(pool);
        }
        let mut by_pod = pod_names(labels).filter_map(|key| {
            let known = self.picker_pods.get(&key).and_then(|owner| owner.one());
            known.or_else(|| learned.get(&key).copied())
        });
        if let Some(pool) = by_pod.next() {
            return Some(pool);
        }
        let namespace = namespace(labels);
        let names_another = [&labels.inference_pool, &labels.name]
            .into_iter()
            .any(|name| !name.is_empty() && !self.pickers.contains_key(&(namespace, name)));
        if names_another {
            return None;
        }
        [&labels.target_model_name, &labels.model_name]
            .into_iter()
            .find_map(|model| self.models.get(&(namespace, model))?.one())
    }

    /// The pool that a picker's series itself names.
    pub(super) fn named_pool(&self, labels: &Labels) -> Option<usize> {
        let namespace = namespace(labels);
        [&labels.inference_pool, &labels.name]
            .into_iter()
            .find_map(|name| self.pickers.get(&(namespace, name))?.one())
    }
}

fn insert<'a, T: PartialEq>(map: &mut HashMap<Key<'a>, Owner<T>>, key: Key<'a>, value: T) {
    let owner = match map.remove(&key) {
        Some(Owner::One(known)) if known != value => Owner::Several,
        Some(Owner::Several) => Owner::Several,
        Some(Owner::One(_)) | None => Owner::One(value),
    };
    map.insert(key, owner);
}

/// A collector between Prometheus and the pod has the scrape's labels; the pod's own are then
/// `exported_`.
fn namespace(labels: &Labels) -> &str {
    if labels.exported_namespace.is_empty() {
        &labels.namespace
    } else {
        &labels.exported_namespace
    }
}

/// Namespace and name of the pod under each label that may hold it.
pub(super) fn pod_names(labels: &Labels) -> impl Iterator<Item = (&str, &str)> {
    let own = namespace(labels);
    [
        (&*labels.namespace, &*labels.pod),
        (own, &*labels.exported_pod),
        (own, &*labels.pod_name),
    ]
    .into_iter()
    .filter(|(_, name)| !name.is_empty())
}

/// Pickers call a rank's endpoint after its pod, with `-rank-N` behind.
fn split_rank(name: &str) -> Option<(&str, &str)> {
    let (pod, rank) = name.rsplit_once("-rank-")?;
    let is_rank = !rank.is_empty() && rank.bytes().all(|byte| byte.is_ascii_digit());
    is_rank.then_some((pod, rank))
}

/// The host of `host:port`; IPv6 addresses stand in brackets.
pub(super) fn host(instance: &str) -> &str {
    let host = match instance.rsplit_once(':') {
        Some((host, _port)) => host,
        None => instance,
    };
    host.trim_start_matches('[').trim_end_matches(']')
}
