//! `trimtab run` on a living fleet: what it decides, and what it shows.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DynamicObject, ListParams};
use serde_json::{Value, json};
pub(crate) use trimtab_cluster_tests::fixtures::crds::install_own;
use trimtab_cluster_tests::fixtures::scalers::{hpa, variant_autoscaling};
use trimtab_cluster_tests::fixtures::servers::ModelServer;
pub(crate) use trimtab_cluster_tests::operator::{metric, scrape};
use trimtab_cluster_tests::ports::free_port;
use trimtab_cluster_tests::wait::wait_until;
use trimtab_cluster_tests::{ControlPlane, Namespace, Operator, Prometheus, in_namespace};

use crate::scenario::Chat;

/// Several windows, on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(150);
/// Requests per second on the wall: more than a replica of the emulated fleet serves.
pub(crate) const HEAVY: f64 = 600.0;
pub(crate) const VARIANT: (&str, &str, &str) = ("llmd.ai", "v1alpha1", "VariantAutoscaling");

pub(crate) async fn claim(namespace: &Namespace) -> anyhow::Result<()> {
    let variant = variant_autoscaling("chat-h100", "Llama-3.1-8B", 6);
    namespace.apply_json(variant).await.map(drop)
}

/// A test of a pool with one replica that is asked for, on the control plane that tests share.
pub(crate) async fn with_chat(
    test: impl AsyncFnOnce(&'static ControlPlane, &Namespace, &Chat) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    install_own(plane).await?;
    in_namespace(plane, async |namespace| {
        let chat = Chat::start(plane, namespace, 1, 10.0).await?;
        claim(namespace).await?;
        test(plane, namespace, &chat).await
    })
    .await
}

/// An operator for this namespace alone, whose times are a tenth: its world is ten times as fast.
pub(crate) async fn operate(
    plane: &ControlPlane,
    namespace: &Namespace,
    chat: &Chat,
) -> anyhow::Result<Operator> {
    operate_with(plane, namespace, chat, &["--listen-metrics=0"], &[]).await
}

/// The same with further arguments, which win, and variables.
pub(crate) async fn operate_with(
    plane: &ControlPlane,
    namespace: &Namespace,
    chat: &Chat,
    more: &[&str],
    environment: &[(&str, &str)],
) -> anyhow::Result<Operator> {
    let own = format!("--namespace={}", namespace.name());
    let more: Vec<&str> = [own.as_str()]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
    operate_everywhere(plane, namespace, chat, &more, environment).await
}

/// The same for all namespaces.
pub(crate) async fn operate_everywhere(
    plane: &ControlPlane,
    namespace: &Namespace,
    chat: &Chat,
    more: &[&str],
    environment: &[(&str, &str)],
) -> anyhow::Result<Operator> {
    start(plane, namespace, &chat.prometheus, more, environment).await
}

/// One for this namespace alone that serves no metrics.
pub(crate) async fn operate_alone(
    plane: &ControlPlane,
    namespace: &Namespace,
    prometheus: &Prometheus,
    more: &[&str],
) -> anyhow::Result<Operator> {
    let own = format!("--namespace={}", namespace.name());
    let mut flags = vec![own.as_str(), "--listen-metrics=0"];
    flags.extend(more);
    start(plane, namespace, prometheus, &flags, &[]).await
}

async fn start(
    plane: &ControlPlane,
    namespace: &Namespace,
    prometheus: &Prometheus,
    more: &[&str],
    environment: &[(&str, &str)],
) -> anyhow::Result<Operator> {
    let flags = [
        format!("--prometheus-url={}", prometheus.url()),
        format!("--set=leaderElection.namespace={}", namespace.name()),
    ];
    let ca = format!("--set=prometheus.caFile={}", plane.authority().display());
    let mut arguments = vec!["run"];
    arguments.extend(flags.iter().map(String::as_str));
    arguments.extend([
        ca.as_str(),
        "--interval=2s",
        "--listen-health=0",
        "--set=leaderElection.leaseDurationSeconds=6",
        "--set=leaderElection.renewDeadlineSeconds=4",
        "--set=leaderElection.retryPeriodSeconds=1",
        "--set=checkpointIntervalSeconds=2",
        "--set=prometheus.windowSeconds=6",
        "--set=prometheus.longWindowSeconds=30",
        "--set=maxMetricsAgeSeconds=8",
        "--set=objective.ttftSeconds=0.1",
        "--set=objective.itlSeconds=0.005",
    ]);
    arguments.extend(more);
    Operator::start(plane, &arguments, environment).await
}

pub(crate) async fn status(namespace: &Namespace) -> anyhow::Result<Value> {
    let api: Api<DynamicObject> = namespace.dynamic(VARIANT);
    let variant = api.get("chat-h100").await?;
    variant.data.get("status").cloned().context("no status yet")
}

pub(crate) fn desired(status: &Value) -> Option<u64> {
    status
        .pointer("/desiredOptimizedAlloc/numReplicas")?
        .as_u64()
}

/// The reason of a condition.
pub(crate) fn reason(status: &Value, kind: &str) -> Option<String> {
    let conditions = status.get("conditions")?.as_array()?;
    let mut of_kind = conditions.iter().filter(|told| told["type"] == kind);
    Some(of_kind.next()?["reason"].as_str()?.to_owned())
}

pub(crate) async fn wait_for(
    namespace: &Namespace,
    what: &str,
    holds: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    wait_until(what, DEADLINE, async || {
        let status = status(namespace).await?;
        ensure!(holds(&status), "{status:#}");
        Ok(status)
    })
    .await
}

/// Waits until a condition has a reason.
pub(crate) async fn wait_for_reason(
    namespace: &Namespace,
    what: &str,
    (kind, wanted): (&str, &str),
) -> anyhow::Result<Value> {
    let has = |status: &Value| reason(status, kind).as_deref() == Some(wanted);
    wait_for(namespace, what, has).await
}

/// A pool under more load than its one replica serves, and the count that is asked for it.
pub(crate) async fn grown(namespace: &Namespace, chat: &Chat) -> anyhow::Result<u64> {
    chat.emulator.set_rate(0, HEAVY);
    let status = wait_for(namespace, "more replicas are asked for", |status| {
        desired(status) > Some(1)
    })
    .await?;
    Ok(desired(&status).unwrap_or_default())
}

#[tokio::test]
async fn a_pool_under_load_is_measured_and_decided_and_shown() -> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let _operator = operate(plane, namespace, chat).await?;
        let status = wait_for_reason(
            namespace,
            "it is measured",
            ("MetricsAvailable", "MetricsFound"),
        )
        .await?;
        assert_eq!(desired(&status), Some(1), "nothing arrives: {status:#}");
        assert_eq!(status["currentReplicas"], json!(1));
        assert_eq!(
            reason(&status, "TargetResolved").as_deref(),
            Some("TargetFound")
        );
        assert_eq!(
            status["desiredOptimizedAlloc"]["accelerator"],
            json!(crate::scenario::H100)
        );
        let asked = grown(namespace, chat).await?;
        assert!(asked <= 6, "{asked} are more than its maximum");
        let arguments = ["get", "va", "--namespace", namespace.name()];
        let table = plane.kubectl(&arguments).await?;
        for word in ["CURRENT", "DESIRED", "REASON", "chat-h100", "MetricsFound"] {
            assert!(table.contains(word), "{table}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_annotated_hpa_is_a_way_in_for_a_stateful_set() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    in_namespace(plane, async |namespace| {
        let chat = Chat::start(plane, namespace, 1, 10.0).await?;
        let server = ModelServer::new("set-h100", "Other").replicas(1);
        server.create_stateful_set(namespace).await?;
        for (name, kind, model) in [
            ("chat-h100", "Deployment", "Llama-3.1-8B"),
            ("set-h100", "StatefulSet", "Other"),
        ] {
            let annotations = json!({"llm-d.ai/managed": "true", "llm-d.ai/model-id": model});
            let metadata = json!({"name": format!("{name}-hpa"), "annotations": annotations});
            let target = json!({"apiVersion": "apps/v1", "kind": kind, "name": name});
            namespace.apply_json(hpa(metadata, &target, (1, 5))).await?;
        }
        let port = free_port()?;
        let listen = format!("--listen-metrics=127.0.0.1:{port}");
        let seldom = "--set=checkpointIntervalSeconds=1h";
        let operator = operate_with(plane, namespace, &chat, &[&listen, seldom], &[]).await?;
        let asked = async |name: &str| {
            let variant = format!("variant_name=\"{name}\"");
            let text = scrape(port).await?;
            metric(&text, &["wva_desired_replicas{", &variant]).context("nothing is asked for")
        };
        chat.emulator.set_rate(0, HEAVY);
        let before = wait_until("both are decided, the busy one up", DEADLINE, async || {
            let (busy, idle) = (asked("chat-h100").await?, asked("set-h100").await?);
            ensure!(busy > 1.0 && busy <= 5.0, "busy: {busy}");
            ensure!(idle == 1.0, "idle: {idle}");
            Ok(busy)
        })
        .await?;

        // No status tells who comes next what was asked for.
        let states: Api<ConfigMap> = namespace.api();
        let kept = ListParams::default().labels("trimtab.dev/state=trimtab");
        wait_until("it is kept", DEADLINE, async || {
            ensure!(!states.list(&kept).await?.items.is_empty(), "not yet");
            Ok(())
        })
        .await?;
        chat.prometheus.kill().await?;
        operator.kill().await?;
        operator.restart().await?;
        let after = wait_until("the next one decides", DEADLINE, async || {
            asked("chat-h100").await
        });
        let after = after.await?;
        assert!(after >= before, "{before} were asked for, then {after}");
        Ok(())
    })
    .await
}
