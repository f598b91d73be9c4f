//! Policies per pool, on a living fleet: selected in objects, swapped while running, stood in for,
//! tried in shadow, compared.

mod failures;
mod swaps;
mod trials;

use std::path::Path;

use anyhow::{Context as _, ensure};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, DynamicObject};
use serde_json::{Value, json};
use trimtab_cluster_tests::Namespace;
use trimtab_cluster_tests::wait::wait_until;

use crate::decisions::DEADLINE;

const SCALING_POLICY: (&str, &str, &str) = ("trimtab.dev", "v1alpha1", "ScalingPolicy");
const POOL_POLICY: (&str, &str, &str) = ("trimtab.dev", "v1alpha1", "PoolPolicy");

/// The shipped analyzer in another version: the same but for a section that nobody reads.
pub(crate) fn version(number: u8) -> Vec<u8> {
    let shipped = trimtab_sandbox::builtin("queueing-analyzer").unwrap_or_default();
    [shipped, &[0, 2, 1, b'0' + number]].concat()
}

fn digest(component: &[u8]) -> String {
    use sha2::Digest as _;
    format!("sha256:{}", hex::encode(sha2::Sha256::digest(component)))
}

/// As editors and kubelets do: written aside, and renamed.
fn put(directory: &Path, file: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let aside = directory.join(format!(".{file}.tmp"));
    fs_err::write(&aside, bytes)?;
    Ok(fs_err::rename(aside, directory.join(file))?)
}

async fn apply(
    namespace: &Namespace,
    kind: &str,
    name: &str,
    spec: Value,
) -> anyhow::Result<DynamicObject> {
    let object = json!({
        "apiVersion": "trimtab.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    });
    namespace.apply_json(object).await
}

async fn scaling_policy(namespace: &Namespace, name: &str, spec: Value) -> anyhow::Result<()> {
    apply(namespace, "ScalingPolicy", name, spec)
        .await
        .map(drop)
}

async fn pool_policy(namespace: &Namespace, name: &str, spec: Value) -> anyhow::Result<()> {
    apply(namespace, "PoolPolicy", name, spec).await.map(drop)
}

/// A policy, and the ConfigMap of its name that it is in.
pub(crate) async fn in_map(
    namespace: &Namespace,
    name: &str,
    component: &[u8],
) -> anyhow::Result<()> {
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        binary_data: Some([("p".to_owned(), ByteString(component.to_vec()))].into()),
        ..ConfigMap::default()
    };
    namespace.apply(&map).await?;
    let spec = json!({"source": {"configMap": {"name": name, "key": "p"}}});
    scaling_policy(namespace, name, spec).await
}

/// Binds the pool of the same name to this analyzer.
pub(crate) async fn bind(namespace: &Namespace, pool: &str, policy: &str) -> anyhow::Result<()> {
    let spec = json!({
        "poolRef": {"name": pool},
        "analyzers": [{"policyRef": {"name": policy}}],
    });
    pool_policy(namespace, pool, spec).await
}

async fn delete(namespace: &Namespace, kind: (&str, &str, &str), name: &str) -> anyhow::Result<()> {
    let api: Api<DynamicObject> = namespace.dynamic(kind);
    api.delete(name, &DeleteParams::default()).await?;
    Ok(())
}

async fn status_of(
    namespace: &Namespace,
    kind: (&str, &str, &str),
    name: &str,
) -> anyhow::Result<Value> {
    let api: Api<DynamicObject> = namespace.dynamic(kind);
    let object = api.get(name).await?;
    object.data.get("status").cloned().context("no status yet")
}

/// Status, reason and message of a condition.
fn condition<'a>(status: &'a Value, kind: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let conditions = status.get("conditions")?.as_array()?;
    let told = conditions.iter().find(|told| told["type"] == kind)?;
    let text = |field: &str| told.get(field)?.as_str();
    Some((text("status")?, text("reason")?, text("message")?))
}

/// Waits until a condition has this reason; gives its message.
async fn wait_for_reason(
    namespace: &Namespace,
    kind: (&str, &str, &str),
    name: &str,
    (condition_type, reason): (&str, &str),
) -> anyhow::Result<String> {
    let what = format!("{condition_type} of {name} is {reason}");
    wait_until(&what, DEADLINE, async || {
        let status = status_of(namespace, kind, name).await?;
        let told = condition(&status, condition_type).context("no such condition yet")?;
        ensure!(told.1 == reason, "{told:?}");
        Ok(told.2.to_owned())
    })
    .await
}

/// What the status of the PoolPolicy says of its pool of the same name.
async fn pool_status(namespace: &Namespace, pool: &str) -> anyhow::Result<Value> {
    let status = status_of(namespace, POOL_POLICY, pool).await?;
    let pools = status.get("pools").and_then(Value::as_array);
    let mut pools = pools.into_iter().flatten();
    let of_pool = pools.find(|of| of["name"] == pool);
    of_pool.cloned().context("nothing was decided yet")
}

/// Waits until a decision of the pool names this analyzer.
async fn wait_for_analyzer(
    namespace: &Namespace,
    pool: &str,
    digest: &str,
) -> anyhow::Result<Value> {
    let what = format!("{pool} is decided by {digest}");
    wait_until(&what, DEADLINE, async || {
        let of_pool = pool_status(namespace, pool).await?;
        let analyzers = of_pool.get("analyzers").map(Value::to_string);
        let analyzers = analyzers.unwrap_or_default();
        ensure!(analyzers.contains(digest), "{analyzers}");
        Ok(of_pool)
    })
    .await
}
