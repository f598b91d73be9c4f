//! Replicas that move, by each of the means there are.

mod direct;
mod faults;
mod from_zero;
mod hpa;
mod keda;

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use futures::StreamExt as _;
use kube::api::{Api, DynamicObject};
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::task::JoinHandle;
use trimtab_cluster_tests::scratch::Scratch;
use trimtab_cluster_tests::wait::wait_until;
use trimtab_cluster_tests::{Emulator, Namespace};

use crate::decisions::DEADLINE;

const DEPLOYMENT: (&str, &str, &str) = ("apps", "v1", "Deployment");
/// Requests per second, of which none comes while a test runs.
const NONE: f64 = 1e-6;

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

/// The flag of a configuration by which counts fall as soon as they may.
fn quick(scratch: &Scratch) -> anyhow::Result<String> {
    let file = scratch.path().join("trimtab.yaml");
    let text = "
policies: {analyzer: {settings: {scale-down-window-seconds: 5, forecast-horizon-seconds: 5}}}
pools: [{behavior: {scaleDown: {stabilizationWindowSeconds: 0}}}]
";
    std::fs::write(&file, text)?;
    Ok(format!("--config={}", file.display()))
}

/// The flag by which picker pods are asked where the emulator answers for them.
fn pickers_at(emulator: &Emulator) -> String {
    let address = emulator.address();
    format!("--set=scaleFromZero.pickerAddress=http://{address}/pods/{{namespace}}/{{pod}}/metrics")
}

/// Every count that a workload is to have from now on.
struct Floor {
    seen: Arc<Mutex<Vec<u64>>>,
    task: JoinHandle<()>,
}

impl Floor {
    async fn follow(
        namespace: &Namespace,
        kind: (&str, &str, &str),
        name: &str,
    ) -> anyhow::Result<Self> {
        let seen = Arc::new(Mutex::new(vec![set(namespace, kind, name).await?]));
        let of_it = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let api: Api<DynamicObject> = namespace.dynamic(kind);
        let mut told = watcher(api, of_it)
            .default_backoff()
            .applied_objects()
            .boxed();
        let kept = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Some(object) = told.next().await {
                // A watch that breaks is opened again.
                let count = object
                    .ok()
                    .and_then(|of| of.data.pointer("/spec/replicas")?.as_u64());
                let mut seen = kept.lock().unwrap_or_else(PoisonError::into_inner);
                seen.extend(count);
            }
        });
        Ok(Self { seen, task })
    }

    fn never_fell(&self) -> anyhow::Result<()> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(seen.is_sorted(), "it fell: {seen:?}");
        Ok(())
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.task.abort();
    }
}
