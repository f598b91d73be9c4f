//! The real HPA controller, which reads us through the API server.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::time::Instant;
use trimtab_cluster_tests::api_service::ApiService;
use trimtab_cluster_tests::fixtures::nodes::GpuNode;
use trimtab_cluster_tests::fixtures::scalers::{hpa, variant_autoscaling};
use trimtab_cluster_tests::fixtures::servers::{ModelServer, wait_for_ready_pods};
use trimtab_cluster_tests::ports::free_port;
use trimtab_cluster_tests::scratch::Scratch;
use trimtab_cluster_tests::wait::wait_until;
use trimtab_cluster_tests::{
    ControlPlane, Namespace, Operator, Options, Prometheus, PrometheusOptions, in_namespace,
};

use super::{DEPLOYMENT, Floor, quick, set, wait_for_count};
use crate::decisions::{
    self, DEADLINE, HEAVY, VARIANT, claim, install_own, operate_alone, operate_with,
};
use crate::doctor::hears_what_hpas_are_told;
use crate::scenario::{Chat, H100};

/// Our Service; the API server finds us by it.
pub(super) const SERVICE: &str = "trimtab-external-metrics";

/// Requests per second that one replica serves with ease.
const LIGHT: f64 = 20.0;

/// An HPA that scales `chat-h100` by what we ask for, and is quick to scale down.
pub(super) async fn scale_by_hpa(namespace: &Namespace, max: u32) -> anyhow::Result<()> {
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat-h100"});
    let mut object = hpa(json!({"name": "chat-h100"}), &target, (1, max));
    if let Some(spec) = object.get_mut("spec") {
        spec["behavior"] = json!({"scaleDown": {"stabilizationWindowSeconds": 0}});
    }
    if let Some(metric) = object.pointer_mut("/spec/metrics/0/external/metric") {
        metric["selector"] = json!({"matchLabels": {
            "variant_name": "chat-h100", "exported_namespace": namespace.name(),
        }});
    }
    namespace.apply_json(object).await.map(drop)
}

/// A claimed pool, and an operator whose external metrics the API server reads.
pub(super) struct Served {
    pub(super) chat: Chat,
    pub(super) operator: Operator,
    /// Where its metrics are.
    pub(super) metrics: u16,
    pub(super) api: ApiService,
    /// Its configuration, as long as it runs.
    _scratch: Scratch,
}

impl Served {
    pub(super) async fn start(plane: &ControlPlane, namespace: &Namespace) -> anyhow::Result<Self> {
        Self::start_with(plane, namespace, &[]).await
    }

    /// The same, with variables for the operator.
    pub(super) async fn start_with(
        plane: &ControlPlane,
        namespace: &Namespace,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let chat = Chat::start(plane, namespace, 1, 10.0).await?;
        claim(namespace).await?;
        let scratch = Scratch::new("configuration")?;
        let (port, metrics) = (free_port()?, free_port()?);
        let flags = [
            format!("--set=listen.externalMetrics=127.0.0.1:{port}"),
            format!("--listen-metrics=127.0.0.1:{metrics}"),
            quick(&scratch)?,
        ];
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let operator = operate_with(plane, namespace, &chat, &flags, environment).await?;
        let api = ApiService::route(plane, namespace.name(), SERVICE, port, None).await?;
        api.wait_for(true).await?;
        Ok(Self {
            chat,
            operator,
            metrics,
            api,
            _scratch: scratch,
        })
    }
}

/// What an HPA says of itself: the reason of its condition `ScalingActive`.
async fn active(namespace: &Namespace) -> anyhow::Result<(String, String)> {
    let api: Api<HorizontalPodAutoscaler> = namespace.api();
    let status = api.get_status("chat-h100").await?.status;
    let conditions = status.and_then(|status| status.conditions);
    let mut conditions = conditions.into_iter().flatten();
    let active = conditions.find(|of| of.type_ == "ScalingActive");
    let active = active.context("it has not looked yet")?;
    Ok((
        active.reason.unwrap_or_default(),
        active.message.unwrap_or_default(),
    ))
}

/// Waits until it says this.
pub(super) async fn wait_for_reason(namespace: &Namespace, reason: &str) -> anyhow::Result<String> {
    wait_until(&format!("the HPA says {reason}"), DEADLINE, async || {
        let (found, message) = active(namespace).await?;
        ensure!(found == reason, "it says {found}: {message}");
        Ok(message)
    })
    .await
}

#[tokio::test]
async fn an_hpa_follows_the_load_up_and_down_and_holds_while_it_is_told_nothing()
-> anyhow::Result<()> {
    let plane = ControlPlane::start(Options::default()).await?;
    install_own(&plane).await?;
    in_namespace(&plane, async |namespace| {
        let served = Served::start(&plane, namespace).await?;
        let (chat, operator) = (&served.chat, &served.operator);
        scale_by_hpa(namespace, 6).await?;
        wait_for_reason(namespace, "ValidMetricFound").await?;
        hears_what_hpas_are_told(&plane, namespace, chat).await?;

        let began = Instant::now();
        chat.emulator.set_rate(0, HEAVY);
        let deployment = (DEPLOYMENT, "chat-h100");
        let grown = wait_for_count(namespace, deployment, "grows", |count| count > 2).await?;
        eprintln!(
            "HPA: {:?} until {grown} replicas were asked for",
            began.elapsed()
        );
        wait_until("they serve", DEADLINE, async || {
            let count = set(namespace, DEPLOYMENT, "chat-h100").await?;
            let selector = "app=chat-h100";
            wait_for_ready_pods(namespace, selector, usize::try_from(count)?).await
        })
        .await?;
        eprintln!("HPA: {:?} until they were ready", began.elapsed());

        the_certificate_is_made_anew(namespace, operator).await?;
        nothing_falls_while_nobody_answers(namespace, operator).await?;

        let fell = Instant::now();
        chat.emulator.set_rate(0, LIGHT);
        wait_for_count(namespace, deployment, "goes back", |count| count == 1).await?;
        eprintln!(
            "HPA: {:?} from less load until one replica was asked for",
            fell.elapsed()
        );
        another_takes_the_api(&plane, namespace, operator, &served.api).await
    })
    .await
}

/// The Secret is lost: the HPA goes on, and whoever reads us trusts the new one.
async fn the_certificate_is_made_anew(
    namespace: &Namespace,
    operator: &Operator,
) -> anyhow::Result<()> {
    let floor = Floor::follow(namespace, DEPLOYMENT, "chat-h100").await?;
    let secrets: Api<Secret> = namespace.api();
    let before = secrets.get("trimtab-serving").await?;
    secrets
        .delete("trimtab-serving", &DeleteParams::default())
        .await?;
    wait_until("another is made", DEADLINE, async || {
        let now = secrets.get("trimtab-serving").await?;
        ensure!(now.data != before.data, "it is the same");
        Ok(())
    })
    .await?;
    operator.wait_for_log("another certificate").await?;
    wait_for_reason(namespace, "ValidMetricFound").await?;
    floor.never_fell()
}

/// Our process is killed while the HPA reads.
async fn nothing_falls_while_nobody_answers(
    namespace: &Namespace,
    operator: &Operator,
) -> anyhow::Result<()> {
    let floor = Floor::follow(namespace, DEPLOYMENT, "chat-h100").await?;
    operator.kill().await?;
    wait_for_reason(namespace, "FailedGetExternalMetric").await?;
    operator.restart().await?;
    wait_for_reason(namespace, "ValidMetricFound").await?;
    floor.never_fell()
}

/// The APIService is given to another Service: we say whose it is.
async fn another_takes_the_api(
    plane: &ControlPlane,
    namespace: &Namespace,
    operator: &Operator,
    api: &ApiService,
) -> anyhow::Result<()> {
    let port = free_port()?;
    let name = namespace.name();
    api.clone().remove().await?;
    ApiService::route(plane, name, "prometheus-adapter", port, None).await?;
    let told = format!("Service {name}/prometheus-adapter serves external metrics");
    operator.wait_for_log(&told).await?;
    api.wait_for(false).await?;
    let message = wait_for_reason(namespace, "FailedGetExternalMetric").await?;
    ensure!(message.contains("wva_desired_replicas"), "{message}");
    Ok(())
}

#[tokio::test]
async fn who_may_not_read_is_refused_and_who_asks_for_nothing_is_told_what_there_is()
-> anyhow::Result<()> {
    let plane = ControlPlane::start(Options::default()).await?;
    install_own(&plane).await?;
    in_namespace(&plane, async |namespace| {
        let _served = Served::start(&plane, namespace).await?;
        let group = "/apis/external.metrics.k8s.io/v1beta1";
        let values = format!(
            "{group}/namespaces/{}/wva_desired_replicas",
            namespace.name()
        );
        let chat = format!("{values}?labelSelector=variant_name%3Dchat-h100");
        let list = wait_until("it is decided", DEADLINE, async || {
            let list = plane.kubectl(&["get", "--raw", &chat]).await?;
            Ok(serde_json::from_str::<Value>(&list)?)
        })
        .await?;
        let value = list.pointer("/items/0/value");
        ensure!(value == Some(&json!("1")), "{list:#}");
        let other = format!("{values}?labelSelector=variant_name%3Dother");
        let refused = plane.kubectl(&["get", "--raw", &other]).await.unwrap_err();
        let refused = format!("{refused:#}");
        ensure!(refused.contains("it has `chat-h100`"), "{refused}");

        // Discovery and the schema, as kubectl reads them.
        wait_until("it is discovered", DEADLINE, async || {
            let group = "--api-group=external.metrics.k8s.io";
            let found = plane.kubectl(&["api-resources", group]).await?;
            ensure!(found.contains("wva_desired_replicas"), "{found}");
            Ok(())
        })
        .await?;
        let document = format!("/openapi/v3{group}");
        let document = wait_until("it is described", DEADLINE, async || {
            plane.kubectl(&["get", "--raw", &document]).await
        })
        .await?;
        ensure!(document.contains("ExternalMetricValueList"), "{document}");

        let nobody = plane.kubeconfig_of("nobody", &[])?;
        let nobody = format!("--kubeconfig={}", nobody.display());
        let refused = plane
            .kubectl(&[&nobody, "get", "--raw", &chat])
            .await
            .unwrap_err();
        let refused = format!("{refused:#}");
        ensure!(refused.to_lowercase().contains("forbidden"), "{refused}");
        Ok(())
    })
    .await
}

/// Ten replicas, a claim of as many at least, and an HPA that reads us.
async fn ten(namespace: &Namespace) -> anyhow::Result<()> {
    let server = ModelServer::new("chat-h100", "Llama-3.1-8B").replicas(10);
    let server = server.gpus("nvidia.com/gpu", 0);
    GpuNode::new("h100", H100, 8).create(namespace).await?;
    server.create_deployment(namespace).await?;
    wait_for_ready_pods(namespace, "app=chat-h100", 10).await?;
    at_least(namespace, 10).await?;
    scale_by_hpa(namespace, 20).await
}

/// The claim's minimum: what is asked for while nothing is measured.
async fn at_least(namespace: &Namespace, count: u32) -> anyhow::Result<()> {
    let mut claim = variant_autoscaling("chat-h100", "Llama-3.1-8B", 20);
    if let Some(spec) = claim.get_mut("spec") {
        spec["minReplicas"] = json!(count);
    }
    namespace.apply_json(claim).await.map(drop)
}

#[tokio::test]
async fn one_more_than_ten_is_swallowed_and_noticed_and_done_by_each_remedy() -> anyhow::Result<()>
{
    let plane = ControlPlane::start(Options {
        feature_gates: vec!["HPAConfigurableTolerance=true".to_owned()],
        ..Options::default()
    })
    .await?;
    install_own(&plane).await?;
    in_namespace(&plane, async |namespace| {
        ten(namespace).await?;
        let prometheus = Prometheus::start(&plane, PrometheusOptions::default()).await?;
        let port = free_port()?;
        let listen = format!("--set=listen.externalMetrics=127.0.0.1:{port}");
        let scratch = Scratch::new("configuration")?;
        let file = scratch.path().join("trimtab.yaml");
        std::fs::write(&file, "actuation: metrics\n")?;
        let config = format!("--config={}", file.display());
        let more = [&listen, config.as_str(), "--set=manageHpaTolerance=true"];
        let _operator = operate_alone(&plane, namespace, &prometheus, &more).await?;
        let api = ApiService::route(&plane, namespace.name(), SERVICE, port, None).await?;
        api.wait_for(true).await?;
        wait_for_reason(namespace, "ValidMetricFound").await?;

        at_least(namespace, 11).await?;
        let actuated = ("Actuated", "WithinTolerance");
        decisions::wait_for_reason(namespace, "it is noticed", actuated).await?;
        let target = (DEPLOYMENT, "chat-h100");
        let count = set(namespace, DEPLOYMENT, "chat-h100").await?;
        ensure!(count == 10, "it is to have {count}");

        // Its own tolerance.
        let hpas: Api<HorizontalPodAutoscaler> = namespace.api();
        let none = json!({"spec": {"behavior": {"scaleUp": {"tolerance": "0"}}}});
        hpas.patch("chat-h100", &PatchParams::default(), &Patch::Merge(none))
            .await?;
        wait_for_count(namespace, target, "grows by one", |count| count == 11).await?;
        let actuated = ("Actuated", "OnItsWay");
        decisions::wait_for_reason(namespace, "it is well", actuated).await?;

        // Without the HPA.
        hpas.delete("chat-h100", &DeleteParams::default()).await?;
        std::fs::write(&file, "actuation: direct\n")?;
        at_least(namespace, 12).await?;
        wait_for_count(namespace, target, "is scaled directly", |count| count == 12).await?;

        // An HPA that is ours is given what it needs.
        let variants: Api<DynamicObject> = namespace.dynamic(VARIANT);
        variants
            .delete("chat-h100", &DeleteParams::default())
            .await?;
        scale_by_hpa(namespace, 20).await?;
        let managed = json!({"metadata": {"annotations": {"llm-d.ai/managed": "true"}}});
        hpas.patch("chat-h100", &PatchParams::default(), &Patch::Merge(managed))
            .await?;
        wait_until("its tolerance is none", DEADLINE, async || {
            let behavior = hpas
                .get("chat-h100")
                .await?
                .spec
                .and_then(|spec| spec.behavior);
            let behavior = serde_json::to_value(behavior)?;
            let up = behavior.pointer("/scaleUp/tolerance");
            ensure!(up == Some(&json!("0")), "{behavior}");
            Ok(())
        })
        .await
    })
    .await
}
