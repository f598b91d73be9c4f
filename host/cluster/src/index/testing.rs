//! Clusters for tests, written down in a few lines: objects, and an index that has taken them in.

mod objects;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::claim::{TargetKey, Way};
use super::{Index, Key, PoolVersion, key};
use crate::config::Config;
use crate::objects::{Ignored, Object};
use crate::view::{Refused, VariantView, View};
use trimtab_contract::{Accelerator, Variant};

pub(crate) use self::objects::*;

/// An index that took in `objects` in their order, and listed again the pods that it asked for.
pub(crate) fn index_of<'a>(objects: impl IntoIterator<Item = &'a Value> + Clone) -> Index {
    index_with(Config::default(), objects)
}

pub(crate) fn index_with<'a>(
    config: Config,
    objects: impl IntoIterator<Item = &'a Value> + Clone,
) -> Index {
    let mut index = Index::new(config);
    for object in objects.clone() {
        apply(&mut index, object);
    }
    relist(&mut index, objects);
    index
}

/// Lists the pods of namespaces that the index asks for.
pub(crate) fn relist<'a>(index: &mut Index, objects: impl IntoIterator<Item = &'a Value>) {
    let unlisted = index.take_unlisted();
    for object in objects.into_iter().filter(|of| of["kind"] == "Pod") {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        if unlisted.contains(namespace) {
            apply(index, object);
        }
    }
}

/// What a tick would see of `objects`.
pub(crate) fn view_of<'a>(objects: impl IntoIterator<Item = &'a Value> + Clone) -> View {
    view(&mut index_of(objects))
}

pub(crate) fn view(index: &mut Index) -> View {
    index.view(None)
}

pub(crate) fn read<K: DeserializeOwned>(object: &Value) -> K {
    serde_json::from_str(&object.to_string()).unwrap()
}

/// Takes in an object as a watch of its kind would.
pub(crate) fn apply(index: &mut Index, object: &Value) {
    let (group, kind) = kind_of(object);
    match kind {
        "VariantAutoscaling" => index.apply_variant(&read(object)),
        "HorizontalPodAutoscaler" => index.apply_hpa(&read(object)),
        "ScaledObject" => index.apply_scaled_object(&read(object)),
        "ReplicaSet" => {
            let set: Object<Ignored, Ignored> = read(object);
            index.own(target_key(object), &set.metadata);
        }
        "Pod" => index.apply_pod(read(object)),
        "Node" => index.apply_node(read(object)),
        "InferencePool" => index.apply_pool(pool_version(group), read(object)),
        "ScalingPolicy" => index.apply_policy(&read(object)),
        "PoolPolicy" => index.apply_pool_policy(&read(object)),
        "Service" => index.apply_service(read(object)),
        "Namespace" => {
            let namespace: Object<Ignored, Ignored> = read(object);
            index.apply_namespace(&namespace.metadata);
        }
        "ResourceSlice" => index.apply_slice(read(object)),
        "ResourceClaim" => index.apply_device_claim(read(object)),
        "ResourceClaimTemplate" => index.apply_claim_template(read(object)),
        _ => index.apply_workload(group, kind, read(object)),
    }
}

pub(crate) fn delete(index: &mut Index, object: &Value) {
    let (group, kind) = kind_of(object);
    let key: Key = key(&read::<Object<Ignored, Ignored>>(object).metadata);
    match kind {
        "VariantAutoscaling" => index.delete_claim(Way::VariantAutoscaling, key),
        "HorizontalPodAutoscaler" => index.delete_claim(Way::HorizontalPodAutoscaler, key),
        "ScaledObject" => index.delete_claim(Way::ScaledObject, key),
        "ReplicaSet" => index.disown(&target_key(object)),
        "Pod" => index.delete_pod(&key),
        "Node" => index.delete_node(&key.1),
        "InferencePool" => index.delete_pool(pool_version(group), &key),
        "ScalingPolicy" => index.delete_policy(&key),
        "PoolPolicy" => index.delete_pool_policy(&key),
        "Service" => index.delete_service(&key),
        "Namespace" => index.delete_namespace(&key.1),
        "ResourceSlice" => index.delete_slice(&key.1),
        "ResourceClaim" => index.delete_device_claim(&key),
        "ResourceClaimTemplate" => index.delete_claim_template(&key),
        _ => index.delete_workload(&target_key(object)),
    }
}

fn kind_of(object: &Value) -> (&str, &str) {
    let group = super::claim::group(object["apiVersion"].as_str().unwrap());
    (group, object["kind"].as_str().unwrap())
}

fn pool_version(group: &str) -> PoolVersion {
    match group {
        "inference.networking.k8s.io" => PoolVersion::V1,
        _ => PoolVersion::V1Alpha2,
    }
}

fn target_key(object: &Value) -> TargetKey {
    let (group, kind) = kind_of(object);
    let (namespace, name) = key(&read::<Object<Ignored, Ignored>>(object).metadata);
    TargetKey {
        namespace,
        group: group.to_owned(),
        kind: kind.to_owned(),
        name,
    }
}

impl View {
    /// The one variant that there is.
    #[track_caller]
    pub(crate) fn only(&self) -> (&Variant, &VariantView) {
        assert!(self.refused.is_empty(), "{:#?}", self.refused);
        let [pool] = &self.pools[..] else {
            panic!("not one pool: {:#?}", self.pools)
        };
        let ([variant], [of]) = (&pool.fleet.pool.variants[..], &pool.variants[..]) else {
            panic!("not one variant: {pool:#?}")
        };
        (variant, of)
    }

    /// Pools by namespace and name, with the names of their variants.
    pub(crate) fn outline(&self) -> Vec<String> {
        let pools = self.pools.iter().map(|pool| &pool.fleet.pool);
        pools
            .map(|pool| {
                let variants = pool.variants.iter().map(|variant| variant.name.as_str());
                let variants: Vec<&str> = variants.collect();
                format!("{}/{}: {}", pool.namespace, pool.name, variants.join(" "))
            })
            .collect()
    }

    #[track_caller]
    pub(crate) fn refusal(&self, name: &str) -> &Refused {
        let mut refused = self.refused.iter();
        let found = refused.find(|refused| refused.claimant.name == name);
        found.unwrap_or_else(|| panic!("`{name}` is not refused: {:#?}", self.refused))
    }

    /// Name, total, available.
    pub(crate) fn gpus(&self) -> Vec<(&str, u32, u32)> {
        let inventory = self.inventory.iter().flatten();
        let of = |of: &Accelerator| (of.total, of.available);
        inventory
            .map(|accelerator| {
                let (total, available) = of(accelerator);
                (accelerator.name.as_str(), total, available)
            })
            .collect()
    }
}
