//! Faults of what the operator lives on: no count is lowered, and nothing is lost.

mod api_server;
pub(crate) mod gpus;
mod leader;
mod objects;
pub(crate) mod prometheus;
pub(crate) mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::ensure;
use futures::StreamExt as _;
use kube::api::{Api, DynamicObject};
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::task::JoinHandle;
use trimtab_cluster_tests::{Namespace, Operator};

use crate::decisions::{VARIANT, desired};

type Seen = Arc<Mutex<Vec<u64>>>;

fn lock(seen: &Seen) -> MutexGuard<'_, Vec<u64>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every count that the status of `chat-h100` asks for from now on, in order.
struct Counts {
    seen: Seen,
    task: JoinHandle<()>,
}

impl Counts {
    fn follow(namespace: &Namespace) -> Self {
        let variants: Api<DynamicObject> = namespace.dynamic(VARIANT);
        let of_it = watcher::Config::default().fields("metadata.name=chat-h100");
        let mut told = watcher(variants, of_it)
            .default_backoff()
            .applied_objects()
            .boxed();
        let seen = Seen::default();
        let kept = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Some(variant) = told.next().await {
                // A watch that breaks is opened again.
                let status = variant.ok().and_then(|of| of.data.get("status").cloned());
                lock(&kept).extend(status.as_ref().and_then(desired));
            }
        });
        Self { seen, task }
    }

    /// That each was at least what was asked for, and at least the one before.
    fn never_fell(&self, asked: u64) -> anyhow::Result<()> {
        let seen = lock(&self.seen);
        ensure!(!seen.is_empty(), "no count was seen");
        let fell = seen.first() < Some(&asked) || !seen.is_sorted();
        ensure!(!fell, "{asked} was asked for, then {seen:?}");
        Ok(())
    }
}

/// That it never stood down.
async fn led_all_the_time(operator: &Operator) {
    let log = operator.log(usize::MAX).await;
    assert!(
        !log.contains("standing=Follower"),
        "it led all the time:\n{log}"
    );
}

impl Drop for Counts {
    fn drop(&mut self) {
        self.task.abort();
    }
}
