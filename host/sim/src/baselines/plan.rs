//! Counts that were fixed before the run began.

use trimtab_core::snapshot::Snapshot;

use super::attempt::Attempt;
use crate::controller::{Controller, Counts};
use crate::run::START_MS;
use crate::spec::PoolSpec;

/// Counts of one pool's variants, for each of a run's periods of equal length.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) period_seconds: f64,
    /// By period and variant; the last holds on after its end.
    pub(super) counts: Vec<Vec<u32>>,
}

impl Plan {
    pub(super) fn constant(counts: Vec<u32>) -> Self {
        Self {
            period_seconds: f64::MAX,
            counts: vec![counts],
        }
    }

    /// That of an attempt; nothing where there is none.
    pub(super) fn of(attempt: Option<&Attempt>) -> Self {
        attempt.map_or_else(
            || Self::constant(Vec::new()),
            |attempt| attempt.plan.clone(),
        )
    }

    /// Lets a pool begin with what the plan begins with.
    pub(super) fn start(&self, pool: &mut PoolSpec) {
        for (variant, count) in pool.variants.iter_mut().zip(self.counts.iter().flatten()) {
            variant.initial_replicas = *count;
        }
    }

    fn at(&self, seconds: f64) -> Vec<u32> {
        let period = (seconds / self.period_seconds + 1e-6) as usize;
        self.counts
            .get(period)
            .or(self.counts.last())
            .cloned()
            .unwrap_or_default()
    }
}

/// Follows one plan for each pool.
pub(super) struct Planned {
    plans: Vec<Plan>,
}

impl Planned {
    pub(super) fn new(plans: Vec<Plan>) -> Self {
        Self { plans }
    }
}

impl Controller for Planned {
    fn decide(&mut self, snapshot: &Snapshot) -> Counts {
        let seconds = snapshot.now_ms.saturating_sub(START_MS) as f64 / 1000.0;
        let desired = self.plans.iter().map(|plan| plan.at(seconds)).collect();
        Counts {
            desired,
            decisions: Vec::new(),
        }
    }
}
