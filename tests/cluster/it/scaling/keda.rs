//! KEDA's real operator, which asks us as an external scaler: pulled, and pushed.

use std::collections::BTreeMap;

use anyhow::ensure;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::time::Instant;
use trimtab_cluster_tests::control_plane::Pair;
use trimtab_cluster_tests::ports::free_port;
use trimtab_cluster_tests::scratch::Scratch;
use trimtab_cluster_tests::wait::wait_until;
use trimtab_cluster_tests::{ControlPlane, Keda, Namespace, Options, in_namespace};

use super::{DEPLOYMENT, Floor, NONE, quick, set, wait_for_count};
use crate::decisions::{DEADLINE, HEAVY, operate_with};
use crate::scenario::Chat;

const SCALED_OBJECT: (&str, &str, &str) = ("keda.sh", "v1alpha1", "ScaledObject");
const CHAT: ((&str, &str, &str), &str) = (DEPLOYMENT, "chat-h100");

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

/// A ScaledObject whose trigger shows a certificate.
fn with_certificate(port: u16) -> Value {
    let mut object = scaled_object("external-push", port, 1);
    if let Some(Value::Object(trigger)) = object.pointer_mut("/spec/triggers/0") {
        let by = json!({"name": "trimtab"});
        trigger.insert("authenticationRef".to_owned(), by);
    }
    object
}

/// What KEDA trusts, and what it shows of itself.
async fn authenticate(
    namespace: &Namespace,
    authority: &str,
    shown: Option<&Pair>,
) -> anyhow::Result<()> {
    let mut keys = BTreeMap::from([("caCert", authority.to_owned())]);
    if let Some(pair) = shown {
        keys.insert("tlsClientCert", fs_err::read_to_string(&pair.certificate)?);
        keys.insert("tlsClientKey", fs_err::read_to_string(&pair.key)?);
    }
    let of = |key| json!({"parameter": key, "name": "keda-client", "key": key});
    let references: Vec<Value> = keys.keys().map(of).collect();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "keda-client"}, "stringData": keys,
    });
    namespace.apply_json(secret).await?;
    let authentication = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication",
        "metadata": {"name": "trimtab"}, "spec": {"secretTargetRef": references},
    });
    namespace.apply_json(authentication).await.map(drop)
}

#[tokio::test]
async fn keda_is_asked_for_its_certificate_and_sees_ours_renewed() -> anyhow::Result<()> {
    let plane = ControlPlane::start(Options::default()).await?;
    let _keda = Keda::start(&plane).await?;
    in_namespace(&plane, async |namespace| {
        let chat = Chat::start(&plane, namespace, 1, 10.0).await?;
        let port = free_port()?;
        let ours = plane.certify("scaler", &["localhost"])?;
        let more = [
            format!("--set=listen.externalScaler=127.0.0.1:{port}"),
            format!(
                "--set=externalScaler.certFile={}",
                ours.certificate.display()
            ),
            format!("--set=externalScaler.keyFile={}", ours.key.display()),
            format!(
                "--set=externalScaler.clientCaFile={}",
                plane.authority().display()
            ),
            "--listen-metrics=0".to_owned(),
        ];
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let operator = operate_with(&plane, namespace, &chat, &more, &[]).await?;
        operator.wait_for_log("leading").await?;
        chat.emulator.set_rate(0, HEAVY);
        authenticate(namespace, plane.authority_pem(), None).await?;
        namespace.apply_json(with_certificate(port)).await?;
        says(namespace, "Ready", "False").await?;

        let keda = plane.certify("keda", &["keda-operator"])?;
        authenticate(namespace, plane.authority_pem(), Some(&keda)).await?;
        // KEDA looks at credentials when the object changes.
        let objects: Api<DynamicObject> = namespace.dynamic(SCALED_OBJECT);
        let changed = Patch::Merge(json!({"spec": {"cooldownPeriod": 2}}));
        objects
            .patch("chat", &PatchParams::default(), &changed)
            .await?;
        says(namespace, "Ready", "True").await?;
        wait_for_count(namespace, CHAT, "grows", |count| count > 2).await?;

        // Half of a renewal is none; whoever looks sees the new one when it is whole.
        let floor = Floor::follow(namespace, CHAT.0, CHAT.1).await?;
        let next = plane.certify("scaler-next", &["localhost"])?;
        fs_err::copy(&next.key, &ours.key)?;
        operator
            .wait_for_log("the certificate of before is shown")
            .await?;
        ensure!(plane.is_shown(port, &ours).await?, "another is shown");
        fs_err::copy(&next.certificate, &ours.certificate)?;
        wait_until("it is shown", DEADLINE, async || {
            ensure!(plane.is_shown(port, &next).await?, "not yet");
            Ok(())
        })
        .await?;
        says(namespace, "Ready", "True").await?;
        floor.never_fell()
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
