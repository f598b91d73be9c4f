//! Workloads that we scale ourselves.

use anyhow::ensure;
use kube::api::{Api, DynamicObject};
use serde_json::json;
use trimtab_cluster_tests::fixtures::groups::GroupController;
use trimtab_cluster_tests::fixtures::nodes::GpuNode;
use trimtab_cluster_tests::fixtures::scalers::{hpa, variant_autoscaling};
use trimtab_cluster_tests::fixtures::servers::ModelServer;
use trimtab_cluster_tests::scratch::Scratch;
use trimtab_cluster_tests::wait::wait_until;
use trimtab_cluster_tests::{ControlPlane, Namespace, in_namespace};

use super::{DEPLOYMENT, quick, set, wait_for_count};
use crate::decisions::{DEADLINE, HEAVY, install_own, operate_alone, operate_with, with_chat};
use crate::scenario::{Chat, H100};

const STATEFUL_SET: (&str, &str, &str) = ("apps", "v1", "StatefulSet");
const DIRECT: [&str; 2] = ["--listen-metrics=0", "--set=actuation=direct"];
const LIGHT: f64 = 20.0;

/// A pool of one workload `chat-h100` that is made by `create`, which follows the load.
async fn follows_the_load(
    kind: (&str, &str, &str),
    create: impl AsyncFnOnce(&Namespace) -> anyhow::Result<Option<GroupController>>,
) -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    install_own(plane).await?;
    in_namespace(plane, async |namespace| {
        GpuNode::new("h100", H100, 16).create(namespace).await?;
        let _controller = create(namespace).await?;
        let chat = Chat::of_workload(plane, namespace, 1, 10.0).await?;
        let mut claim = variant_autoscaling("chat-h100", "Llama-3.1-8B", 6);
        if let Some(spec) = claim.get_mut("spec") {
            let (group, version, kind) = kind;
            spec["scaleTargetRef"] = json!({
                "apiVersion": format!("{group}/{version}"), "kind": kind, "name": "chat-h100",
            });
        }
        namespace.apply_json(claim).await?;
        let scratch = Scratch::new("configuration")?;
        let quick = quick(&scratch)?;
        let more = ["--set=actuation=direct", quick.as_str()];
        let _operator = operate_alone(plane, namespace, &chat.prometheus, &more).await?;
        chat.emulator.set_rate(0, HEAVY);
        let target = (kind, "chat-h100");
        wait_for_count(namespace, target, "grows", |count| count > 2).await?;
        chat.emulator.set_rate(0, LIGHT);
        wait_for_count(namespace, target, "goes back", |count| count == 1).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_stateful_set_follows_the_load_without_an_autoscaler() -> anyhow::Result<()> {
    follows_the_load(STATEFUL_SET, async |namespace| {
        let server = ModelServer::new("chat-h100", "Llama-3.1-8B").replicas(1);
        server.create_stateful_set(namespace).await?;
        Ok(None)
    })
    .await
}

#[tokio::test]
async fn groups_of_a_leader_worker_set_follow_the_load_without_an_autoscaler() -> anyhow::Result<()>
{
    let kind = ("leaderworkerset.x-k8s.io", "v1", "LeaderWorkerSet");
    follows_the_load(kind, async |namespace| {
        let server = ModelServer::new("chat-h100", "Llama-3.1-8B").replicas(1);
        // The emulator takes each pod for a replica.
        server.create_leader_worker_set(namespace, 1).await?;
        Ok(Some(GroupController::start(namespace)))
    })
    .await
}

#[tokio::test]
async fn what_an_hpa_scales_is_left_to_it() -> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat-h100"});
        // Nobody serves its metric, so it does nothing.
        let idle = hpa(json!({"name": "idle"}), &target, (1, 6));
        namespace.apply_json(idle).await?;
        let _operator = operate_with(plane, namespace, chat, &DIRECT, &[]).await?;
        chat.emulator.set_rate(0, HEAVY);
        wait_until("the conflict is told", DEADLINE, async || {
            let events: Api<DynamicObject> = namespace.dynamic(("", "v1", "Event"));
            let events = events.list(&Default::default()).await?;
            let mut events = events.iter();
            let told = events.find(|event| event.data["reason"] == "ActuationConflict");
            let told = told.map(|event| event.data["message"].to_string());
            let told = told.ok_or_else(|| anyhow::anyhow!("not yet"))?;
            ensure!(told.contains("HorizontalPodAutoscaler"), "{told}");
            Ok(())
        })
        .await?;
        let count = set(namespace, DEPLOYMENT, "chat-h100").await?;
        ensure!(count == 1, "it is to have {count}");
        let hpas: Api<DynamicObject> =
            namespace.dynamic(("autoscaling", "v2", "HorizontalPodAutoscaler"));
        hpas.delete("idle", &Default::default()).await?;
        let target = (DEPLOYMENT, "chat-h100");
        wait_for_count(namespace, target, "grows without it", |count| count > 1).await?;
        Ok(())
    })
    .await
}
