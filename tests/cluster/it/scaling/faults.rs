//! Faults while a real HPA controller scales by what we say: no replica is lost by any of them.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams};
use serde_json::json;
use trimtab_cluster_tests::api_service::ApiService;
use trimtab_cluster_tests::emulator::Answer as ServerAnswer;
use trimtab_cluster_tests::fixtures::servers::is_ready;
use trimtab_cluster_tests::ports::free_port;
use trimtab_cluster_tests::process::Signal;
use trimtab_cluster_tests::proxy::{Answer, Treatment};
use trimtab_cluster_tests::wait::wait_until;
use trimtab_cluster_tests::{ControlPlane, Namespace, Operator, Options, Proxy, in_namespace};

use super::hpa::{SERVICE, Served, scale_by_hpa, wait_for_reason};
use super::{DEPLOYMENT, Floor, wait_for_count};
use crate::decisions::{self, DEADLINE, HEAVY, VARIANT, claim, install_own, operate_with, scrape};
use crate::faults::prometheus::ticks;
use crate::faults::{gpus, state};
use crate::scenario::Chat;

const MEASURED: (&str, &str) = ("MetricsAvailable", "MetricsFound");
const UNMEASURED: (&str, &str) = ("MetricsAvailable", "PrometheusError");
const OF_CHAT: &str = "app=chat-h100";

/// A pool that an HPA has made grow by what we ask for, on a control plane of its own, where no count
/// may fall.
async fn grown(
    test: impl AsyncFnOnce(&ControlPlane, &Namespace, &Served, &Proxy) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let plane = ControlPlane::start(Options::default()).await?;
    install_own(&plane).await?;
    let proxy = Proxy::start(&plane).await?;
    in_namespace(&plane, async |namespace| {
        let kubeconfig = proxy.kubeconfig().display().to_string();
        let through = [("KUBECONFIG", kubeconfig.as_str())];
        let served = Served::start_with(&plane, namespace, &through).await?;
        scale_by_hpa(namespace, 6).await?;
        served.chat.emulator.set_rate(0, HEAVY);
        let target = (DEPLOYMENT, "chat-h100");
        let grown = wait_for_count(namespace, target, "grows", |count| count > 2).await?;
        let floor = Floor::follow(namespace, DEPLOYMENT, "chat-h100").await?;
        test(&plane, namespace, &served, &proxy).await?;
        floor.never_fell()?;
        let count = super::set(namespace, DEPLOYMENT, "chat-h100").await?;
        ensure!(count >= grown, "it had {grown}, and has {count}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn no_fault_of_what_we_live_on_takes_a_replica_away() -> anyhow::Result<()> {
    grown(async |plane, namespace, served, proxy| {
        let (chat, operator) = (&served.chat, &served.operator);
        prometheus_goes_and_hangs(namespace, chat).await?;
        a_server_talks_nonsense(namespace, chat).await?;
        the_api_server_goes(plane, namespace).await?;
        the_api_server_refuses_and_forgets(namespace, proxy).await?;
        we_hang(namespace, operator).await
    })
    .await
}

#[tokio::test]
async fn no_loss_of_what_we_know_and_scale_takes_a_replica_away() -> anyhow::Result<()> {
    grown(async |plane, namespace, served, _| {
        the_variant_is_made_again(namespace).await?;
        the_state_is_damaged(namespace, served).await?;
        a_pod_finds_no_place(namespace, served).await?;
        all_nodes_are_lost(plane, namespace, served).await?;
        a_standby_takes_over(plane, namespace, served).await
    })
    .await
}

async fn prometheus_goes_and_hangs(namespace: &Namespace, chat: &Chat) -> anyhow::Result<()> {
    chat.prometheus.kill().await?;
    decisions::wait_for_reason(namespace, "it is gone", UNMEASURED).await?;
    chat.prometheus.restart().await?;
    decisions::wait_for_reason(namespace, "it is back", MEASURED).await?;
    chat.prometheus.signal(Signal::STOP).await?;
    decisions::wait_for_reason(namespace, "it hangs", UNMEASURED).await?;
    chat.prometheus.signal(Signal::CONT).await?;
    decisions::wait_for_reason(namespace, "it goes on", MEASURED).await?;
    Ok(())
}

async fn a_server_talks_nonsense(namespace: &Namespace, chat: &Chat) -> anyhow::Result<()> {
    let (name, pods) = (namespace.name(), &chat.pods);
    for pod in pods {
        chat.emulator.answer(name, pod, ServerAnswer::Html);
    }
    let stale = ("MetricsAvailable", "MetricsStale");
    decisions::wait_for_reason(namespace, "it is noticed", stale).await?;
    for pod in pods {
        chat.emulator.restore(name, pod);
    }
    decisions::wait_for_reason(namespace, "it is over", MEASURED).await?;
    Ok(())
}

async fn the_api_server_goes(plane: &ControlPlane, namespace: &Namespace) -> anyhow::Result<()> {
    plane.kill("kube-apiserver").await?;
    plane.restart("kube-apiserver").await?;
    wait_for_reason(namespace, "ValidMetricFound").await?;
    Ok(())
}

/// It tells us to come again later, so that nobody who asks us can be known, and we stand down; then
/// all watches have expired.
async fn the_api_server_refuses_and_forgets(
    namespace: &Namespace,
    proxy: &Proxy,
) -> anyhow::Result<()> {
    proxy.treat(|_| Treatment::Answer(Answer::too_many(1)));
    proxy.cut();
    wait_for_reason(namespace, "FailedGetExternalMetric").await?;
    proxy.treat(|asked| match asked.is_watch() {
        true => Treatment::Answer(Answer::expired()),
        false => Treatment::Forward,
    });
    proxy.cut();
    wait_for_reason(namespace, "ValidMetricFound").await?;
    proxy.forward();
    proxy.cut();
    decisions::wait_for_reason(namespace, "it is over", MEASURED).await?;
    Ok(())
}

/// We answer nothing, and our word is old when we go on.
async fn we_hang(namespace: &Namespace, operator: &Operator) -> anyhow::Result<()> {
    operator.signal(Signal::STOP).await?;
    wait_for_reason(namespace, "FailedGetExternalMetric").await?;
    operator.signal(Signal::CONT).await?;
    wait_for_reason(namespace, "ValidMetricFound").await?;
    Ok(())
}

async fn the_variant_is_made_again(namespace: &Namespace) -> anyhow::Result<()> {
    let variants: Api<DynamicObject> = namespace.dynamic(VARIANT);
    let at_once = DeleteParams::default();
    variants.delete("chat-h100", &at_once).await?;
    wait_for_reason(namespace, "FailedGetExternalMetric").await?;
    claim(namespace).await?;
    wait_for_reason(namespace, "ValidMetricFound").await?;
    Ok(())
}

/// We are stopped, what we kept is damaged, and nothing is measured when we are back.
async fn the_state_is_damaged(namespace: &Namespace, served: &Served) -> anyhow::Result<()> {
    served.operator.signal(Signal::TERM).await?;
    state::change(namespace, &json!({"data": {"sha256": "0000"}})).await?;
    served.chat.prometheus.kill().await?;
    wait_for_reason(namespace, "FailedGetExternalMetric").await?;
    served.operator.restart().await?;
    decisions::wait_for_reason(namespace, "it decides without", UNMEASURED).await?;
    wait_for_reason(namespace, "ValidMetricFound").await?;
    served.chat.prometheus.restart().await?;
    decisions::wait_for_reason(namespace, "it is back", MEASURED).await?;
    Ok(())
}

fn node(namespace: &Namespace) -> String {
    format!("{}-h100", namespace.name())
}

/// Waits until so many replicas are ready, and then for some decisions on that.
async fn ready(
    namespace: &Namespace,
    served: &Served,
    holds: impl Fn(usize) -> bool,
) -> anyhow::Result<()> {
    let pods: Api<Pod> = namespace.api();
    wait_until("other replicas are ready", DEADLINE, async || {
        let listed = pods.list(&ListParams::default().labels(OF_CHAT)).await?;
        let ready = listed.iter().filter(|pod| is_ready(pod)).count();
        ensure!(holds(ready), "{ready} are");
        Ok(())
    })
    .await?;
    let now = async || ticks(&scrape(served.metrics).await?).context("no ticks");
    let from = now().await?;
    wait_until("it is decided", DEADLINE, async || {
        let passed = now().await? - from;
        ensure!(passed >= 5.0, "{passed} times");
        Ok(())
    })
    .await?;
    wait_for_reason(namespace, "ValidMetricFound").await?;
    Ok(())
}

/// A pod is lost while no node has a place for the next.
async fn a_pod_finds_no_place(namespace: &Namespace, served: &Served) -> anyhow::Result<()> {
    let nodes: Api<Node> = Api::all(namespace.client());
    nodes.cordon(&node(namespace)).await?;
    let wanted = super::set(namespace, DEPLOYMENT, "chat-h100").await?;
    let wanted = usize::try_from(wanted)?;
    let pods: Api<Pod> = namespace.api();
    let listed = pods.list(&ListParams::default().labels(OF_CHAT)).await?;
    let lost = listed.iter().next().context("no pods")?.name_any();
    pods.delete(&lost, &DeleteParams::default()).await?;
    ready(namespace, served, |ready| ready < wanted).await?;
    nodes.uncordon(&node(namespace)).await?;
    Ok(())
}

/// No replica is left, and none is measured.
async fn all_nodes_are_lost(
    plane: &ControlPlane,
    namespace: &Namespace,
    served: &Served,
) -> anyhow::Result<()> {
    gpus::lose(plane, namespace, &node(namespace)).await?;
    ready(namespace, served, |ready| ready == 0).await?;
    plane.signal("kwok", Signal::CONT).await
}

/// Another of us is asked, after the one that led is killed.
async fn a_standby_takes_over(
    plane: &ControlPlane,
    namespace: &Namespace,
    served: &Served,
) -> anyhow::Result<()> {
    let port = free_port()?;
    let listen = format!("--set=listen.externalMetrics=127.0.0.1:{port}");
    let flags = ["--listen-metrics=0", listen.as_str()];
    let standby = operate_with(plane, namespace, &served.chat, &flags, &[]).await?;
    standby.wait_for_log("the cluster is known").await?;
    served.operator.kill().await?;
    served.api.clone().remove().await?;
    ApiService::route(plane, namespace.name(), SERVICE, port, None).await?;
    wait_for_reason(namespace, "FailedGetExternalMetric").await?;
    standby.wait_for_log("leading reign").await?;
    wait_for_reason(namespace, "ValidMetricFound").await?;
    Ok(())
}
