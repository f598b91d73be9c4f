//! Replicas that move, by each of the means there are.

mod direct;
mod from_zero;

use anyhow::{Context as _, ensure};
use kube::api::{Api, DynamicObject};
use trimtab_cluster_tests::wait::wait_until;
use trimtab_cluster_tests::{Emulator, Namespace};

use crate::decisions::DEADLINE;

const DEPLOYMENT: (&str, &str, &str) = ("apps", "v1", "Deployment");

/// Replicas that a workload is to have.
pub(crate) async fn set(
    namespace: &Namespace,
    kind: (&str, &str, &str),
    name: &str,
) -> anyhow::Result<u64> {
    let api: Api<DynamicObject> = namespace.dynamic(kind);
    let object = api.get(name).await?;
    let count = object.data.pointer("/spec/replicas");
    count
        .and_then(serde_json::Value::as_u64)
        .context("no count")
}

/// Waits until a workload is to have so many replicas.
pub(crate) async fn wait_for_count(
    namespace: &Namespace,
    (kind, name): ((&str, &str, &str), &str),
    what: &str,
    holds: impl Fn(u64) -> bool,
) -> anyhow::Result<u64> {
    wait_until(&format!("{name}: {what}"), DEADLINE, async || {
        let count = set(namespace, kind, name).await?;
        ensure!(holds(count), "it is to have {count}");
        Ok(count)
    })
    .await
}

/// The flag by which picker pods are asked where the emulator answers for them.
fn pickers_at(emulator: &Emulator) -> String {
    let address = emulator.address();
    format!("--set=scaleFromZero.pickerAddress=http://{address}/pods/{{namespace}}/{{pod}}/metrics")
}
