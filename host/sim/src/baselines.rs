//! What a run is compared with: the cheapest constant fleet, HPA's own rule, and perfect foresight.
//!
//! The first and the last know the future: they are found by trying plans in the same simulator
//! that judges the engine. Each pool is searched alone, with the whole inventory to itself; the
//! plans found are then run together, so that pools that compete for GPUs meet in the result.

mod attempt;
mod constant;
pub mod hpa;
mod jobs;
mod oracle;
mod plan;
mod search;

use std::sync::OnceLock;

use crate::outcome::{OutOfReach, Outcome};
use crate::run;
use crate::scenario::file::Baseline;
use crate::spec::Spec;
use attempt::Attempt;
use plan::Plan;

/// Of the constant fleet's progress, the share that its search is.
const CONSTANT_SEARCH: f64 = 0.9;

/// Of the oracle's progress, the share that its own search is, and that with the constant fleet's.
const ORACLE_SEARCHES: [f64; 2] = [0.6, 0.9];

/// The baselines on the arrivals of one spec. They can run side by side.
pub struct Baselines<'a> {
    spec: &'a Spec,
    /// Found once: the oracle may fall back on it.
    constant: OnceLock<Constant>,
}

/// The cheapest constant fleet.
struct Constant {
    /// By pool.
    attempts: Vec<Option<Attempt>>,
    outcome: Outcome,
}

impl<'a> Baselines<'a> {
    #[must_use]
    pub fn new(spec: &'a Spec) -> Self {
        Self {
            spec,
            constant: OnceLock::new(),
        }
    }

    /// Runs one. `progress` is told the share done, the search for a plan included.
    ///
    /// Where nothing that the spec allows meets the objective, a search ends at the cheapest of what
    /// comes near the best, and the outcome tells so.
    pub fn run(&self, baseline: Baseline, progress: &mut dyn FnMut(f64)) -> Outcome {
        match baseline {
            Baseline::Hpa => run::run(self.spec, &mut hpa::Controlled::new(self.spec), progress),
            Baseline::Static => self.constant(progress).outcome.clone(),
            Baseline::Oracle => self.oracle(progress),
        }
    }

    fn constant(&self, progress: &mut dyn FnMut(f64)) -> &Constant {
        let constant = self.constant.get_or_init(|| {
            let attempts = constant::search(self.spec, &mut part(progress, 0.0, CONSTANT_SEARCH));
            let plans: Vec<Plan> = attempts.iter().map(|a| Plan::of(a.as_ref())).collect();
            let outcome = planned(self.spec, &plans, &mut part(progress, CONSTANT_SEARCH, 1.0));
            Constant { attempts, outcome }
        });
        progress(1.0);
        constant
    }

    /// Never dearer than the constant fleet where that attains as much.
    fn oracle(&self, progress: &mut dyn FnMut(f64)) -> Outcome {
        let [own, both] = ORACLE_SEARCHES;
        let tried = oracle::search(self.spec, &mut part(progress, 0.0, own));
        let constant = self.constant(&mut part(progress, own, both));
        let plans = oracle::plans(self.spec, &tried, &constant.attempts);
        let outcome = planned(self.spec, &plans, &mut part(progress, both, 1.0));
        // Plans that are each better alone may compete for GPUs.
        let constant = &constant.outcome;
        if constant.cost < outcome.cost && constant.attainment >= outcome.attainment {
            constant.clone()
        } else {
            outcome
        }
    }
}

/// The progress of a part, within that of the whole.
fn part(progress: &mut dyn FnMut(f64), from: f64, until: f64) -> impl FnMut(f64) {
    move |share| progress(from + (until - from) * share)
}

/// A run in which each pool follows its plan.
fn planned(spec: &Spec, plans: &[Plan], progress: &mut dyn FnMut(f64)) -> Outcome {
    let mut spec = spec.clone();
    for (pool, plan) in spec.pools.iter_mut().zip(plans) {
        plan.start(pool);
    }
    let mut outcome = run::run(&spec, &mut plan::Planned::new(plans.to_vec()), progress);
    let pools = spec.pools.iter().zip(&outcome.pools);
    let missed = pools.filter_map(|(pool, series)| {
        let attained = series.attainment?;
        (attained < pool.objective.percentile).then(|| OutOfReach {
            pool: pool.name.clone(),
            wanted: pool.objective.percentile,
            attained,
        })
    });
    outcome.out_of_reach = missed.collect();
    outcome
}

#[cfg(test)]
mod tests;
