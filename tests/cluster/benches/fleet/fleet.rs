//! The cluster that is measured: pools with their pickers, variants, and pods on GPU nodes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::ListParams;
use trimtab_cluster_tests::control_plane::audit::Audited;
use trimtab_cluster_tests::emulator::crowd::{Member, Roll};
use trimtab_cluster_tests::fixtures::nodes::GpuNode;
use trimtab_cluster_tests::fixtures::pools::{PoolVersion, create_picker, create_pool};
use trimtab_cluster_tests::fixtures::scalers::variant_autoscaling;
use trimtab_cluster_tests::fixtures::servers::ModelServer;
use trimtab_cluster_tests::wait::wait_until;
use trimtab_cluster_tests::{Namespace, Options};

use crate::audit;

const H100: &str = "NVIDIA-H100-80GB-HBM3";

/// GPUs of a node: fewer nodes than with 8, which the control plane would spend its time on.
const NODE_GPUS: u32 = 64;

/// Objects that are made at a time.
const AT_ONCE: usize = 16;

/// How long all pods may take to be ready.
const READY: Duration = Duration::from_secs(1800);

/// The label by which a pool selects its pods.
const POOL_LABEL: &str = "pool";

/// Requests per second of each server: so few that nothing is asked for beyond the minimum. The
/// noise of one server is that of all of them here.
pub(crate) const RATE: f64 = 0.2;

#[derive(Clone, Copy)]
pub(crate) struct Size {
    variants: usize,
    pools: usize,
    /// Of each variant.
    replicas: usize,
}

impl Size {
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let numbers: Result<Vec<usize>, _> = text.split('/').map(str::parse).collect();
        let expected = || format!("`{text}` is no size; expected VARIANTS/POOLS/REPLICAS");
        match numbers.with_context(expected)?[..] {
            [variants, pools, replicas] if variants >= pools && pools > 0 => Ok(Self {
                variants,
                pools,
                replicas,
            }),
            _ => anyhow::bail!(expected()),
        }
    }

    /// Servers and pickers.
    pub(crate) fn pods(self) -> usize {
        self.variants * self.replicas + self.pools
    }

    /// Servers of a pool.
    fn servers(self, pool: usize) -> usize {
        let variants = (self.variants - pool).div_ceil(self.pools);
        variants * self.replicas
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            variants, pools, ..
        } = self;
        let servers = variants * self.replicas;
        write!(f, "{variants} variants in {pools} pools, {servers} servers")
    }
}

/// A control plane that is not in the way.
pub(crate) fn plane() -> Options {
    let quick = ["--kube-api-qps=3000", "--kube-api-burst=3000"];
    let of = |name: &str, argument: &str| (name.to_owned(), argument.to_owned());
    let mut arguments = Vec::new();
    for argument in quick {
        arguments.push(of("kube-controller-manager", argument));
        arguments.push(of("kube-scheduler", argument));
    }
    for argument in [
        "--max-requests-inflight=3000",
        "--max-mutating-requests-inflight=2000",
    ] {
        arguments.push(of("kube-apiserver", argument));
    }
    Options {
        audited: Audited::Users(vec![audit::USER.to_owned()]),
        arguments,
        ..Options::default()
    }
}

/// `p7`, of which the variants are `p7-v0` and so on.
fn pool_name(pool: usize) -> String {
    format!("p{pool}")
}

fn model(pool: &str) -> String {
    format!("org/model-{pool}")
}

pub(crate) async fn create(namespace: &Namespace, size: Size) -> anyhow::Result<()> {
    let gpus = size.variants * size.replicas;
    for node in 0..gpus.div_ceil(NODE_GPUS as usize) + 1 {
        let node = GpuNode::new(&format!("n{node}"), H100, NODE_GPUS);
        node.create(namespace).await?;
    }
    stream::iter(0..size.pools)
        .map(async |pool| {
            let name = pool_name(pool);
            let labels = [(POOL_LABEL, name.as_str())];
            create_pool(namespace, PoolVersion::V1, &name, &labels).await?;
            create_picker(namespace, &name, 1).await
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    stream::iter(0..size.variants)
        .map(async |variant| create_variant(namespace, size, variant).await)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

async fn create_variant(namespace: &Namespace, size: Size, variant: usize) -> anyhow::Result<()> {
    let pool = pool_name(variant % size.pools);
    let name = format!("{pool}-v{}", variant / size.pools);
    let model = model(&pool);
    let server = ModelServer::new(&name, &model).label(POOL_LABEL, &pool);
    let replicas = u32::try_from(size.replicas)?;
    let server = server.replicas(replicas);
    server.create_deployment(namespace).await?;
    let mut claim = variant_autoscaling(&name, &model, 2 * replicas);
    let spec = claim.get_mut("spec").and_then(|spec| spec.as_object_mut());
    let spec = spec.context("a claim without `spec`")?;
    spec.insert("minReplicas".to_owned(), replicas.into());
    namespace.apply_json(claim).await.map(drop)
}

/// Waits until all pods are ready, and gives their number.
pub(crate) async fn ready(namespace: &Namespace, size: Size) -> anyhow::Result<usize> {
    let deployments = namespace.api::<Deployment>();
    let wanted = size.pods();
    wait_until("all pods are ready", READY, async || {
        let found = deployments.list(&ListParams::default()).await?;
        let statuses = found.iter().filter_map(|of| of.status.as_ref());
        let ready: i32 = statuses.filter_map(|status| status.ready_replicas).sum();
        let ready = usize::try_from(ready)?;
        ensure!(ready >= wanted, "{ready} of {wanted}");
        Ok(ready)
    })
    .await
}

/// Who a pod is, by the name of its Deployment: `p7-v0` or `p7-epp`.
pub(crate) fn roll(size: Size) -> Roll {
    Arc::new(move |pod| {
        let (pool, rest) = pod.split_once('-')?;
        let model = model(pool);
        if !rest.starts_with("epp-") {
            return Some(Member::Server { model });
        }
        let number: usize = pool.strip_prefix('p')?.parse().ok()?;
        Some(Member::Picker {
            pool: pool.to_owned(),
            model,
            servers: size.servers(number) as u64,
        })
    })
}
