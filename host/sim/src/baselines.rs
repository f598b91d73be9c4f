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

use crate::outcome::Outcome;
use crate::run;
use crate::scenario::file::Baseline;
use crate::spec::Spec;

/// Runs a baseline on the arrivals of `spec`. `progress` is told the share done, the search for
/// the plan included.
///
/// Where nothing that the spec allows meets the objective, the search ends at the most that it
/// allows, and the outcome's attainment tells.
pub fn run(baseline: Baseline, spec: &Spec, progress: &mut dyn FnMut(f64)) -> Outcome {
    match baseline {
        Baseline::Hpa => run::run(spec, &mut hpa::Controlled::new(spec), progress),
        Baseline::Static => planned(spec, &constant::plans(spec, progress), progress),
        Baseline::Oracle => planned(spec, &oracle::plans(spec, progress), progress),
    }
}

/// A run in which each pool follows its plan.
fn planned(spec: &Spec, plans: &[plan::Plan], progress: &mut dyn FnMut(f64)) -> Outcome {
    let mut spec = spec.clone();
    for (pool, plan) in spec.pools.iter_mut().zip(plans) {
        plan.start(pool);
    }
    run::run(
        &spec,
        &mut plan::Planned::new(plans.to_vec()),
        &mut |share| {
            progress(jobs::SEARCH_SHARE + (1.0 - jobs::SEARCH_SHARE) * share);
        },
    )
}

#[cfg(test)]
mod tests;
