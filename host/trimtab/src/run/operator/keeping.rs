//! What a leader remembers, from the one before it and for the next.

use tokio::time::timeout;
use trimtab_cluster::checkpoint::{self, SaveError};
use trimtab_cluster::refusal::explained;

use super::Operator;

impl Operator {
    /// Goes on with what the leader before remembered. Where that cannot be known now, nothing is
    /// decided; where it may not be read at all, it is started anew.
    pub(super) async fn resume(&mut self, reign: u32) -> bool {
        let limit = self.cycle.config.tick_timeout().duration();
        let Ok(loaded) = timeout(limit, self.checkpoint.load()).await else {
            tracing::warn!("state is not read: the API server does not answer; trying again");
            self.cycle.registry.error("checkpoint", "read");
            return false;
        };
        match loaded {
            Ok(loaded) => {
                for (name, damage) in &loaded.damaged {
                    tracing::warn!(
                        name,
                        damage,
                        "a part of the state was set aside as {name}-damaged"
                    );
                    self.cycle.registry.error("checkpoint", "damaged");
                }
                self.cycle.memory = loaded.memory;
            }
            Err(error) => {
                let told = explained(&error, checkpoint::RIGHTS);
                if !matches!(error, kube::Error::Api(status) if status.code == 403) {
                    tracing::warn!(error = told, "state cannot be read; trying again");
                    self.cycle.registry.error("checkpoint", "read");
                    return false;
                }
                let lost = "state may not be read: a restart forgets what was learned";
                tracing::error!(error = told, "{lost}");
                self.cycle.registry.error("checkpoint", "forbidden");
            }
        }
        self.cycle.speaker.forget();
        self.reign = Some(reign);
        tracing::info!(reign, "leading");
        true
    }

    pub(super) async fn save(&mut self) {
        self.saved.lap();
        if self.cycle.leadership.reign() != self.reign {
            return;
        }
        let limit = self.cycle.config.tick_timeout().duration();
        let saving = async {
            let saved = self.checkpoint.save(&self.cycle.memory).await;
            let Err(error) = saved else { return true };
            tracing::warn!(%error, "state not saved; trying again");
            if let SaveError::Fenced(_) = error {
                // What stands there is another's; whoever leads writes over it.
                if let Err(error) = self.checkpoint.load().await {
                    let error = explained(&error, checkpoint::RIGHTS);
                    tracing::warn!(error, "state cannot be read");
                }
            }
            false
        };
        let saved = timeout(limit, saving).await;
        if saved.is_err() {
            tracing::warn!("state not saved: the API server does not answer; trying again");
        }
        if saved != Ok(true) {
            self.cycle.registry.error("checkpoint", "write");
        }
    }
}
