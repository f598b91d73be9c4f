//! The kinds that are watched, and what the index does with each.

use std::fmt::Debug;

use kube::Api;
use kube::core::{
    ApiResource, DynamicObject, DynamicResourceScope, GroupVersionKind, PartialObjectMeta,
};
use kube::runtime::watcher;
use serde::de::DeserializeOwned;
use tokio::sync::watch::Receiver;

use super::stream::{Handlers, Watch, follow};
use super::{CLAIMS_FIRST, Cluster, WatchState};
use crate::index::claim::{TargetKey, Way};
use crate::index::{Index, Key, PoolVersion};
use crate::objects::Object;
use crate::objects::autoscaler::{HorizontalPodAutoscaler, ScaledObject};
use crate::objects::definition::ScalePaths;
use crate::objects::device::{ResourceClaim, ResourceClaimTemplate, ResourceSlice};
use crate::objects::node::Node;
use crate::objects::pod::Pod;
use crate::objects::policy::{PoolPolicy, ScalingPolicy};
use crate::objects::pool::{InferencePool, Service};
use crate::objects::variant::VariantAutoscaling;
use crate::objects::workload::Workload;

/// Kinds without which nothing is decided; of these, those that every cluster has.
pub(super) const REQUIRED: [&str; 14] = [
    "Deployment",
    "HorizontalPodAutoscaler",
    "InferencePool",
    "InferencePool (v1alpha2)",
    "LeaderWorkerSet",
    "Namespace",
    "Pod",
    "PoolPolicy",
    "ReplicaSet",
    "ScaledObject",
    "ScalingPolicy",
    "Service",
    "StatefulSet",
    "VariantAutoscaling",
];
pub(super) const ALWAYS_THERE: [&str; 7] = [
    "Deployment",
    "HorizontalPodAutoscaler",
    "Namespace",
    "Pod",
    "ReplicaSet",
    "Service",
    "StatefulSet",
];

/// What is asked for of objects of which nothing else matters.
type Metadata = PartialObjectMeta<Object<(), ()>>;

/// Objects of one list call: a page of pods is a few megabytes.
const PAGE: u32 = 500;

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    let gvk = GroupVersionKind::gvk(group, version, kind);
    ApiResource::from_gvk_with_plural(&gvk, plural)
}

fn config() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

impl Cluster {
    pub(super) fn watch_all(&self) {
        self.watch_claims();
        self.watch_pools();
        self.watch_policies();
        for (kind, plural) in [
            ("Deployment", "deployments"),
            ("StatefulSet", "statefulsets"),
        ] {
            self.watch_target(resource("apps", "v1", kind, plural));
        }
        let group = "leaderworkerset.x-k8s.io";
        self.watch_target(resource(group, "v1", "LeaderWorkerSet", "leaderworkersets"));
        self.watch_owners();
        self.watch_nodes();
        self.watch_devices();
        tokio::spawn(self.clone().watch_pods());
    }

    fn watch_claims(&self) {
        self.watch::<VariantAutoscaling>(
            resource(
                "llmd.ai",
                "v1alpha1",
                "VariantAutoscaling",
                "variantautoscalings",
            ),
            Handlers::new(
                |index, object| index.apply_variant(&object),
                |index, key| index.delete_claim(Way::VariantAutoscaling, key.clone()),
            ),
        );
        self.watch::<HorizontalPodAutoscaler>(
            resource(
                "autoscaling",
                "v2",
                "HorizontalPodAutoscaler",
                "horizontalpodautoscalers",
            ),
            Handlers::new(
                |index, object| index.apply_hpa(&object),
                |index, key| index.delete_claim(Way::HorizontalPodAutoscaler, key.clone()),
            ),
        );
        self.watch::<ScaledObject>(
            resource("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects"),
            Handlers::new(
                |index, object| index.apply_scaled_object(&object),
                |index, key| index.delete_claim(Way::ScaledObject, key.clone()),
            ),
        );
    }

    fn watch_pools(&self) {
        let pool = |group, version| resource(group, version, "InferencePool", "inferencepools");
        self.watch::<InferencePool>(
            pool("inference.networking.k8s.io", "v1"),
            Handlers::new(
                |index, object| index.apply_pool(PoolVersion::V1, object),
                |index, key| index.delete_pool(PoolVersion::V1, key),
            ),
        );
        self.watch_as::<InferencePool>(
            "InferencePool (v1alpha2)".to_owned(),
            pool("inference.networking.x-k8s.io", "v1alpha2"),
            Handlers::new(
                |index, object| index.apply_pool(PoolVersion::V1Alpha2, object),
                |index, key| index.delete_pool(PoolVersion::V1Alpha2, key),
            ),
        );
        self.watch::<Service>(
            resource("", "v1", "Service", "services"),
            Handlers::new(Index::apply_service, Index::delete_service),
        );
        let namespaces = resource("", "v1", "Namespace", "namespaces");
        let api: Api<Metadata> = Api::all_with(self.client.clone(), &namespaces);
        self.spawn(
            ("Namespace", ""),
            &namespaces,
            api,
            Handlers::new(
                |index, object: Metadata| index.apply_namespace(&object.metadata),
                |index, (_, name)| index.delete_namespace(name),
            ),
        );
    }

    fn watch_policies(&self) {
        let of = |kind, plural| resource("trimtab.dev", "v1alpha1", kind, plural);
        self.watch::<ScalingPolicy>(
            of("ScalingPolicy", "scalingpolicies"),
            Handlers::new(
                |index, object| index.apply_policy(&object),
                Index::delete_policy,
            ),
        );
        self.watch::<PoolPolicy>(
            of("PoolPolicy", "poolpolicies"),
            Handlers::new(
                |index, object| index.apply_pool_policy(&object),
                Index::delete_pool_policy,
            ),
        );
    }

    fn watch_target(&self, resource: ApiResource) {
        let of = resource.clone();
        self.watch_target_as::<Workload>(resource.kind.clone(), resource, move |index, object| {
            index.apply_workload(&of.group, &of.kind, object);
        });
    }

    /// Anything with a `scale` subresource.
    pub(super) fn watch_custom(&self, name: String, resource: ApiResource, paths: ScalePaths) {
        let of = resource.clone();
        self.watch_target_as::<DynamicObject>(name, resource, move |index, object| {
            index.apply_workload(&of.group, &of.kind, paths.workload(object));
        });
    }

    fn watch_target_as<K>(
        &self,
        name: String,
        resource: ApiResource,
        apply: impl Fn(&mut Index, K) + Send + Sync + 'static,
    ) where
        K: kube::Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
        K: Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let (group, kind) = (resource.group.clone(), resource.kind.clone());
        let of = (group.clone(), kind.clone());
        super::unpoisoned(self.picture.resources.lock()).insert(of, resource.clone());
        let target = move |(namespace, name): &Key| TargetKey {
            namespace: namespace.clone(),
            group: group.clone(),
            kind: kind.clone(),
            name: name.clone(),
        };
        self.watch_as::<K>(
            name,
            resource,
            Handlers::new(apply, move |index, key| {
                index.delete_workload(&target(key));
            }),
        );
    }

    /// Of ReplicaSets only their metadata are asked for.
    fn watch_owners(&self) {
        let sets = resource("apps", "v1", "ReplicaSet", "replicasets");
        let owned = |(namespace, name): Key| TargetKey {
            namespace,
            group: "apps".to_owned(),
            kind: "ReplicaSet".to_owned(),
            name,
        };
        self.watch::<Metadata>(
            sets,
            Handlers::new(
                move |index, object: Metadata| {
                    let key = crate::index::key(&object.metadata);
                    index.own(owned(key), &object.metadata);
                },
                move |index, key| index.disown(&owned(key.clone())),
            ),
        );
    }

    fn watch_nodes(&self) {
        let nodes = resource("", "v1", "Node", "nodes");
        let api: Api<Node> = Api::all_with(self.client.clone(), &nodes);
        self.spawn(
            ("Node", ""),
            &nodes,
            api,
            Handlers::new(Index::apply_node, |index, (_, name)| {
                index.delete_node(name)
            }),
        );
    }

    /// Dynamic resource allocation is in Kubernetes since 1.34 as `v1`; before, it is absent.
    fn watch_devices(&self) {
        let device = |kind, plural| resource("resource.k8s.io", "v1", kind, plural);
        let slices = device("ResourceSlice", "resourceslices");
        let api: Api<ResourceSlice> = Api::all_with(self.client.clone(), &slices);
        self.spawn(
            ("ResourceSlice", ""),
            &slices,
            api,
            Handlers::new(Index::apply_slice, |index, (_, name)| {
                index.delete_slice(name)
            }),
        );
        self.watch::<ResourceClaim>(
            device("ResourceClaim", "resourceclaims"),
            Handlers::new(Index::apply_device_claim, Index::delete_device_claim),
        );
        self.watch::<ResourceClaimTemplate>(
            device("ResourceClaimTemplate", "resourceclaimtemplates"),
            Handlers::new(Index::apply_claim_template, Index::delete_claim_template),
        );
    }

    /// Pods are listed once it is known whose pods matter.
    async fn watch_pods(self) {
        let claims = || {
            let kinds = self.kinds();
            let settled = |kind: &&str| {
                let state = WatchState::of(&kinds, kind);
                state.synced || state.absent || state.error.is_some()
            };
            let kinds = [
                "VariantAutoscaling",
                "HorizontalPodAutoscaler",
                "ScaledObject",
            ];
            kinds.iter().all(settled)
        };
        let _ = tokio::time::timeout(CLAIMS_FIRST, async {
            while !claims() {
                tokio::time::sleep(CLAIMS_FIRST / 100).await;
            }
        })
        .await;
        self.index().take_unlisted();
        let pods = resource("", "v1", "Pod", "pods");
        let handlers = Handlers::new(Index::apply_pod, Index::delete_pod);
        for (namespace, api) in self.apis::<Pod>("Pod", &pods) {
            let relist = Some(self.picture.relist.subscribe());
            self.spawn_with(("Pod", &namespace), &pods, api, handlers.clone(), relist);
        }
    }

    fn watch<K>(&self, resource: ApiResource, handlers: Handlers<K>)
    where
        K: kube::Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
        K: Clone + Debug + DeserializeOwned + Send + 'static,
    {
        self.watch_as(resource.kind.clone(), resource, handlers);
    }

    fn watch_as<K>(&self, name: String, resource: ApiResource, handlers: Handlers<K>)
    where
        K: kube::Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
        K: Clone + Debug + DeserializeOwned + Send + 'static,
    {
        for (namespace, api) in self.apis(&name, &resource) {
            self.spawn((&name, &namespace), &resource, api, handlers.clone());
        }
    }

    fn spawn<K>(
        &self,
        watch: (&str, &str),
        resource: &ApiResource,
        api: Api<K>,
        handlers: Handlers<K>,
    ) where
        K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        self.spawn_with(watch, resource, api, handlers, None);
    }

    /// A word from `relist` opens the watch anew.
    fn spawn_with<K>(
        &self,
        (kind, namespace): (&str, &str),
        resource: &ApiResource,
        api: Api<K>,
        handlers: Handlers<K>,
        relist: Option<Receiver<u64>>,
    ) where
        K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let watch = Watch {
            cluster: self.clone(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            resource: resource.clone(),
        };
        let stream = move || watcher(api.clone(), config());
        tokio::spawn(follow(watch, stream, handlers, relist));
    }

    /// One for all namespaces, of the empty name, or one for each that is watched. From now on the
    /// kind is listed where all of them are.
    fn apis<K>(&self, kind: &str, resource: &ApiResource) -> Vec<(String, Api<K>)>
    where
        K: kube::Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
    {
        let client = || self.client.clone();
        let apis: Vec<(String, Api<K>)> = if self.namespaces.is_empty() {
            vec![(String::new(), Api::all_with(client(), resource))]
        } else {
            let of = |name: &String| (name.clone(), Api::namespaced_with(client(), name, resource));
            self.namespaces.iter().map(of).collect()
        };
        let watches = apis
            .iter()
            .map(|(name, _)| (name.clone(), WatchState::default()));
        self.kinds().insert(kind.to_owned(), watches.collect());
        apis
    }
}
