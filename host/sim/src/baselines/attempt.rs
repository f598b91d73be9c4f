//! Trying plans for one pool in the simulator, and choosing among them.

use super::plan::{Plan, Planned};
use crate::run;
use crate::spec::Spec;

/// How a plan did.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Attempt {
    pub(super) plan: Plan,
    /// Share of all requests that met the objective.
    pub(super) attainment: f64,
    pub(super) cost: f64,
}

/// Attainments so close to the best are as good as it, where the objective is out of reach.
pub(super) const NEAR: f64 = 2e-3;

/// The attainment that is good enough: what the objective wants, or nearly the best that anything
/// attains where that is less.
pub(super) fn goal(wanted: f64, best: f64) -> f64 {
    if best >= wanted { wanted } else { best - NEAR }
}

/// The cheapest attempt that is good enough; the last one of several.
pub(super) fn choose<'a, I>(attempts: I, wanted: f64) -> Option<&'a Attempt>
where
    I: IntoIterator<Item = &'a Attempt>,
    I::IntoIter: DoubleEndedIterator + Clone,
{
    let attempts = attempts.into_iter();
    let best = attempts.clone().map(|attempt| attempt.attainment);
    let goal = goal(wanted, best.fold(0.0, f64::max));
    attempts
        .rev()
        .filter(|attempt| attempt.attainment >= goal)
        .min_by(|one, other| one.cost.total_cmp(&other.cost))
}

/// What was tried, each plan once.
pub(super) struct Attempts<S> {
    simulate: S,
    tried: Vec<Attempt>,
}

impl<S: FnMut(Plan) -> Attempt> Attempts<S> {
    pub(super) fn new(simulate: S) -> Self {
        Self {
            simulate,
            tried: Vec::new(),
        }
    }

    /// What a plan attains.
    pub(super) fn attain(&mut self, plan: Plan) -> f64 {
        if let Some(known) = self.tried.iter().find(|attempt| attempt.plan == plan) {
            return known.attainment;
        }
        let attempt = (self.simulate)(plan);
        let attainment = attempt.attainment;
        self.tried.push(attempt);
        attainment
    }

    pub(super) fn choose(&self, wanted: f64) -> Option<&Attempt> {
        choose(&self.tried, wanted)
    }

    pub(super) fn goal(&self, wanted: f64) -> f64 {
        let attained = self.tried.iter().map(|attempt| attempt.attainment);
        goal(wanted, attained.fold(0.0, f64::max))
    }

    pub(super) fn all(self) -> Vec<Attempt> {
        self.tried
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

    pub(super) fn run(&mut self, plan: Plan) -> Attempt {
        let mut plans = vec![Plan::constant(Vec::new()); self.spec.pools.len()];
        if let Some((pool, place)) = self
            .spec
            .pools
            .get_mut(self.pool)
            .zip(plans.get_mut(self.pool))
        {
            plan.start(pool);
            place.clone_from(&plan);
        }
        let outcome = run::run(&self.spec, &mut Planned::new(plans), &mut |_| ());
        Attempt {
            plan,
            // Where nothing arrives, nothing misses.
            attainment: outcome.attainment.unwrap_or(1.0),
            cost: outcome.cost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(attainment: f64, cost: f64) -> Attempt {
        Attempt {
            plan: Plan::constant(Vec::new()),
            attainment,
            cost,
        }
    }

    #[test]
    fn the_cheapest_that_meets_is_chosen_whatever_others_attain() {
        let attempts = [attempt(1.0, 9.0), attempt(0.99, 5.0), attempt(0.989, 1.0)];
        assert_eq!(choose(&attempts, 0.99), Some(&attempts[1]));
    }

    #[test]
    fn out_of_reach_a_hair_of_attainment_is_not_paid_for() {
        let attempts = [
            attempt(0.9597, 135.0),
            attempt(0.9590, 71.0),
            attempt(0.9500, 30.0),
        ];
        assert_eq!(choose(&attempts, 0.99), Some(&attempts[1]));
        assert_eq!(choose(&[], 0.99), None);
    }
}
