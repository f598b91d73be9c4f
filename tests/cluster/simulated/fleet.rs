//! The scenario's pools in a cluster, each asked for in a way of its own.

use anyhow::Context as _;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use trimtab_cluster_tests::Namespace;
use trimtab_cluster_tests::emulator::PoolPods;
use trimtab_cluster_tests::fixtures::groups::GroupController;
use trimtab_cluster_tests::fixtures::nodes::{GpuNode, H100, PRODUCT_LABEL};
use trimtab_cluster_tests::fixtures::pools::{
    PoolVersion, create_picker, create_pool, picker_name,
};
use trimtab_cluster_tests::fixtures::scalers::hpa;
use trimtab_cluster_tests::fixtures::servers::{APP_LABEL, ModelServer, wait_for_ready_pods};
use trimtab_sim::spec::{PoolSpec, Spec, VariantSpec};

/// On pods, whichever variant's they are.
const POOL_LABEL: &str = "pool";
const WORKER_INDEX: &str = "leaderworkerset.sigs.k8s.io/worker-index";

/// The scenario's accelerators as nodes name them.
const PRODUCTS: [(&str, &str); 2] = [("H100", H100), ("L40S", "NVIDIA-L40S")];

/// What asks for a workload to be scaled.
#[derive(Clone, Copy)]
enum Way {
    VariantAutoscaling,
    Hpa,
    ScaledObject,
}

/// What is scaled.
#[derive(Clone, Copy)]
pub(super) enum Workload {
    Deployment,
    StatefulSet,
    LeaderWorkerSet,
}

/// How a pool of the scenario is in the cluster.
struct Place<'a> {
    namespace: &'a Namespace,
    name: &'static str,
    way: Way,
    workloads: [Workload; 2],
}

/// A workload, by the name of its variant.
pub(super) struct Target {
    pub(super) namespace: Namespace,
    pub(super) variant: String,
    workload: Workload,
}

pub(super) struct Fleet {
    /// As the scenario's pools.
    pub(super) pods: Vec<PoolPods>,
    /// By pool and variant, as the scenario has them.
    pub(super) targets: Vec<Vec<Target>>,
    _groups: GroupController,
}

impl Fleet {
    /// Makes all that the scenario has, and waits until its first replicas are ready.
    pub(super) async fn create(
        spec: &Spec,
        one: &Namespace,
        other: &Namespace,
    ) -> anyhow::Result<Self> {
        for (namespace, (card, product)) in [one, other]
            .into_iter()
            .flat_map(|namespace| PRODUCTS.map(|of| (namespace, of)))
        {
            let name = card.to_lowercase();
            GpuNode::new(&name, product, 64).create(namespace).await?;
        }
        let mut fleet = Self {
            pods: Vec::new(),
            targets: Vec::new(),
            _groups: GroupController::start(one),
        };
        for pool in &spec.pools {
            let place = Place::of(&pool.name, one, other)?;
            fleet.pods.push(place.create(pool).await?);
            let workloads = pool.variants.iter().zip(place.workloads);
            let targets = workloads.map(|(variant, workload)| Target {
                namespace: place.namespace.clone(),
                variant: variant.name.clone(),
                workload,
            });
            fleet.targets.push(targets.collect());
        }
        for (pool, targets) in spec.pools.iter().zip(&fleet.targets) {
            for (variant, target) in pool.variants.iter().zip(targets) {
                target.wait_for_replicas(variant.initial_replicas).await?;
            }
        }
        Ok(fleet)
    }
}

impl<'a> Place<'a> {
    fn of(pool: &str, one: &'a Namespace, other: &'a Namespace) -> anyhow::Result<Self> {
        use Way::{Hpa, ScaledObject, VariantAutoscaling};
        use Workload::{Deployment, LeaderWorkerSet, StatefulSet};
        let (namespace, name, way, workloads) = match pool {
            "chat" => (one, "chat", VariantAutoscaling, [Deployment, Deployment]),
            "hpa" => (one, "hpa", Hpa, [Deployment, StatefulSet]),
            "keda" => (one, "keda", ScaledObject, [Deployment, Deployment]),
            "groups" => {
                let groups = [LeaderWorkerSet, LeaderWorkerSet];
                (one, "groups", VariantAutoscaling, groups)
            }
            "chat-elsewhere" => (other, "chat", VariantAutoscaling, [Deployment, Deployment]),
            _ => anyhow::bail!("no place for pool `{pool}`"),
        };
        Ok(Self {
            namespace,
            name,
            way,
            workloads,
        })
    }

    async fn create(&self, pool: &PoolSpec) -> anyhow::Result<PoolPods> {
        let (namespace, name) = (self.namespace, self.name);
        let ours = [(POOL_LABEL, name)];
        create_pool(namespace, PoolVersion::V1, name, &ours).await?;
        create_picker(namespace, name, 1).await?;
        let picker = picker_name(name);
        wait_for_ready_pods(namespace, &format!("{APP_LABEL}={picker}"), 1).await?;
        let names = pool.variants.iter().map(|variant| variant.name.as_str());
        let names: Vec<&str> = names.collect();
        let mut pods = PoolPods::by_app(namespace.name(), &names, Some(&picker));
        pods.name = Some(name.to_owned());
        let variants = pool.variants.iter().zip(self.workloads);
        for ((variant, workload), labels) in variants.zip(&mut pods.variants) {
            workload.create(self, &pool.model, variant).await?;
            self.claim(&pool.model, variant, workload).await?;
            if matches!(workload, Workload::LeaderWorkerSet) {
                labels.insert(WORKER_INDEX.to_owned(), "0".to_owned());
            }
        }
        Ok(pods)
    }

    /// Makes what asks for the variant to be scaled.
    async fn claim(
        &self,
        model: &str,
        variant: &VariantSpec,
        workload: Workload,
    ) -> anyhow::Result<()> {
        let namespace = self.namespace;
        let (group, version, kind) = workload.kind();
        let name = &variant.name;
        let target = json!({
            "apiVersion": format!("{group}/{version}"), "kind": kind, "name": name,
        });
        let cost = variant.cost_per_hour.to_string();
        let (min, max) = (variant.min_replicas, variant.max_replicas);
        let annotations = json!({
            "llm-d.ai/managed": "true",
            "llm-d.ai/model-id": model,
            "llm-d.ai/variant-cost": cost,
        });
        match self.way {
            Way::VariantAutoscaling => {
                let object = json!({
                    "apiVersion": "llmd.ai/v1alpha1",
                    "kind": "VariantAutoscaling",
                    "metadata": {"name": name},
                    "spec": {
                        "scaleTargetRef": target, "modelID": model, "variantCost": cost,
                        "minReplicas": min, "maxReplicas": max,
                    },
                });
                namespace.apply_json(object).await?;
            }
            Way::Hpa => {
                let name = format!("{name}-hpa");
                let metadata = json!({"name": name, "annotations": annotations});
                namespace
                    .apply_json(hpa(metadata, &target, (min, max)))
                    .await?;
            }
            Way::ScaledObject => {
                let named = (name.as_str(), &annotations);
                scaled_object(namespace, named, &target, (min, max)).await?;
            }
        }
        Ok(())
    }
}

impl Workload {
    /// Group, version and kind.
    fn kind(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Deployment => ("apps", "v1", "Deployment"),
            Self::StatefulSet => ("apps", "v1", "StatefulSet"),
            Self::LeaderWorkerSet => ("leaderworkerset.x-k8s.io", "v1", "LeaderWorkerSet"),
        }
    }

    async fn create(
        self,
        place: &Place<'_>,
        model: &str,
        variant: &VariantSpec,
    ) -> anyhow::Result<()> {
        let product = PRODUCTS.into_iter().find(|of| of.0 == variant.accelerator);
        let (_, product) = product.context("an accelerator without a node")?;
        let engine = &variant.engine;
        let gpus = variant.gpus_per_replica;
        let server = ModelServer::new(&variant.name, model)
            .replicas(variant.initial_replicas)
            .label(POOL_LABEL, place.name)
            .node_selector(PRODUCT_LABEL, product)
            .arguments(&[
                &format!("--max-num-batched-tokens={}", engine.max_batched_tokens),
                &format!("--max-num-seqs={}", engine.max_sequences),
                &format!("--tensor-parallel-size={}", engine.tensor_parallel),
            ]);
        let namespace = place.namespace;
        match self {
            Self::Deployment => server.create_deployment(namespace).await.map(drop),
            Self::StatefulSet => server.create_stateful_set(namespace).await.map(drop),
            // A GPU in each pod: those of a replica are spread over its group.
            Self::LeaderWorkerSet => server.create_leader_worker_set(namespace, gpus).await,
        }
    }
}

impl Target {
    /// As an HPA that does what it is told.
    pub(super) async fn scale(&self, replicas: u32) -> anyhow::Result<()> {
        let of_kind = self.namespace.dynamic(self.workload.kind());
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        of_kind
            .patch_scale(&self.variant, &PatchParams::default(), &patch)
            .await?;
        Ok(())
    }

    async fn wait_for_replicas(&self, replicas: u32) -> anyhow::Result<()> {
        let mut selector = format!("{APP_LABEL}={}", self.variant);
        if matches!(self.workload, Workload::LeaderWorkerSet) {
            selector += &format!(",{WORKER_INDEX}=0");
        }
        wait_for_ready_pods(&self.namespace, &selector, replicas as usize).await?;
        Ok(())
    }
}

/// With the HPA that KEDA makes for it.
async fn scaled_object(
    namespace: &Namespace,
    (name, annotations): (&str, &Value),
    target: &Value,
    (min, max): (u32, u32),
) -> anyhow::Result<()> {
    let object = json!({
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {
            "scaleTargetRef": target,
            "minReplicaCount": min,
            "maxReplicaCount": max,
            "triggers": [{"type": "prometheus"}],
        },
    });
    let scaled = namespace.apply_json(object).await?;
    let metadata = json!({
        "name": format!("keda-hpa-{name}"),
        "annotations": annotations,
        "ownerReferences": [owner(&scaled)?],
    });
    let child = hpa(metadata, target, (min.max(1), max));
    namespace.apply_json(child).await.map(drop)
}

fn owner(of: &DynamicObject) -> anyhow::Result<Value> {
    let types = of.types.as_ref().context("an object without a kind")?;
    Ok(json!({
        "apiVersion": types.api_version,
        "kind": types.kind,
        "name": of.metadata.name,
        "uid": of.metadata.uid,
        "controller": true,
    }))
}
