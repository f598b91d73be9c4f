//! Kinds of targets that nobody knew of when the operator started.

use anyhow::Context as _;
use kube::api::{Api, DynamicObject};
use serde_json::{Value, json};
use trimtab_cluster_tests::fixtures::crds::install_yaml;
use trimtab_cluster_tests::fixtures::scalers::variant_autoscaling;
use trimtab_cluster_tests::wait::{DEADLINE, wait_until};
use trimtab_cluster_tests::{ControlPlane, Namespace};

use crate::decisions::{VARIANT, desired, operate, reason, with_chat};

/// A kind of this test alone: its group is named after the namespace.
fn definition(group: &str, kind: &str, subresources: &Value) -> String {
    let plural = format!("{}s", kind.to_lowercase());
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "subresources": subresources,
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": true,
                }},
            }],
        },
    });
    definition.to_string()
}

/// A claim of an object `kind`/`name`.
async fn claim(namespace: &Namespace, group: &str, kind: &str, name: &str) -> anyhow::Result<()> {
    let mut claim = variant_autoscaling(name, "Other", 8);
    let target = claim.pointer_mut("/spec/scaleTargetRef");
    *target.context("no target")? =
        json!({"apiVersion": format!("{group}/v1"), "kind": kind, "name": name});
    namespace.apply_json(claim).await.map(drop)
}

/// Waits until a claim's condition `OptimizationReady` or `TargetResolved` says this.
async fn says(
    namespace: &Namespace,
    name: &str,
    wanted: (&str, &str, &str),
) -> anyhow::Result<Value> {
    let (kind, wanted, part) = wanted;
    let variants: Api<DynamicObject> = namespace.dynamic(VARIANT);
    wait_until(&format!("`{name}` is {wanted}"), DEADLINE, async || {
        let variant = variants.get(name).await?;
        let status = variant.data.get("status").cloned().context("no status")?;
        let found = reason(&status, kind);
        anyhow::ensure!(found.as_deref() == Some(wanted), "{status:#}");
        anyhow::ensure!(status.to_string().contains(part), "{status:#}");
        Ok(status)
    })
    .await
}

async fn create(namespace: &Namespace, group: &str, kind: &str, spec: Value) -> anyhow::Result<()> {
    let object = json!({
        "apiVersion": format!("{group}/v1"),
        "kind": kind,
        "metadata": {"name": kind.to_lowercase()},
        "spec": spec,
    });
    namespace.apply_json(object).await.map(drop)
}

async fn kinds_that_come_later(
    plane: &ControlPlane,
    namespace: &Namespace,
    group: &str,
) -> anyhow::Result<()> {
    let scale = |path: &str| json!({"scale": {"specReplicasPath": path, "statusReplicasPath": ".status.replicas"}});
    install_yaml(plane, &definition(group, "Usual", &scale(".spec.replicas"))).await?;
    create(namespace, group, "Usual", json!({"replicas": 3})).await?;
    let status = says(namespace, "usual", ("TargetResolved", "TargetFound", "")).await?;
    assert_eq!(desired(&status), Some(3), "nothing is measured: {status:#}");

    install_yaml(plane, &definition(group, "Other", &scale(".spec.size"))).await?;
    create(namespace, group, "Other", json!({"size": 5, "replicas": 2})).await?;
    let status = says(namespace, "other", ("TargetResolved", "TargetFound", "")).await?;
    assert_eq!(
        desired(&status),
        Some(5),
        "it is counted by its size: {status:#}"
    );

    let refused = ("OptimizationReady", "InvalidConfiguration");
    let count = "does not say how many replicas";
    install_yaml(plane, &definition(group, "Silent", &scale(".spec.size"))).await?;
    create(namespace, group, "Silent", json!({"replicas": 2})).await?;
    let status = says(namespace, "silent", (refused.0, refused.1, count)).await?;
    assert_eq!(desired(&status), None, "{status:#}");

    install_yaml(plane, &definition(group, "Fixed", &json!({}))).await?;
    create(namespace, group, "Fixed", json!({"replicas": 2})).await?;
    let status = says(namespace, "fixed", (refused.0, refused.1, "`scale`")).await?;
    assert_eq!(desired(&status), None, "{status:#}");
    Ok(())
}

#[tokio::test]
async fn kinds_that_come_later_are_scaled_where_they_can_be() -> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let group = format!("{}.example.com", namespace.name());
        for kind in ["Usual", "Other", "Silent", "Fixed"] {
            claim(namespace, &group, kind, &kind.to_lowercase()).await?;
        }
        let _operator = operate(plane, namespace, chat).await?;
        let missing = ("TargetResolved", "TargetNotFound", "does not exist");
        says(namespace, "usual", missing).await?;
        kinds_that_come_later(plane, namespace, &group).await
    })
    .await
}
