//! Which variants make up a pool.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use trimtab_core::fleet::{FleetPod, Picker};

use super::{Claimed, Refused, Why};
use crate::index::{Index, Key, PoolVersion};
use crate::objects::Labels;

/// A pool's identity: an InferencePool, or one model in a namespace without one.
pub(super) struct Place {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) model: String,
    pub(super) picker: Option<Picker>,
}

/// Variants by namespace, InferencePool and model.
type ByPool<'a> = BTreeMap<(&'a str, Option<&'a str>, String), Vec<Claimed<'a>>>;

/// Variants by pool. One InferencePool serves one model: of others in it, each makes a pool of its
/// own, as do models without an InferencePool.
pub(super) fn groups<'a>(
    index: &'a Index,
    claimed: Vec<Claimed<'a>>,
    refused: &mut Vec<Refused>,
) -> Vec<(Place, Vec<Claimed<'a>>)> {
    let mut by_pool = ByPool::new();
    let pools = Pools::new(index);
    for mut member in without_namesakes(claimed, refused) {
        let namespace = member.claimant.namespace.as_str();
        let fitting = pools.of(namespace, &member.target.labels);
        let pool = fitting.first().copied();
        if fitting.len() > 1 {
            let warning = format!("its pods are of several InferencePools: {}", list(&fitting));
            member.warnings.push(warning + "; the first is taken");
        }
        let key = (namespace, pool, member.model.clone());
        by_pool.entry(key).or_default().push(member);
    }
    warn_of_other_models(&mut by_pool);
    let mut pickers = index.pickers();
    let mut picker = |namespace: &str, pool: &str| Picker {
        pool: pool.to_owned(),
        pods: pickers
            .remove(&(namespace.to_owned(), pool.to_owned()))
            .unwrap_or_default(),
    };
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
                picker: pool.map(|pool| picker(namespace, pool)),
            };
            (place, Vec::new())
        });
        all.extend(members);
    }
    groups.into_values().collect()
}

/// An InferencePool has one picker, whose requests cannot be told by model.
fn warn_of_other_models(by_pool: &mut ByPool<'_>) {
    let mut models: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for (namespace, pool, model) in by_pool.keys() {
        if let Some(pool) = pool {
            let of = models.entry((*namespace, *pool)).or_default();
            of.push(model.clone());
        }
    }
    for ((namespace, pool, _), members) in by_pool {
        let Some(pool) = pool else { continue };
        let models = models.get(&(*namespace, *pool));
        let Some([first, _, ..]) = models.map(Vec::as_slice) else {
            continue;
        };
        let models: Vec<&str> = models.into_iter().flatten().map(String::as_str).collect();
        let models = list(&models);
        for member in members {
            member.warnings.push(format!(
                "InferencePool `{pool}` has pods of several models: {models}; its endpoint picker \
                 counts for `{first}` alone: give each model a pool"
            ));
        }
    }
}

fn list(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Metrics name a variant by namespace and name alone, so two of one name are none.
fn without_namesakes<'a>(
    claimed: Vec<Claimed<'a>>,
    refused: &mut Vec<Refused>,
) -> Vec<Claimed<'a>> {
    let mut by_name: BTreeMap<(&str, String), Vec<Claimed<'a>>> = BTreeMap::new();
    for member in claimed {
        let name = (member.claimant.namespace.as_str(), member.name.clone());
        by_name.entry(name).or_default().push(member);
    }
    let mut single = Vec::new();
    for ((_, name), mut members) in by_name {
        if members.len() == 1 {
            single.append(&mut members);
        }
        for member in &members {
            let others = members.iter().map(|other| other.claimant);
            let others = others.filter(|other| *other != member.claimant);
            let others: Vec<String> = others.map(ToString::to_string).collect();
            let others = others.join(" and ");
            let message = format!("{others} makes a variant `{name}` too: rename one");
            refused.push(Refused::new(
                member.claimant,
                member.claim,
                Why::Conflict,
                message,
            ));
        }
    }
    single
}

impl Index {
    /// The selector of the Service of a pool's endpoint picker.
    fn picker_selector(&self, key: &Key) -> Option<&Labels> {
        let spec = |version| self.pools.get(&(key.clone(), version));
        let spec = spec(PoolVersion::V1).or_else(|| spec(PoolVersion::V1Alpha2))?;
        let picker = &spec.endpoint_picker_ref;
        let kind = picker.kind.as_deref();
        if kind.is_some_and(|kind| kind != "Service") || picker.name.is_empty() {
            return None;
        }
        self.services.get(&(key.0.clone(), picker.name.clone()))
    }

    /// The living pods of every pool's endpoint picker.
    fn pickers(&self) -> BTreeMap<&Key, Vec<FleetPod>> {
        // A namespace may have many pools and many pods: each pod is only compared with selectors
        // that agree with it on one label.
        let mut by_label: BTreeMap<(&str, &str), BTreeMap<&str, Selectors<'_>>> = BTreeMap::new();
        for key in self.pools.keys().map(|(key, _)| key) {
            let Some(selector) = self.picker_selector(key) else {
                continue;
            };
            if let Some((label, value)) = selector.iter().next() {
                let values = by_label.entry((&key.0, label)).or_default();
                let selectors = values.entry(value).or_default();
                selectors.insert(key, selector);
            }
        }
        let mut pickers: BTreeMap<&Key, Vec<FleetPod>> = BTreeMap::new();
        for ((namespace, label), values) in by_label {
            let pods = self.pods.get(namespace).into_iter().flatten();
            for (name, pod) in pods.filter(|(_, pod)| pod.alive) {
                let value = pod.labels.get(label).map(String::as_str);
                let selectors = value.and_then(|value| values.get(value));
                for (key, selector) in selectors.into_iter().flatten() {
                    if selects(selector, &pod.labels) {
                        pickers.entry(key).or_default().push(FleetPod {
                            name: name.clone(),
                            ip: pod.ip.clone(),
                        });
                    }
                }
            }
        }
        pickers
    }
}

/// InferencePools by namespace and one of the labels that they select by, so that not every pool
/// is compared with every workload.
struct Pools<'a>(HashMap<(&'a str, &'a str, &'a str), Selectors<'a>>);

impl<'a> Pools<'a> {
    fn new(index: &'a Index) -> Self {
        let mut by_label: HashMap<_, Selectors<'a>> = HashMap::new();
        // The newer version comes first in the index and is to stay.
        for ((key, _), pool) in index.pools.iter().rev() {
            if let Some((label, value)) = pool.selector.iter().next() {
                let at = (key.0.as_str(), label.as_str(), value.as_str());
                by_label.entry(at).or_default().insert(key, &pool.selector);
            }
        }
        Self(by_label)
    }

    /// Those whose selectors fit pods with these labels, by name.
    fn of(&self, namespace: &str, labels: &Labels) -> Vec<&'a str> {
        let near = labels.iter().filter_map(|(label, value)| {
            let at = (namespace, label.as_str(), value.as_str());
            self.0.get(&at)
        });
        let fitting = near
            .flatten()
            .filter(|(_, selector)| selects(selector, labels));
        let names: BTreeSet<&str> = fitting.map(|(key, _)| key.1.as_str()).collect();
        names.into_iter().collect()
    }
}

/// Selectors by pool.
type Selectors<'a> = BTreeMap<&'a Key, &'a Labels>;

/// An empty selector selects nothing: it would take in every workload of the namespace.
fn selects(selector: &Labels, labels: &Labels) -> bool {
    let mut wanted = selector.iter();
    !selector.is_empty() && wanted.all(|(key, value)| labels.get(key) == Some(value))
}
