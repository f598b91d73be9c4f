//! Whether this process leads, kept up to date beside the loop.

use std::sync::Arc;
use std::time::Duration;

use kube::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use trimtab_cluster::lease::{Elector, Standing};
use trimtab_cluster::refusal::explained;
use trimtab_publish::desired::Desired;

use super::clock::steady_ms;

/// What the loop knows of the leadership.
#[derive(Clone)]
pub(super) struct Leadership {
    standing: watch::Receiver<Standing>,
}

/// Stops the election, and gives the Lease up.
pub(super) struct Election {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Leadership {
    /// For a process that takes itself for the only one.
    pub(super) fn alone() -> Self {
        let (_, standing) = watch::channel(Standing::Leader {
            transitions: 0,
            until_ms: u64::MAX,
        });
        Self { standing }
    }

    /// Takes part in the election from now on.
    pub(super) fn elect(
        mut elector: Elector,
        retry: Duration,
        desired: Arc<Desired>,
    ) -> (Self, Election) {
        let (tell, standing) = watch::channel(elector.standing(steady_ms()));
        let (stop, mut stopping) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut trouble = None;
            loop {
                let step = tokio::time::timeout(retry, elector.step(steady_ms()));
                let failed = match step.await {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(why(&error)),
                    Err(_) => Some("the API server does not answer".to_owned()),
                };
                if failed != trouble {
                    tell_of_trouble(&elector, failed.as_deref());
                    trouble = failed;
                }
                let now = elector.standing(steady_ms());
                desired.lead(until(&now));
                tell.send_if_modified(|standing| {
                    let changed = leader(standing) != leader(&now);
                    if changed {
                        tracing::info!(standing = ?now, "leadership");
                    }
                    *standing = now;
                    changed
                });
                tokio::select! {
                    () = tokio::time::sleep(retry) => {}
                    _ = stopping.wait_for(|stop| *stop) => break,
                }
            }
            if let Err(error) = elector.release().await {
                let error = why(&error);
                tracing::warn!(error, "the Lease could not be given up; it ends by itself");
            }
        });
        (Self { standing }, Election { stop, task })
    }

    /// How long this process leads, unless it renews; `None` where it does not.
    pub(super) fn left(&self) -> Option<Duration> {
        let left = until(&self.standing.borrow())?.saturating_sub(steady_ms());
        (left > 0).then(|| Duration::from_millis(left))
    }

    /// The change of leaders that made this process one.
    pub(super) fn reign(&self) -> Option<u32> {
        self.left()?;
        leader(&self.standing.borrow()).ok()
    }

    /// Waits for the next change of leaders; for ever where there is no election.
    pub(super) async fn changed(&mut self) {
        if self.standing.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// This process's reign, or else who leads.
fn leader(standing: &Standing) -> Result<u32, Option<&str>> {
    match standing {
        Standing::Leader { transitions, .. } => Ok(*transitions),
        Standing::Follower { leader } => Err(leader.as_deref()),
    }
}

/// Until when this process leads, on the clock that nobody sets.
fn until(standing: &Standing) -> Option<u64> {
    match *standing {
        Standing::Leader { until_ms, .. } => Some(until_ms),
        Standing::Follower { .. } => None,
    }
}

/// The namespace is what can be missing.
fn why(error: &Error) -> String {
    let told = explained(error, "`get`, `create` and `update` of leases");
    if matches!(error, Error::Api(status) if status.code == 404) {
        format!("{told}: create it, or name another in leaderElection.namespace")
    } else {
        told
    }
}

/// Once, and once more when it is over.
fn tell_of_trouble(elector: &Elector, why: Option<&str>) {
    let lease = elector.lease();
    match why {
        Some(why) => tracing::warn!(lease, why, "the Lease cannot be taken or renewed"),
        None => tracing::info!(lease, "the Lease can be taken and renewed again"),
    }
}

impl Election {
    pub(super) async fn end(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "the election ended badly");
        }
    }
}
