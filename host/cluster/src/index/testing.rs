//! Clusters for tests, written down in a few lines: objects as an API server would send them, and
//! an index that has taken them in.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::claim::{TargetKey, Way};
use super::{Index, Key, PoolVersion, key};
use crate::config::Config;
use crate::objects::{Ignored, Object};
use crate::view::{Refused, VariantView, View};
use trimtab_contract::{Accelerator, Variant};

pub(crate) const H100: &str = "NVIDIA-H100-80GB-HBM3";
pub(crate) const L4: &str = "NVIDIA-L4";

/// When pods of tests were scheduled, and 90 s later, when they were ready.
pub(crate) const SCHEDULED: &str = "2026-11-25T10:00:00Z";
pub(crate) const READY: &str = "2026-11-25T10:01:30Z";

/// Changes to an object.
pub(crate) trait With {
    /// Sets what is at a JSON pointer, making the objects on the way.
    fn with(self, pointer: &str, value: impl Into<Value>) -> Self;
    fn labelled(self, label: &str, value: &str) -> Self;
    fn annotated(self, annotation: &str, value: &str) -> Self;
    fn owned_by(self, api_version: &str, kind: &str, name: &str) -> Self;
}

impl With for Value {
    fn with(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let mut at = &mut self;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/");
            at = match step.parse::<usize>() {
                Ok(index) => &mut at[index],
                Err(_) => &mut at[step.as_str()],
            };
        }
        *at = value.into();
        self
    }

    fn labelled(mut self, label: &str, value: &str) -> Self {
        self["metadata"]["labels"][label] = value.into();
        self
    }

    fn annotated(mut self, annotation: &str, value: &str) -> Self {
        self["metadata"]["annotations"][annotation] = value.into();
        self
    }

    fn owned_by(self, api_version: &str, kind: &str, name: &str) -> Self {
        let owner = json!([{
            "apiVersion": api_version, "kind": kind, "name": name, "uid": name, "controller": true,
        }]);
        self.with("/metadata/ownerReferences", owner)
    }
}

/// An object at `namespace/name`, or at a name alone where its kind has no namespace.
fn object(api_version: &str, kind: &str, path: &str, spec: Value) -> Value {
    let (namespace, name) = path.split_once('/').unwrap_or(("", path));
    let mut object = json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "uid": format!("{kind} {path}")},
        "spec": spec,
    });
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = namespace.into();
    }
    object
}

/// A container that serves model `m` on some GPUs.
pub(crate) fn engine(gpus: u32) -> Value {
    json!({
        "name": "engine",
        "image": "vllm/vllm-openai:v0.11.0",
        "args": ["--model", "m"],
        "resources": {"limits": {"nvidia.com/gpu": gpus.to_string()}},
    })
}

/// A pod template with the label `app`.
pub(crate) fn template(app: &str, container: Value) -> Value {
    json!({"metadata": {"labels": {"app": app}}, "spec": {"containers": [container]}})
}

fn workload(kind: &str, path: &str, replicas: u32) -> Value {
    let app = path.split_once('/').unwrap().1;
    let spec = json!({"replicas": replicas, "template": template(app, engine(1))});
    object("apps/v1", kind, path, spec).with(
        "/status",
        json!({"replicas": replicas, "readyReplicas": replicas}),
    )
}

/// All replicas are there and ready; each has one GPU and the label `app` with the object's name.
pub(crate) fn deployment(path: &str, replicas: u32) -> Value {
    workload("Deployment", path, replicas)
}

pub(crate) fn stateful_set(path: &str, replicas: u32) -> Value {
    workload("StatefulSet", path, replicas)
}

/// Groups of `size` pods with one GPU each.
pub(crate) fn leader_worker_set(path: &str, groups: u32, size: u32) -> Value {
    let app = path.split_once('/').unwrap().1;
    let pods = json!({"size": size, "workerTemplate": template(app, engine(1))});
    let spec = json!({"replicas": groups, "leaderWorkerTemplate": pods});
    object("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", path, spec).with(
        "/status",
        json!({"replicas": groups, "readyReplicas": groups}),
    )
}

/// A ReplicaSet of a Deployment.
pub(crate) fn replica_set(path: &str, deployment: &str) -> Value {
    object("apps/v1", "ReplicaSet", path, json!({})).owned_by("apps/v1", "Deployment", deployment)
}

/// A ready pod without GPUs.
pub(crate) fn pod(path: &str) -> Value {
    let spec = json!({"nodeName": "node-0", "containers": [{"name": "engine"}]});
    let status = json!({
        "phase": "Running",
        "podIP": "10.0.0.1",
        "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": SCHEDULED},
            {"type": "Ready", "status": "True", "lastTransitionTime": READY},
        ],
    });
    object("v1", "Pod", path, spec)
        .with("/metadata/creationTimestamp", SCHEDULED)
        .with("/status", status)
}

/// A ready pod of a ReplicaSet.
pub(crate) fn pod_of(path: &str, replica_set: &str) -> Value {
    pod(path).owned_by("apps/v1", "ReplicaSet", replica_set)
}

/// A ready pod of a LeaderWorkerSet: the leader is worker 0.
pub(crate) fn pod_of_group(path: &str, set: &str, group: u32, worker: u32) -> Value {
    let label = |name: &str| format!("leaderworkerset.sigs.k8s.io/{name}");
    pod(path)
        .labelled(&label("name"), set)
        .labelled(&label("group-index"), &group.to_string())
        .labelled(&label("worker-index"), &worker.to_string())
}

/// `pod` on a node, with so many of a resource.
pub(crate) fn holding(pod: Value, node: &str, resource: &str, count: u32) -> Value {
    let limits = json!({resource: count.to_string()});
    pod.with("/spec/nodeName", node)
        .with("/spec/containers/0/resources/limits", limits)
}

/// Not ready yet.
pub(crate) fn pending(pod: Value) -> Value {
    pod.with("/status/phase", "Pending")
        .with("/status/conditions/1/status", "False")
}

pub(crate) fn unschedulable(pod: Value) -> Value {
    pending(pod)
        .with("/spec/nodeName", Value::Null)
        .with("/status/conditions/0/status", "False")
}

pub(crate) fn terminating(object: Value) -> Value {
    object.with("/metadata/deletionTimestamp", READY)
}

pub(crate) fn finished(pod: Value) -> Value {
    pod.with("/status/phase", "Succeeded")
        .with("/status/conditions/1/status", "False")
}

/// A Deployment, its ReplicaSet and its ready pods `<name>-<number>`.
pub(crate) fn deployed(path: &str, replicas: u32) -> Vec<Value> {
    let (namespace, name) = path.split_once('/').unwrap();
    let set = format!("{name}-rs");
    let mut objects = vec![
        deployment(path, replicas),
        replica_set(&format!("{namespace}/{set}"), name),
    ];
    objects.extend((0..replicas).map(|number| pod_of(&format!("{path}-{number}"), &set)));
    objects
}

fn target(kind: &str, name: &str) -> Value {
    let api_version = match kind {
        "LeaderWorkerSet" => "leaderworkerset.x-k8s.io/v1",
        _ => "apps/v1",
    };
    json!({"apiVersion": api_version, "kind": kind, "name": name})
}

/// A VariantAutoscaling of model `m` for a Deployment.
pub(crate) fn variant(path: &str, deployment: &str) -> Value {
    variant_of(path, "Deployment", deployment)
}

pub(crate) fn variant_of(path: &str, kind: &str, name: &str) -> Value {
    let spec = json!({"scaleTargetRef": target(kind, name), "modelID": "m", "maxReplicas": 10});
    object("llmd.ai/v1alpha1", "VariantAutoscaling", path, spec)
}

/// A managed HPA of model `m` for a Deployment.
pub(crate) fn hpa(path: &str, deployment: &str) -> Value {
    let spec = json!({"scaleTargetRef": target("Deployment", deployment), "maxReplicas": 10});
    let hpa = object("autoscaling/v2", "HorizontalPodAutoscaler", path, spec);
    managed(hpa)
}

/// A managed ScaledObject of model `m` for a Deployment.
pub(crate) fn scaled_object(path: &str, deployment: &str) -> Value {
    let spec = json!({
        "scaleTargetRef": {"name": deployment}, "minReplicaCount": 1, "maxReplicaCount": 10,
    });
    managed(object("keda.sh/v1alpha1", "ScaledObject", path, spec))
}

fn managed(object: Value) -> Value {
    object
        .annotated("llm-d.ai/managed", "true")
        .annotated("llm-d.ai/model-id", "m")
}

/// An InferencePool for pods with the label `app`, its picker behind the Service `<name>-epp`.
pub(crate) fn pool(path: &str, app: &str) -> Value {
    let name = path.split_once('/').unwrap().1;
    let spec = json!({
        "selector": {"matchLabels": {"app": app}},
        "targetPorts": [{"number": 8000}],
        "endpointPickerRef": {"kind": "Service", "name": format!("{name}-epp")},
    });
    object(
        "inference.networking.k8s.io/v1",
        "InferencePool",
        path,
        spec,
    )
}

/// The same, in the older API.
pub(crate) fn old_pool(path: &str, app: &str) -> Value {
    let name = path.split_once('/').unwrap().1;
    let spec = json!({
        "selector": {"app": app},
        "targetPortNumber": 8000,
        "extensionRef": {"name": format!("{name}-epp")},
    });
    let api_version = "inference.networking.x-k8s.io/v1alpha2";
    object(api_version, "InferencePool", path, spec)
}

pub(crate) fn service(path: &str, app: &str) -> Value {
    object("v1", "Service", path, json!({"selector": {"app": app}}))
}

pub(crate) fn namespace(name: &str) -> Value {
    object("v1", "Namespace", name, json!({}))
}

/// A ready node with NVIDIA's GPUs.
pub(crate) fn node(name: &str, product: &str, gpus: u32) -> Value {
    node_with(
        name,
        "nvidia.com/gpu.product",
        product,
        "nvidia.com/gpu",
        gpus,
    )
}

pub(crate) fn node_with(
    name: &str,
    label: &str,
    product: &str,
    resource: &str,
    count: u32,
) -> Value {
    let status = json!({
        "allocatable": {resource: count.to_string(), "cpu": "64"},
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": SCHEDULED}],
    });
    object("v1", "Node", name, json!({}))
        .labelled(label, product)
        .with("/status", status)
}

/// A slice of a node's pool of NVIDIA's devices.
pub(crate) fn slice(name: &str, node: &str, devices: &[Value]) -> Value {
    let spec = json!({
        "driver": "gpu.nvidia.com",
        "nodeName": node,
        "pool": {"name": node, "generation": 1, "resourceSliceCount": 1},
        "devices": devices,
    });
    object("resource.k8s.io/v1", "ResourceSlice", name, spec)
}

pub(crate) fn device(name: &str, product: &str) -> Value {
    json!({"name": name, "attributes": {
        "type": {"string": "gpu"}, "productName": {"string": product}, "uuid": {"string": name},
        "cudaDriverVersion": {"version": "13.0.0"}, "index": {"int": 0},
    }})
}

/// A claim that holds devices of a node.
pub(crate) fn device_claim(path: &str, node: &str, devices: &[&str]) -> Value {
    let held = |device: &&str| json!({"request": "gpu", "driver": "gpu.nvidia.com", "pool": node, "device": device});
    let results: Vec<Value> = devices.iter().map(held).collect();
    object("resource.k8s.io/v1", "ResourceClaim", path, json!({}))
        .with("/status/allocation/devices/results", results)
}

pub(crate) fn claim_template(path: &str, count: u32) -> Value {
    let request = json!({
        "name": "gpu", "exactly": {"deviceClassName": "gpu.nvidia.com", "count": count},
    });
    let spec = json!({"spec": {"devices": {"requests": [request]}}});
    object("resource.k8s.io/v1", "ResourceClaimTemplate", path, spec)
}

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
    index.view(true)
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
        "Service" => index.apply_service(read(object)),
        "Namespace" => {
            let namespace: Object<Ignored, Ignored> = read(object);
            index.apply_namespace(&namespace.metadata);
        }
        "ResourceSlice" => index.apply_slice(read(object)),
        "ResourceClaim" => index.apply_device_claim(read(object)),
        "ResourceClaimTemplate" => index.apply_claim_template(&read(object)),
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
