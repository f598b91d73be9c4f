//! Pools without replicas, when a request waits.

use std::time::Duration;

use anyhow::ensure;
use futures::TryStreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt as _;
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::json;
use tokio::time::Instant;
use trimtab_cluster_tests::emulator::PoolPods;
use trimtab_cluster_tests::fixtures::nodes::GpuNode;
use trimtab_cluster_tests::fixtures::pools::{
    PoolVersion, create_picker, create_pool, picker_name,
};
use trimtab_cluster_tests::fixtures::scalers::variant_autoscaling;
use trimtab_cluster_tests::fixtures::scenario::one_pool;
use trimtab_cluster_tests::fixtures::servers::{ModelServer, wait_for_ready_pods};
use trimtab_cluster_tests::{
    ControlPlane, Emulator, Namespace, Operator, Prometheus, PrometheusOptions, in_namespace,
};

use super::{DEPLOYMENT, NONE, pickers_at, set};
use crate::decisions::{install_own, operate_alone};
use crate::scenario::H100;

/// Variants of the pool, and what a replica of each costs.
const VARIANTS: [(&str, &str); 3] = [("dear", "9"), ("cheap", "2"), ("middle", "5")];

/// What all pods of the pool have.
const MEMBER: (&str, &str) = ("pool", "chat");

fn scenario() -> String {
    let variants = VARIANTS.map(|(name, _)| {
        format!("{{name: {name}, accelerator: H100, min-replicas: 0, max-replicas: 8}}")
    });
    one_pool(NONE, &variants.join(", "))
}

/// A pool of three variants that have no replicas, its picker, and an operator for it.
struct Sleeper {
    emulator: Emulator,
    prometheus: Prometheus,
}

impl Sleeper {
    async fn start(plane: &ControlPlane, namespace: &Namespace) -> anyhow::Result<Self> {
        GpuNode::new("h100", H100, 8).create(namespace).await?;
        for (name, cost) in VARIANTS {
            let server = ModelServer::new(name, "Llama-3.1-8B").replicas(0);
            let server = server.label(MEMBER.0, MEMBER.1);
            server.create_deployment(namespace).await?;
            let mut claim = variant_autoscaling(name, "Llama-3.1-8B", 4);
            if let Some(spec) = claim.get_mut("spec") {
                spec["minReplicas"] = json!(0);
                spec["variantCost"] = json!(cost);
            }
            namespace.apply_json(claim).await?;
        }
        create_pool(namespace, PoolVersion::V1, "chat", &[MEMBER]).await?;
        create_picker(namespace, "chat", 1).await?;
        let epp = picker_name("chat");
        let names = VARIANTS.map(|(name, _)| name);
        let behind = PoolPods::by_app(namespace.name(), &names, Some(&epp));
        let emulator = Emulator::start(plane, &scenario(), 10.0, vec![behind]).await?;
        wait_for_ready_pods(namespace, &format!("app={epp}"), 1).await?;
        let options = PrometheusOptions {
            namespaces: vec![namespace.name().to_owned()],
            pods: Some(emulator.address()),
            ..PrometheusOptions::default()
        };
        let prometheus = Prometheus::start(plane, options).await?;
        Ok(Self {
            emulator,
            prometheus,
        })
    }

    async fn operate(
        &self,
        plane: &ControlPlane,
        namespace: &Namespace,
    ) -> anyhow::Result<Operator> {
        let pickers = pickers_at(&self.emulator);
        let more = [
            &pickers,
            // What happens is not to wait for a cycle.
            "--set=intervalSeconds=20",
            "--set=scaleToZero.enabled=true",
            "--set=maxMetricsAgeSeconds=60",
        ];
        let operator = operate_alone(plane, namespace, &self.prometheus, &more).await?;
        operator.wait_for_log("leading").await?;
        Ok(operator)
    }
}

/// The first Deployment of the namespace that is to have a replica, and when that was seen.
async fn first_started(namespace: &Namespace) -> anyhow::Result<(String, Instant)> {
    let all = watcher(namespace.api::<Deployment>(), watcher::Config::default());
    let mut all = std::pin::pin!(all.applied_objects());
    let names = VARIANTS.map(|(name, _)| name);
    while let Some(object) = all.try_next().await? {
        let count = object.spec.as_ref().and_then(|spec| spec.replicas);
        if count > Some(0) && names.contains(&object.name_any().as_str()) {
            return Ok((object.name_any(), Instant::now()));
        }
    }
    anyhow::bail!("the watch ended")
}

#[tokio::test]
async fn a_request_starts_the_cheapest_of_three_variants_and_waits_for_no_cycle()
-> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    install_own(plane).await?;
    in_namespace(plane, async |namespace| {
        let sleeper = Sleeper::start(plane, namespace).await?;
        let operator = sleeper.operate(plane, namespace).await?;
        let started = first_started(namespace);
        let asked = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            sleeper.emulator.set_rate(0, 200.0);
            loop {
                let picker = sleeper.emulator.picker(0).await?;
                if picker.queued_requests > 0 {
                    return anyhow::Ok(Instant::now());
                }
            }
        };
        let (started, asked) = futures::try_join!(started, asked)?;
        let took = started.1.saturating_duration_since(asked);
        eprintln!("from a queue to a replica that is asked for: {took:?}");
        ensure!(started.0 == "cheap", "{} was started", started.0);
        // How quick it is is a figure; that it waits for no cycle, which comes each 20 s, is not.
        ensure!(took < Duration::from_secs(10), "it took {took:?}");
        operator.wait_for_log("a request waits").await?;

        // Its sibling that starts wakes nobody else.
        wait_for_ready_pods(namespace, "app=cheap", 1).await?;
        for name in ["dear", "middle"] {
            let count = set(namespace, DEPLOYMENT, name).await?;
            ensure!(count == 0, "{name} is to have {count}");
        }
        Ok(())
    })
    .await
}
