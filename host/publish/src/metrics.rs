//! The metrics that we serve: what WVA's users know under WVA's names, and our own.
//!
//! Gauges are made anew from each cycle, so that a series goes with what it spoke of; counters and
//! histograms add up over the life of the process. A value that is not a number is left out.

mod current;
mod families;
mod labels;
mod live;
mod process;
mod published;
mod scaling;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod trials;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::prometheus_text;
use trimtab_core::decision::{Call, PoolDecision};
use trimtab_core::experiment::Report;
use trimtab_core::policies::Digest;
use trimtab_core::shadow::Shadowed;

use crate::desired::Desired;
use current::Current;
pub use live::Live;
use process::Process;
pub use published::{
    Build, Outcome, PolicyName, PolicyRole, PoolMetrics, Published, Query, Stage, StageSeconds,
};
use trials::Trials;

/// Everything that `/metrics` shows.
#[derive(Debug)]
pub struct Registry {
    encoded: prometheus_client::registry::Registry,
    process: Process,
    desired: Arc<Desired>,
    current: Arc<Mutex<Current>>,
    trials: Arc<Mutex<Trials>>,
}

impl Registry {
    /// `controller_instance` is a label of WVA's replica metrics, as it is there, where it is set.
    #[must_use]
    pub fn new(
        build: &Build,
        live: &Live,
        desired: Arc<Desired>,
        controller_instance: Option<&str>,
    ) -> Self {
        let mut encoded = prometheus_client::registry::Registry::default();
        let process = Process::register(&mut encoded, build);
        live.register(&mut encoded);
        let current = Arc::new(Mutex::new(Current::default()));
        encoded.register_collector(Box::new(current::State {
            desired: Arc::clone(&desired),
            current: Arc::clone(&current),
        }));
        let replicas = Box::new(current::Replicas {
            desired: Arc::clone(&desired),
            current: Arc::clone(&current),
        });
        match controller_instance.filter(|instance| !instance.is_empty()) {
            Some(instance) => {
                let label = (
                    Cow::Borrowed("controller_instance"),
                    Cow::Owned(instance.to_owned()),
                );
                let labelled = encoded.sub_registry_with_label(label);
                labelled.register_collector(replicas);
            }
            None => encoded.register_collector(replicas),
        }
        let trials = Arc::new(Mutex::new(Trials::default()));
        encoded.register_collector(Box::new(trials::Shown(Arc::clone(&trials))));
        Self {
            encoded,
            process,
            desired,
            current,
            trials,
        }
    }

    /// Shows what a cycle saw and decided, but for the conditions: these are complete when it has
    /// acted, and until then those of the last one stand.
    pub fn update(&self, published: &Published) {
        for decision in &published.decisions {
            self.count_policies(decision, &published.policies);
            self.process.guard(decision);
        }
        self.queries(&published.queries);
        self.current().replace(published);
        for _ in 0..self.desired.replace(published) {
            self.error("publish", "duplicate_variant");
        }
    }

    /// A cycle is over, or is left out. What was shown last stays.
    pub fn ended(&self, outcome: Outcome, stages: &[StageSeconds]) {
        self.process.tick(outcome, stages);
    }

    /// Conditions of the last cycle's pools, when all is known of how it went.
    pub fn conditions(&self, decisions: &[PoolDecision]) {
        self.current().replace_conditions(decisions);
    }

    /// What candidates in shadow would have asked for beside these decisions, and the seconds that
    /// were spent on them.
    pub fn shadows(&self, shadowed: &[Shadowed], decisions: &[PoolDecision], seconds: f64) {
        lock(&self.trials).shadows(shadowed, decisions, seconds);
    }

    /// Who decided, and how the experiment of each pool stands, where it has one.
    pub fn trials(
        &self,
        decisions: &[PoolDecision],
        report: impl Fn(&PoolDecision) -> Option<Report>,
    ) {
        lock(&self.trials).decisions(decisions, report);
    }

    /// Which Service serves external metrics in this cluster, and whether it is ours; `None` where
    /// nobody does.
    pub fn external_metrics(&self, service: Option<&str>, ours: bool) {
        self.current().external_metrics = service.map(|service| (service.to_owned(), ours));
    }

    /// Queries to Prometheus, also those of a cycle that failed.
    pub fn queries(&self, queries: &[Query]) {
        for query in queries {
            self.process.query(query);
        }
    }

    /// One error. Both words are of a closed vocabulary: they are labels.
    pub fn error(&self, component: &'static str, error_type: &'static str) {
        self.process.error(component, error_type);
    }

    /// In Prometheus' text format, 0.0.4.
    ///
    /// # Errors
    /// Where a family cannot be written; text that ends in the middle is not for anybody.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.encoded)?;
        Ok(text)
    }

    fn count_policies(&self, decision: &PoolDecision, names: &[PolicyName]) {
        let name_of = |digest: &Digest| {
            let known = names.iter().find(|known| known.digest == *digest);
            known.map_or("unknown", |known| known.name.as_str())
        };
        let count = |role: PolicyRole, call: &Call| {
            self.process.policy(role, call, name_of);
        };
        for analyzed in &decision.analyses {
            count(PolicyRole::Analyzer, &analyzed.call);
        }
        count(PolicyRole::Optimizer, &decision.plan.call);
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        lock(&self.current)
    }
}

/// Whoever panicked under the lock left values that are each still valid.
fn lock<T>(current: &Mutex<T>) -> MutexGuard<'_, T> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}
