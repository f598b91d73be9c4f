//! Which variants make up a pool.

use std::collections::{BTreeMap, BTreeSet};

use trimtab_core::fleet::Picker;

use super::{Claimed, Refused, Why};
use crate::index::pod::Pod;
use crate::index::{Index, PoolVersion};
use crate::objects::Labels;
use crate::objects::pool::InferencePoolSpec;

/// A pool's identity: an InferencePool, or one model in a namespace without one.
pub(super) struct Place {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) model: String,
    pub(super) picker: Option<Picker>,
}

/// Variants by pool. One InferencePool serves one model: of others in it, each makes a pool of its
/// own, as do models without an InferencePool.
pub(super) fn groups<'a>(
    index: &'a Index,
    claimed: Vec<Claimed<'a>>,
    refused: &mut Vec<Refused>,
) -> Vec<(Place, Vec<Claimed<'a>>)> {
    let mut by_pool: BTreeMap<(&str, Option<&str>, String), Vec<Claimed<'a>>> = BTreeMap::new();
    for member in without_namesakes(claimed, refused) {
        let namespace = member.claimant.namespace.as_str();
        let pool = index.pool_of(namespace, &member.target.labels);
        let key = (namespace, pool, member.model.clone());
        by_pool.entry(key).or_default().push(member);
    }
    let mut taken: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut groups: BTreeMap<(&str, String), (Place, Vec<Claimed<'a>>)> = BTreeMap::new();
    for ((namespace, pool, model), members) in by_pool {
        let pool = pool.filter(|pool| taken.insert((namespace, *pool)));
        // A colon is allowed in no object's name, so this is no pool's.
        let name = pool.map_or_else(|| format!("model:{model}"), str::to_owned);
        let (_, all) = groups.entry((namespace, name.clone())).or_insert_with(|| {
            let place = Place {
                namespace: namespace.to_owned(),
                name,
                model,
                picker: pool.map(|pool| index.picker(namespace, pool)),
            };
            (place, Vec::new())
        });
        all.extend(members);
    }
    groups.into_values().collect()
}

/// Metrics name a variant by namespace and name alone, so two of one name are none.
fn without_namesakes<'a>(
    claimed: Vec<Claimed<'a>>,
    refused: &mut Vec<Refused>,
) -> Vec<Claimed<'a>> {
    let key = |member: &Claimed<'_>| (member.claimant.namespace.clone(), member.name.clone());
    let mut counts: BTreeMap<(String, String), u32> = BTreeMap::new();
    for member in &claimed {
        *counts.entry(key(member)).or_default() += 1;
    }
    let (single, double): (Vec<_>, Vec<_>) = claimed
        .into_iter()
        .partition(|member| counts.get(&key(member)) == Some(&1));
    refused.extend(double.into_iter().map(|member| {
        let name = &member.name;
        let message =
            format!("another object makes a variant `{name}` in this namespace too: rename one");
        Refused::new(member.claimant, member.claim, Why::Conflict, message)
    }));
    single
}

impl Index {
    /// The InferencePool whose selector fits pods with these labels; of several the first by name.
    fn pool_of(&self, namespace: &str, labels: &Labels) -> Option<&str> {
        let mut fitting = self
            .pools
            .iter()
            .filter(|(((of, _), _), pool)| of == namespace && selects(&pool.selector, labels))
            .map(|(((_, name), _), _)| name.as_str());
        fitting.next()
    }

    fn picker(&self, namespace: &str, pool: &str) -> Picker {
        let key = (namespace.to_owned(), pool.to_owned());
        let spec = |version| self.pools.get(&(key.clone(), version));
        let spec: Option<&InferencePoolSpec> =
            spec(PoolVersion::V1).or_else(|| spec(PoolVersion::V1Alpha2));
        let service = spec.map(|spec| &spec.endpoint_picker_ref).filter(|picker| {
            let kind = picker.kind.as_deref();
            kind.is_none_or(|kind| kind == "Service") && !picker.name.is_empty()
        });
        let selector = service.and_then(|picker| {
            let key = (namespace.to_owned(), picker.name.clone());
            self.services.get(&key)
        });
        let pods = selector.map_or_else(Vec::new, |selector| self.pods_of(namespace, selector));
        Picker {
            pool: pool.to_owned(),
            pods,
        }
    }

    fn pods_of(&self, namespace: &str, selector: &Labels) -> Vec<String> {
        let pods = self.pods.get(namespace).into_iter().flatten();
        let selected = |(_, pod): &(&String, &Pod)| pod.alive && selects(selector, &pod.labels);
        pods.filter(selected)
            .map(|(name, _)| name.clone())
            .collect()
    }
}

/// An empty selector selects nothing: it would take in every workload of the namespace.
fn selects(selector: &Labels, labels: &Labels) -> bool {
    let mut wanted = selector.iter();
    !selector.is_empty() && wanted.all(|(key, value)| labels.get(key) == Some(value))
}
