//! What one replica is: a pod, or a whole group of a LeaderWorkerSet.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use trimtab_core::fleet::{FleetPod, FleetReplica};

use super::Claimed;
use crate::index::Index;
use crate::index::claim::TargetKey;
use crate::index::pod::{Owner, Pod};

/// Names the variant that a pod belongs to, whoever owns it.
const VARIANT: &str = "llm-d.ai/variant";

/// Living pods by the target that they belong to.
pub(super) struct PodsOfTargets<'a>(HashMap<TargetKey, Vec<(&'a str, &'a Pod)>>);

/// From where a pod's way up to its target leads: namespace, LeaderWorkerSet, owner. Most pods
/// share theirs with others.
type Start<'a> = (&'a str, Option<&'a str>, Option<&'a Owner>);

/// Replicas of one variant.
#[derive(Debug, Default)]
pub(super) struct Counted<'a> {
    /// Replicas that exist, without the surge of a rollout.
    pub(super) current: u32,
    pub(super) ready: u32,
    pub(super) unschedulable: u32,
    /// Median over its pods: one that lost and regained readiness does not count for all.
    pub(super) startup_seconds: Option<f64>,
    /// On which its pods are.
    pub(super) nodes: Vec<&'a str>,
    /// Those that serve.
    pub(super) replicas: Vec<FleetReplica>,
}

impl<'a> PodsOfTargets<'a> {
    pub(super) fn new(index: &'a Index, claimed: &[Claimed<'_>]) -> Self {
        let mut by_name: HashMap<(&str, &str), &TargetKey> = HashMap::new();
        for member in claimed {
            let key = (member.claimant.namespace.as_str(), member.name.as_str());
            by_name.insert(key, &member.claim.target);
        }
        let mut by_start: HashMap<Start<'_>, Vec<(&str, &Pod)>> = HashMap::new();
        let mut of_targets: HashMap<TargetKey, Vec<(&str, &Pod)>> = HashMap::new();
        for (namespace, pods) in &index.pods {
            if !index.watched.contains(namespace) {
                continue;
            }
            for (name, pod) in pods.iter().filter(|(_, pod)| pod.alive) {
                let named = pod.labels.get(VARIANT).map(String::as_str);
                let named = named.and_then(|name| by_name.get(&(namespace.as_str(), name)));
                let found = match named {
                    Some(target) => of_targets.entry((*target).clone()).or_default(),
                    None => by_start.entry(start(namespace, pod)).or_default(),
                };
                found.push((name, pod));
            }
        }
        for ((namespace, ..), pods) in by_start {
            let first = pods.first();
            let target = first.and_then(|(_, pod)| index.target_of(namespace, pod));
            if let Some(target) = target {
                of_targets.entry(target).or_default().extend(pods);
            }
        }
        for pods in of_targets.values_mut() {
            pods.sort_by_key(|(name, _)| *name);
        }
        Self(of_targets)
    }

    /// Counts what `member` has, which is at `position` in its pool.
    pub(super) fn count(&self, member: &Claimed<'_>, position: u32) -> Counted<'a> {
        let pods = self.0.get(&member.claim.target);
        let pods = pods.map_or(&[][..], Vec::as_slice);
        let target = member.target;
        let mut units: BTreeMap<&str, Vec<(&'a str, &'a Pod)>> = BTreeMap::new();
        for (name, pod) in pods {
            let unit = pod.group().map_or(*name, |group| group.index);
            units.entry(unit).or_default().push((name, pod));
        }
        let mut counted = Counted {
            nodes: pods
                .iter()
                .filter_map(|(_, pod)| pod.node.as_deref())
                .collect(),
            startup_seconds: median(pods.iter().filter_map(|(_, pod)| pod.startup_seconds)),
            ..Counted::default()
        };
        let existing = target.replicas.unwrap_or(units.len() as u32);
        for (unit, pods) in units {
            let unschedulable = pods.iter().any(|(_, pod)| pod.unschedulable);
            counted.unschedulable += u32::from(unschedulable);
            let whole = pods.len() >= target.pods_per_replica as usize;
            counted
                .replicas
                .extend(serving(unit, pods, position).filter(|_| whole));
        }
        // What is above the spec is a rollout's surge, or on its way out.
        counted.current = existing.min(target.spec_replicas);
        let ready = (counted.replicas.len() as u32).max(target.ready_replicas);
        counted.ready = ready.min(counted.current);
        counted
    }
}

fn start<'a>(namespace: &'a str, pod: &'a Pod) -> Start<'a> {
    let set = pod.group().map(|group| group.set);
    (namespace, set, pod.owner.as_ref())
}

/// A replica whose pods are all ready.
fn serving(unit: &str, mut pods: Vec<(&str, &Pod)>, variant: u32) -> Option<FleetReplica> {
    let ready = pods.iter().map(|(_, pod)| pod.ready_since_ms);
    let ready: Vec<u64> = ready.collect::<Option<_>>()?;
    // A leader comes first: it may report for all.
    pods.sort_by_key(|(name, pod)| (!is_leader(pod), *name));
    let leader = pods.first().filter(|(_, pod)| is_leader(pod));
    Some(FleetReplica {
        variant,
        name: leader.map_or(unit, |(name, _)| name).to_owned(),
        ready_since_ms: ready.into_iter().max()?,
        pods: pods
            .iter()
            .map(|(name, pod)| FleetPod {
                name: (*name).to_owned(),
                ip: pod.ip.clone(),
            })
            .collect(),
    })
}

fn is_leader(pod: &Pod) -> bool {
    pod.group().is_some_and(|group| group.is_leader)
}

/// The lower one of two in the middle.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len().checked_sub(1)? / 2;
    values.get(middle).copied()
}
