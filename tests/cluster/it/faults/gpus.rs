//! Nodes and GPUs that are lost, or never were.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::json;
use trimtab_cluster_tests::fixtures::nodes::GpuNode;
use trimtab_cluster_tests::fixtures::servers::{
    APP_LABEL, ModelServer, is_ready, scale_deployment, wait_for_ready_pods,
};
use trimtab_cluster_tests::namespace::NODE_LABEL;
use trimtab_cluster_tests::ports::free_port;
use trimtab_cluster_tests::process::Signal;
use trimtab_cluster_tests::wait::{DEADLINE, wait_until};
use trimtab_cluster_tests::{ControlPlane, Namespace, Operator, in_namespace};

use super::Counts;
use super::prometheus::ticks;
use crate::decisions::{
    HEAVY, VARIANT, claim, grown, install_own, metric, operate_everywhere, reason, scrape, status,
    wait_for,
};
use crate::scenario::{Chat, H100};

const OF_CHAT: &str = "app=chat-h100";

/// An operator that sees the nodes of its namespace, and so all namespaces, but decides for its own
/// alone. With it, the port of its metrics.
async fn operate_with_nodes(
    plane: &ControlPlane,
    namespace: &Namespace,
    chat: &Chat,
) -> anyhow::Result<(Operator, u16)> {
    let name = namespace.name();
    let port = free_port()?;
    let more = [
        format!("--listen-metrics=127.0.0.1:{port}"),
        format!("--set=nodeSelector={NODE_LABEL}={name}"),
        format!("--controller-instance={name}"),
    ];
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    let operator = operate_everywhere(plane, namespace, chat, &more, &[]).await?;
    Ok((operator, port))
}

/// Makes the variant one of this operator.
async fn claim_here(namespace: &Namespace) -> anyhow::Result<()> {
    claim(namespace).await?;
    let label = json!({"metadata": {"labels": {
        "wva.llmd.ai/controller-instance": namespace.name(),
    }}});
    let variants: Api<DynamicObject> = namespace.dynamic(VARIANT);
    let patch = Patch::Merge(label);
    variants
        .patch("chat-h100", &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

async fn wait_for_gpus(port: u16, gpus: f64) -> anyhow::Result<()> {
    wait_until(&format!("{gpus} GPUs are known"), DEADLINE, async || {
        let metrics = scrape(port).await?;
        let known = metric(&metrics, &["trimtab_gpus{", H100]);
        ensure!(known == Some(gpus), "{known:?} are");
        Ok(())
    })
    .await
}

/// Its kubelet is not heard of any more: says of it and its pods what the node controller says
/// after a while.
pub(crate) async fn lose(
    plane: &ControlPlane,
    namespace: &Namespace,
    node: &str,
) -> anyhow::Result<()> {
    plane.signal("kwok", Signal::STOP).await?;
    let ready = |status: &str| {
        let condition = json!({"type": "Ready", "status": status, "reason": "NodeStatusUnknown"});
        Patch::Strategic(json!({"status": {"conditions": [condition]}}))
    };
    let parameters = PatchParams::default();
    let nodes: Api<Node> = Api::all(namespace.client());
    nodes
        .patch_status(node, &parameters, &ready("Unknown"))
        .await?;
    let pods: Api<Pod> = namespace.api();
    let on_it = ListParams::default().fields(&format!("spec.nodeName={node}"));
    for pod in pods.list(&on_it).await? {
        pods.patch_status(&pod.name_any(), &parameters, &ready("False"))
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_node_that_is_lost_takes_its_gpus_and_lowers_nothing() -> anyhow::Result<()> {
    let plane = ControlPlane::start(Default::default()).await?;
    install_own(&plane).await?;
    in_namespace(&plane, async |namespace| {
        let chat = Chat::start(&plane, namespace, 1, 10.0).await?;
        claim_here(namespace).await?;
        let (_operator, port) = operate_with_nodes(&plane, namespace, &chat).await?;
        let asked = grown(namespace, &chat).await?;
        let counts = Counts::follow(namespace);
        wait_for_gpus(port, 8.0).await?;

        // The second replica is on a node of its own.
        let nodes: Api<Node> = Api::all(namespace.client());
        let full = format!("{}-h100", namespace.name());
        nodes.cordon(&full).await?;
        let other = GpuNode::new("other", H100, 4).create(namespace).await?;
        scale_deployment(namespace, "chat-h100", 2).await?;
        wait_for_ready_pods(namespace, OF_CHAT, 2).await?;
        nodes.uncordon(&full).await?;
        wait_for_gpus(port, 12.0).await?;

        lose(&plane, namespace, &other).await?;
        wait_for_gpus(port, 8.0).await?;
        let pods: Api<Pod> = namespace.api();
        let listed = pods.list(&ListParams::default().labels(OF_CHAT)).await?;
        assert_eq!(listed.iter().filter(|pod| is_ready(pod)).count(), 1);
        // Of the replica that is left all is known: the other one is not waited for.
        let from = ticks(&scrape(port).await?).context("no ticks")?;
        wait_until("it goes on with one", DEADLINE, async || {
            let passed = ticks(&scrape(port).await?).context("no ticks")? - from;
            let status = status(namespace).await?;
            let measured = reason(&status, "MetricsAvailable");
            ensure!(measured.as_deref() == Some("MetricsFound"), "{status:#}");
            ensure!(passed >= 3.0, "{passed} ticks");
            Ok(())
        })
        .await?;
        counts.never_fell(asked)
    })
    .await
}

#[tokio::test]
async fn a_pod_that_finds_no_place_is_shown_and_no_more_is_asked_for() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    install_own(plane).await?;
    in_namespace(plane, async |namespace| {
        let chat = Chat::start(plane, namespace, 1, 10.0).await?;
        let others = ModelServer::new("others", "Other").gpus("nvidia.com/gpu", 5);
        others.create_deployment(namespace).await?;
        wait_for_ready_pods(namespace, &format!("{APP_LABEL}=others"), 1).await?;
        claim_here(namespace).await?;
        let (_operator, port) = operate_with_nodes(plane, namespace, &chat).await?;
        wait_for_gpus(port, 8.0).await?;
        grown(namespace, &chat).await?;
        let counts = Counts::follow(namespace);

        // One that serves, and two free GPUs; somebody asks for one more than that.
        scale_deployment(namespace, "chat-h100", 4).await?;
        chat.emulator.set_rate(0, 2.0 * HEAVY);
        wait_for(namespace, "the drift is taken over", |status| {
            status["currentReplicas"] == json!(4)
        })
        .await?;
        let events: Api<Event> = namespace.api();
        wait_until("it is told", DEADLINE, async || {
            let told = ListParams::default().fields("reason=Unschedulable");
            let notes: Vec<_> = events.list(&told).await?.items;
            let note = notes.iter().find_map(|event| event.message.as_deref());
            ensure!(
                note == Some("no node has a place for 1 replicas"),
                "{note:?}"
            );
            Ok(())
        })
        .await?;
        let waiting = "sum(vllm:num_requests_waiting) > 0";
        chat.prometheus
            .wait_for(waiting, |of| !of.is_empty())
            .await?;
        let from = ticks(&scrape(port).await?).context("no ticks")?;
        wait_until("it stays so", DEADLINE, async || {
            let metrics = scrape(port).await?;
            let asked = metric(&metrics, &["wva_desired_replicas{"]);
            assert_eq!(asked, Some(4.0), "{metrics}");
            let passed = ticks(&metrics).context("no ticks")? - from;
            ensure!(passed >= 5.0, "{passed} ticks");
            Ok(())
        })
        .await?;
        counts.never_fell(2)
    })
    .await
}
