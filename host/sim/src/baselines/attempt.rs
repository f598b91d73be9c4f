//! Trying a plan for one pool in the simulator.

use std::cmp::Ordering;

use super::plan::{Plan, Planned};
use crate::run;
use crate::spec::Spec;

/// How a plan did.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Attempt {
    pub(super) plan: Plan,
    pub(super) met: bool,
    /// Share of all requests that met the objective.
    pub(super) attainment: f64,
    pub(super) cost: f64,
}

/// Attainments that differ by less are alike.
pub(super) const ALIKE: f64 = 1e-3;

impl Attempt {
    /// The better one first: what meets the objective before what does not, then the cheaper; of
    /// two that do not meet it the one that comes closer.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let steps = |attempt: &Self| (attempt.attainment / ALIKE).round() as u64;
        let closer = if self.met {
            Ordering::Equal
        } else {
            steps(other).cmp(&steps(self))
        };
        other
            .met
            .cmp(&self.met)
            .then(closer)
            .then(self.cost.total_cmp(&other.cost))
    }
}

/// One pool of a spec, which plans can be tried on.
pub(super) struct Trial {
    spec: Spec,
    pool: usize,
}

impl Trial {
    /// The other pools stay, empty and idle: everything random is drawn by a pool's position.
    pub(super) fn new(spec: &Spec, pool: usize) -> Self {
        let mut spec = spec.clone();
        for (index, other) in spec.pools.iter_mut().enumerate() {
            if index != pool {
                other.arrivals = Vec::new();
                for variant in &mut other.variants {
                    (variant.min_replicas, variant.initial_replicas) = (0, 0);
                }
            }
        }
        Self { spec, pool }
    }

    /// Meets the objective if so large a share of all requests did.
    pub(super) fn run(&mut self, plan: Plan) -> Attempt {
        let mut plans = vec![Plan::constant(Vec::new()); self.spec.pools.len()];
        let mut percentile = 0.0;
        if let Some((pool, place)) = self
            .spec
            .pools
            .get_mut(self.pool)
            .zip(plans.get_mut(self.pool))
        {
            plan.start(pool);
            percentile = pool.objective.percentile;
            place.clone_from(&plan);
        }
        let outcome = run::run(&self.spec, &mut Planned::new(plans), &mut |_| ());
        // Where nothing arrives, nothing misses.
        let attainment = outcome.attainment.unwrap_or(1.0);
        Attempt {
            plan,
            met: attainment >= percentile,
            attainment,
            cost: outcome.cost,
        }
    }
}
