//! Trying a plan for one pool in the simulator.

use super::plan::{Plan, Planned};
use crate::run;
use crate::spec::Spec;

/// How a plan did.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Attempt {
    pub(super) plan: Plan,
    pub(super) met: bool,
    pub(super) cost: f64,
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
        Attempt {
            plan,
            met: outcome
                .attainment
                .is_none_or(|attainment| attainment >= percentile),
            cost: outcome.cost,
        }
    }
}
