//! KEDA's real operator, which asks us as an external scaler: pulled, and pushed.

use anyhow::ensure;
use kube::api::{Api, DynamicObject};
use serde_json::{Value, json};
use tokio::time::Instant;
use trimtab_cluster_tests::ports::free_port;
use trimtab_cluster_tests::scratch::Scratch;
use trimtab_cluster_tests::wait::wait_until;
use trimtab_cluster_tests::{ControlPlane, Keda, Namespace, Options, in_namespace};

use super::{DEPLOYMENT, Floor, quick, set, wait_for_count};
use crate::decisions::{DEADLINE, HEAVY, operate_with};
use crate::scenario::Chat;

const SCALED_OBJECT: (&str, &str, &str) = ("keda.sh", "v1alpha1", "ScaledObject");
const CHAT: ((&str, &str, &str), &str) = (DEPLOYMENT, "chat-h100");
/// Requests per second, of which none comes while a test runs.
const NONE: f64 = 1e-6;

/// A ScaledObject that nothing but its trigger makes ours.
fn scaled_object(kind: &str, port: u16, min: u32) -> Value {
    json!({
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "chat"},
        "spec": {
            "scaleTargetRef": {"name": "chat-h100"},
            "minReplicaCount": min,
            "maxReplicaCount": 6,
            "pollingInterval": 1,
            "cooldownPeriod": 1,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": {
                "scaleDown": {"stabilizationWindowSeconds": 0},
            }}},
            "triggers": [{"type": kind, "metadata": {
                "scalerAddress": format!("127.0.0.1:{port}"),
                "modelID": "Llama-3.1-8B",
                "variantCost": "2.5",
            }}],
        },
    })
}

#[tokio::test]
async fn keda_follows_what_we_say_pulled_and_pushed_and_its_call_is_what_registers()
-> anyhow::Result<()> {
    let plane = ControlPlane::start(Options::default()).await?;
    let keda = Keda::start(&plane).await?;
    in_namespace(&plane, async |namespace| {
        let chat = Chat::start(&plane, namespace, 1, 10.0).await?;
        let port = free_port()?;
        let listen = format!("--set=listen.externalScaler=127.0.0.1:{port}");
        let scratch = Scratch::new("configuration")?;
        let quick = quick(&scratch)?;
        let more = [
            "--listen-metrics=0",
            &listen,
            &quick,
            // What wakes is to be KEDA.
            "--set=scaleFromZero.enabled=false",
            "--set=scaleToZero.enabled=true",
            "--set=scaleToZero.retention=4",
        ];
        let operator = operate_with(&plane, namespace, &chat, &more, &[]).await?;
        operator.wait_for_log("leading").await?;
        namespace
            .apply_json(scaled_object("external", port, 1))
            .await?;
        let began = Instant::now();
        chat.emulator.set_rate(0, HEAVY);
        let grown = wait_for_count(namespace, CHAT, "grows", |count| count > 2).await?;
        eprintln!(
            "KEDA, pulled: {:?} until {grown} were asked for",
            began.elapsed()
        );
        is_heard(namespace).await?;

        // Neither a KEDA that starts again nor a scaler that does takes anything away.
        let floor = Floor::follow(namespace, CHAT.0, CHAT.1).await?;
        keda.operator().kill().await?;
        keda.operator().restart().await?;
        is_heard(namespace).await?;
        operator.kill().await?;
        says(namespace, "Ready", "False").await?;
        operator.restart().await?;
        says(namespace, "Ready", "True").await?;
        floor.never_fell()?;
        drop(floor);

        namespace
            .apply_json(scaled_object("external-push", port, 0))
            .await?;
        chat.emulator.set_rate(0, NONE);
        let idle = Instant::now();
        wait_for_count(namespace, CHAT, "goes to zero", |count| count == 0).await?;
        eprintln!("KEDA, pushed: {:?} until it was at zero", idle.elapsed());
        chat.emulator.set_rate(0, HEAVY);
        let asked = Instant::now();
        wait_for_count(namespace, CHAT, "wakes", |count| count > 0).await?;
        eprintln!("KEDA, pushed: {:?} until it was started", asked.elapsed());
        wait_for_count(namespace, CHAT, "grows again", |count| count > 2).await?;
        ensure!(
            set(namespace, CHAT.0, CHAT.1).await? <= 6,
            "beyond its maximum"
        );
        Ok(())
    })
    .await
}

/// Waits until KEDA has our metric, and its HPA reads it.
async fn is_heard(namespace: &Namespace) -> anyhow::Result<()> {
    let api: Api<DynamicObject> = namespace.dynamic(SCALED_OBJECT);
    wait_until("KEDA has the metric", DEADLINE, async || {
        let object = api.get("chat").await?;
        let names = object.data.pointer("/status/externalMetricNames/0");
        ensure!(
            names == Some(&json!("s0-wva_desired_replicas")),
            "{:#}",
            object.data
        );
        Ok(())
    })
    .await
}

/// Waits until a condition of the ScaledObject is so.
async fn says(namespace: &Namespace, kind: &str, wanted: &str) -> anyhow::Result<()> {
    let api: Api<DynamicObject> = namespace.dynamic(SCALED_OBJECT);
    wait_until(&format!("{kind} is {wanted}"), DEADLINE, async || {
        let object = api.get("chat").await?;
        let conditions = object.data.pointer("/status/conditions");
        let conditions = conditions.and_then(Value::as_array).into_iter().flatten();
        let mut of_kind = conditions.filter(|of| of["type"] == kind);
        let is = of_kind.next().map(|of| of["status"].clone());
        ensure!(is == Some(json!(wanted)), "{:#}", object.data);
        Ok(())
    })
    .await
}
