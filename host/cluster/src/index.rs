//! The cluster as one in-memory picture: objects come in by `apply`, go by `delete`, and a view of
//! all pools comes out. Synchronous, without a clock and without a connection.

pub(crate) mod claim;
pub(crate) mod device;
pub(crate) mod node;
pub(crate) mod pod;
pub(crate) mod scaler;
pub(crate) mod target;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::borrow::Borrow;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::SelectorExt as _;

use self::claim::{Claim, Claimant, Registration, TargetKey, Way};
use self::device::{Asked, DeviceKey, Slice};
use self::node::Node;
use self::pod::{Owner, Pod, Pods};
use self::scaler::Scaler;
use self::target::{Target, Unusable};
use crate::config::Config;
use crate::objects::Labels;
use crate::objects::autoscaler::{HorizontalPodAutoscaler, ScaledObject};
use crate::objects::device::{ResourceClaim, ResourceClaimTemplate, ResourceSlice};
use crate::objects::node::Node as NodeObject;
use crate::objects::pod::Pod as PodObject;
use crate::objects::policy::{PoolPolicy, ScalingPolicy};
use crate::objects::pool::{InferencePool, InferencePoolSpec, Service};
use crate::objects::variant::VariantAutoscaling;
use crate::objects::workload::Workload;
use crate::policies::{Stored, StoredPolicy, StoredPoolPolicy};

/// Namespaces with this annotation or label set to `true` are left alone, as WVA does.
const EXCLUDE: &str = "wva.llmd.ai/exclude";

/// Namespace and name.
pub type Key = (String, String);

/// API versions of InferencePool, the preferred one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PoolVersion {
    V1,
    V1Alpha2,
}

/// All that is known of the cluster.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) config: Config,
    pub(crate) claims: BTreeMap<Claimant, Claim>,
    pub(crate) claimants: BTreeMap<TargetKey, BTreeSet<Claimant>>,
    /// HPAs and ScaledObjects, whether or not they claim.
    pub(crate) scalers: BTreeMap<Claimant, Scaler>,
    /// What ScaledObjects that say nothing of us would claim.
    unsaid: BTreeMap<Key, Claim>,
    /// What KEDA asks about.
    registrations: BTreeMap<Key, Registration>,
    pub(crate) targets: BTreeMap<TargetKey, Target>,
    /// Why kinds that claims name cannot be scaled, by group and kind.
    pub(crate) unusable: BTreeMap<(String, String), Unusable>,
    /// How often a ScalingPolicy or a PoolPolicy changed.
    pub(crate) policy_revision: u64,
    /// How often anything changed: a view of an earlier revision is none of now.
    pub(crate) revision: u64,
    /// ReplicaSets and StatefulSets between pods and targets.
    owners: BTreeMap<TargetKey, Owner>,
    pub(crate) pods: Pods,
    /// Seconds that a target's pods took to start, when it last had any.
    pub(crate) starts: BTreeMap<TargetKey, f64>,
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) slices: BTreeMap<String, Slice>,
    /// Devices that claims hold, by claim.
    pub(crate) held: BTreeMap<Key, Vec<DeviceKey>>,
    /// What a claim made from a template asks for.
    pub(crate) claim_templates: BTreeMap<Key, Asked>,
    pub(crate) pools: BTreeMap<(Key, PoolVersion), InferencePoolSpec>,
    pub(crate) services: BTreeMap<Key, Labels>,
    pub(crate) policies: BTreeMap<Key, Arc<StoredPolicy>>,
    pub(crate) pool_policies: BTreeMap<Key, Arc<StoredPoolPolicy>>,
    pub(crate) excluded: BTreeSet<String>,
    /// Namespaces whose pods are kept.
    pub(crate) watched: BTreeSet<String>,
    /// Those of them whose pods came by before anybody asked for them.
    unlisted: BTreeSet<String>,
}

impl Index {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            ..Self::default()
        }
    }

    pub(crate) fn apply_variant(&mut self, object: &VariantAutoscaling) {
        let claim = Claim::of_variant(object);
        self.claim(Way::VariantAutoscaling, &object.metadata, Some(claim));
    }

    pub(crate) fn apply_hpa(&mut self, object: &HorizontalPodAutoscaler) {
        let way = Way::HorizontalPodAutoscaler;
        self.scaler(way, &object.metadata, Scaler::of_hpa(object));
        self.claim(way, &object.metadata, Claim::of_hpa(object));
    }

    pub(crate) fn apply_scaled_object(&mut self, object: &ScaledObject) {
        let way = Way::ScaledObject;
        self.scaler(way, &object.metadata, Scaler::of_scaled_object(object));
        let of = key(&object.metadata);
        let mut claim = Claim::of_scaled_object(object);
        if claim.is_some() || object.metadata.deletion_timestamp.is_some() {
            self.unsaid.remove(&of);
        } else {
            let unsaid = Claim::of_any_scaled_object(object);
            let registration = self.registrations.get(&of);
            claim = registration.map(|registration| unsaid.clone().registered(registration));
            self.unsaid.insert(of, unsaid);
        }
        self.claim(way, &object.metadata, claim);
    }

    /// What KEDA asks about now.
    pub(crate) fn register(&mut self, registrations: BTreeMap<Key, Registration>) {
        let before = std::mem::replace(&mut self.registrations, registrations);
        let both = before.keys().chain(self.registrations.keys());
        let changed: BTreeSet<Key> = both
            .filter(|of| before.get(*of) != self.registrations.get(*of))
            .cloned()
            .collect();
        for of in changed {
            let Some(unsaid) = self.unsaid.get(&of) else {
                continue;
            };
            let registration = self.registrations.get(&of);
            let claim = registration.map(|registration| unsaid.clone().registered(registration));
            self.claim_as(Claimant::new(Way::ScaledObject, of), claim);
        }
    }

    /// Of those that nobody claims the target of, changes are none of the view's.
    fn scaler(&mut self, way: Way, metadata: &ObjectMeta, scaler: Scaler) {
        let claimed = self.claimants.contains_key(&scaler.target);
        let changed = put(&mut self.scalers, Claimant::new(way, key(metadata)), scaler);
        self.revision += u64::from(claimed) * changed;
    }

    /// An object that is being deleted claims nothing any more.
    fn claim(&mut self, way: Way, metadata: &ObjectMeta, claim: Option<Claim>) {
        let claim = claim.filter(|_| metadata.deletion_timestamp.is_none());
        self.claim_as(Claimant::new(way, key(metadata)), claim);
    }

    fn claim_as(&mut self, claimant: Claimant, claim: Option<Claim>) {
        if self.claims.get(&claimant) == claim.as_ref() {
            return;
        }
        self.drop_claim(&claimant);
        let namespace = claimant.namespace.clone();
        if let Some(claim) = claim {
            self.revision += 1;
            self.watch(&namespace);
            let claimants = self.claimants.entry(claim.target.clone()).or_default();
            claimants.insert(claimant.clone());
            self.claims.insert(claimant, claim);
        }
        self.unwatch(&namespace);
    }

    pub(crate) fn delete_claim(&mut self, way: Way, key: Key) {
        if way == Way::ScaledObject {
            self.unsaid.remove(&key);
        }
        let claimant = Claimant::new(way, key);
        self.revision += take(&mut self.scalers, &claimant);
        self.drop_claim(&claimant);
        self.unwatch(&claimant.namespace);
    }

    fn drop_claim(&mut self, claimant: &Claimant) {
        let Some(claim) = self.claims.remove(claimant) else {
            return;
        };
        self.revision += 1;
        if let Some(claimants) = self.claimants.get_mut(&claim.target) {
            claimants.remove(claimant);
            if claimants.is_empty() {
                self.claimants.remove(&claim.target);
            }
        }
    }

    pub(crate) fn apply_workload(&mut self, group: &str, kind: &str, object: Workload) {
        let (namespace, name) = key(&object.metadata);
        let target = TargetKey {
            namespace,
            group: group.to_owned(),
            kind: kind.to_owned(),
            name,
        };
        self.own(target.clone(), &object.metadata);
        self.revision += put(&mut self.targets, target, Target::of(object));
    }

    pub(crate) fn delete_workload(&mut self, target: &TargetKey) {
        self.revision += take(&mut self.targets, target);
        self.disown(target);
        self.starts.remove(target);
    }

    /// A ReplicaSet or another step between pods and their target.
    pub(crate) fn own(&mut self, owned: TargetKey, metadata: &ObjectMeta) {
        match Owner::of(metadata) {
            Some(owner) => {
                self.revision += put(&mut self.owners, owned, owner);
            }
            None => self.disown(&owned),
        }
    }

    pub(crate) fn disown(&mut self, owned: &TargetKey) {
        self.revision += take(&mut self.owners, owned);
    }

    pub(crate) fn apply_pod(&mut self, object: PodObject) {
        let (namespace, name) = key(&object.metadata);
        let before = self.pods.get(&namespace).and_then(|pods| pods.get(&name));
        let pod = Pod::of(object, before);
        if !pod.holds_any_gpu() && !self.watched.contains(&namespace) {
            self.delete_pod(&(namespace, name));
            return;
        }
        self.revision += put(self.pods.entry(namespace).or_default(), name, pod);
    }

    pub(crate) fn delete_pod(&mut self, (namespace, name): &Key) {
        if let Some(pods) = self.pods.get_mut(namespace) {
            self.revision += take(pods, name);
            if pods.is_empty() {
                self.pods.remove(namespace);
            }
        }
    }

    /// The last owner on a pod's way up that can be scaled; a LeaderWorkerSet's pods name it
    /// themselves, since a worker's way leads over its leader.
    pub(crate) fn target_of(&self, namespace: &str, pod: &Pod) -> Option<TargetKey> {
        let start = match pod.group() {
            Some(group) => TargetKey {
                namespace: namespace.to_owned(),
                group: "leaderworkerset.x-k8s.io".to_owned(),
                kind: "LeaderWorkerSet".to_owned(),
                name: group.set.to_owned(),
            },
            None => pod.owner.as_ref()?.key(namespace),
        };
        let mut found = None;
        for at in self.and_owners(start) {
            if self.targets.contains_key(&at) {
                let claimed = self.claimants.contains_key(&at);
                found = Some(at);
                if claimed {
                    break;
                }
            }
        }
        found
    }

    /// A step on the way up, and those above it.
    pub(crate) fn and_owners(&self, from: TargetKey) -> impl Iterator<Item = TargetKey> {
        /// ReplicaSet, Deployment, and whatever wraps a Deployment.
        const STEPS: usize = 4;
        let next = |of: &TargetKey| Some(self.owners.get(of)?.key(&of.namespace));
        std::iter::successors(Some(from), next).take(STEPS)
    }

    pub(crate) fn apply_node(&mut self, object: NodeObject) {
        let name = object.metadata.name.clone().unwrap_or_default();
        let node = Node::of(object);
        if self.config.node_selector.matches(&node.labels) {
            self.revision += put(&mut self.nodes, name, node);
        } else {
            self.delete_node(&name);
        }
    }

    pub(crate) fn delete_node(&mut self, name: &str) {
        self.revision += take(&mut self.nodes, name);
    }

    pub(crate) fn apply_pool(&mut self, version: PoolVersion, object: InferencePool) {
        let key = key(&object.metadata);
        if object.metadata.deletion_timestamp.is_some() {
            return self.delete_pool(version, &key);
        }
        self.watch(&key.0.clone());
        self.revision += put(&mut self.pools, (key, version), object.spec);
    }

    pub(crate) fn delete_pool(&mut self, version: PoolVersion, key: &Key) {
        self.revision += take(&mut self.pools, &(key.clone(), version));
        self.unwatch(&key.0);
    }

    pub(crate) fn apply_policy(&mut self, object: &ScalingPolicy) {
        let key = key(&object.metadata);
        if object.metadata.deletion_timestamp.is_some() {
            return self.delete_policy(&key);
        }
        let recorded = object.status.read().unwrap_or_default();
        let stored = Stored::new(&object.metadata, object.spec.read(), recorded);
        let changed = put(&mut self.policies, key, Arc::new(stored));
        self.policies_changed(changed);
    }

    pub(crate) fn delete_policy(&mut self, key: &Key) {
        let changed = take(&mut self.policies, key);
        self.policies_changed(changed);
    }

    fn policies_changed(&mut self, times: u64) {
        self.revision += times;
        self.policy_revision += times;
    }

    pub(crate) fn apply_pool_policy(&mut self, object: &PoolPolicy) {
        let key = key(&object.metadata);
        if object.metadata.deletion_timestamp.is_some() {
            return self.delete_pool_policy(&key);
        }
        let recorded = object.status.read().unwrap_or_default();
        let stored = Stored::new(&object.metadata, object.spec.read(), recorded);
        let changed = put(&mut self.pool_policies, key, Arc::new(stored));
        self.policies_changed(changed);
    }

    pub(crate) fn delete_pool_policy(&mut self, key: &Key) {
        let changed = take(&mut self.pool_policies, key);
        self.policies_changed(changed);
    }

    pub(crate) fn apply_service(&mut self, object: Service) {
        let key = key(&object.metadata);
        self.revision += put(&mut self.services, key, object.spec.selector);
    }

    pub(crate) fn delete_service(&mut self, key: &Key) {
        self.revision += take(&mut self.services, key);
    }

    pub(crate) fn apply_slice(&mut self, object: ResourceSlice) {
        let name = object.metadata.name.clone().unwrap_or_default();
        match Slice::of(object) {
            Some(slice) => {
                self.revision += put(&mut self.slices, name, slice);
            }
            None => self.delete_slice(&name),
        }
    }

    pub(crate) fn delete_slice(&mut self, name: &str) {
        self.revision += take(&mut self.slices, name);
    }

    pub(crate) fn apply_device_claim(&mut self, object: ResourceClaim) {
        let key = key(&object.metadata);
        let held = device::held(object);
        if held.is_empty() {
            self.delete_device_claim(&key);
        } else {
            self.revision += put(&mut self.held, key, held);
        }
    }

    pub(crate) fn delete_device_claim(&mut self, key: &Key) {
        self.revision += take(&mut self.held, key);
    }

    pub(crate) fn apply_claim_template(&mut self, object: ResourceClaimTemplate) {
        let (key, asked) = (key(&object.metadata), device::asked(object));
        self.revision += put(&mut self.claim_templates, key, asked);
    }

    pub(crate) fn delete_claim_template(&mut self, key: &Key) {
        self.revision += take(&mut self.claim_templates, key);
    }

    pub(crate) fn apply_namespace(&mut self, metadata: &ObjectMeta) {
        let name = metadata.name.clone().unwrap_or_default();
        let says = |set: &Option<Labels>| {
            let value = set.as_ref().and_then(|set| set.get(EXCLUDE));
            value.is_some_and(|value| value == "true")
        };
        if says(&metadata.annotations) || says(&metadata.labels) {
            self.revision += u64::from(self.excluded.insert(name));
        } else {
            self.delete_namespace(&name);
        }
    }

    pub(crate) fn delete_namespace(&mut self, name: &str) {
        self.revision += u64::from(self.excluded.remove(name));
    }

    /// Why objects of a kind cannot be scaled, where they cannot.
    pub(crate) fn apply_kind(&mut self, group: &str, kind: &str, unusable: Option<Unusable>) {
        let kind = (group.to_owned(), kind.to_owned());
        self.revision += match unusable {
            Some(why) => put(&mut self.unusable, kind, why),
            None => take(&mut self.unusable, &kind),
        };
    }

    /// From now on the pods of this namespace are kept.
    fn watch(&mut self, namespace: &str) {
        if self.watched.insert(namespace.to_owned()) {
            self.revision += 1;
            self.unlisted.insert(namespace.to_owned());
        }
    }

    /// Where nothing asks for them any more, only pods with accelerators are kept.
    fn unwatch(&mut self, namespace: &str) {
        if !self.watched.contains(namespace) {
            return;
        }
        let claims = self.claims.keys();
        let mut asking = claims.map(|claimant| &claimant.namespace);
        let mut pools = self.pools.keys().map(|((namespace, _), _)| namespace);
        if asking.any(|of| of == namespace) || pools.any(|of| of == namespace) {
            return;
        }
        self.revision += 1;
        self.watched.remove(namespace);
        self.unlisted.remove(namespace);
        if let Some(pods) = self.pods.get_mut(namespace) {
            pods.retain(|_, pod| pod.holds_any_gpu());
            if pods.is_empty() {
                self.pods.remove(namespace);
            }
        }
    }

    /// Namespaces whose pods must be listed once, since they were not kept so far.
    pub(crate) fn take_unlisted(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.unlisted)
    }
}

/// How many things are not as they were.
fn put<K: Ord, V: PartialEq>(map: &mut BTreeMap<K, V>, key: K, value: V) -> u64 {
    match map.entry(key) {
        Entry::Occupied(there) if *there.get() == value => return 0,
        Entry::Occupied(mut there) => drop(there.insert(value)),
        Entry::Vacant(place) => drop(place.insert(value)),
    }
    1
}

/// The same for what goes.
fn take<K: Ord + Borrow<Q>, Q: Ord + ?Sized, V>(map: &mut BTreeMap<K, V>, key: &Q) -> u64 {
    u64::from(map.remove(key).is_some())
}

/// Namespace and name of an object; the namespace is empty where there is none.
pub(crate) fn key(metadata: &ObjectMeta) -> Key {
    (
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}
