//! Keeps the label of our pod, by which Services find the leader.

use std::time::Duration;

use tokio::sync::watch;
use trimtab_cluster::own_pod::{self, OwnPod};
use trimtab_cluster::refusal::explained;

use crate::run::leader::Leadership;
use crate::run::shutdown;

/// How often it is looked at; at once when leaders change.
const LOOK: Duration = Duration::from_secs(30);
/// After a failure.
const RETRY: Duration = Duration::from_secs(2);

pub(super) struct LeaderLabel {
    pod: OwnPod,
    leadership: Leadership,
    stopping: watch::Receiver<bool>,
}

impl LeaderLabel {
    pub(super) fn new(
        pod: OwnPod,
        leadership: Leadership,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            pod,
            leadership,
            stopping,
        }
    }

    /// Until the process is told to stop.
    pub(super) async fn keep(mut self) {
        let mut trouble = None;
        loop {
            let labelled = self.pod.label(self.leadership.left().is_some()).await;
            let why = labelled
                .err()
                .map(|error| explained(&error, own_pod::RIGHTS));
            if let Some(why) = why.as_ref().filter(|_| why != trouble) {
                tracing::warn!(why, "no Service can tell who leads");
            }
            let wait = if why.is_some() { RETRY } else { LOOK };
            trouble = why;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.leadership.changed() => {}
                () = shutdown::told(self.stopping.clone()) => return,
            }
        }
    }
}
