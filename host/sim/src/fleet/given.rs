//! Replicas that somebody else starts and ends.

use super::{Fleet, Stage};

impl Fleet<'_> {
    /// Adds a replica that serves already: somebody else has found the GPUs and started it. What
    /// it exports is kept as vLLM does.
    pub(crate) fn join(&mut self, now: f64, pool: usize, variant: usize, name: &str) {
        let id = self.replicas.len();
        self.ask(pool, variant);
        self.unscheduled.retain(|other| *other != id);
        if let Some(replica) = self.replicas.get_mut(id) {
            name.clone_into(&mut replica.name);
            replica.stage = Stage::Serving;
            replica.serving_since = Some(now);
            replica.engine.keep_distributions();
        }
    }

    /// Takes a replica out: it finishes what it has.
    pub(crate) fn leave(&mut self, now: f64, id: usize) {
        if self.stage(id) == Stage::Serving {
            self.drain(now, id);
        }
    }
}
