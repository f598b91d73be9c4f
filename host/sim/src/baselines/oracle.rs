//! Perfect foresight: the counts of each tick follow what will arrive, one start-up ahead.

use super::attempt::{Attempt, Trial};
use super::jobs::{self, Done};
use super::plan::Plan;
use super::search;
use crate::capacity::{Demand, stages};
use crate::mix::{Inventory, Kind, cheapest, simplest};
use crate::spec::{PoolSpec, Spec, VariantSpec};

/// Spans over which arrivals are averaged, in seconds: a short one follows every wave, a long one
/// leaves waves to the head-room. Which is cheaper depends on the trace.
const SMOOTHING_SECONDS: [f64; 3] = [15.0, 60.0, 180.0];

/// Simulations that the search of one way to plan mostly takes.
const EXPECTED_SIMULATIONS: usize = 8;

/// How counts are chosen among kinds of replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The least-cost mix.
    Mixed,
    /// Only the kind that is cheapest per capacity: dearer by a fraction of a replica, and it
    /// never replaces one kind by another.
    OneKind,
}

impl Shape {
    /// Counts by variant that carry `factor` times `demand`.
    pub(super) fn counts(
        self,
        pool: &PoolSpec,
        inventory: &Inventory,
        demand: &Demand,
        factor: f64,
    ) -> Vec<u32> {
        let mut counts: Vec<u32> = pool.variants.iter().map(|v| v.min_replicas).collect();
        for stage in stages(&pool.variants) {
            let kinds = Kind::of(pool, &stage, demand);
            let chosen = match self {
                Self::Mixed => cheapest(&kinds, inventory, factor),
                Self::OneKind => simplest(&kinds, inventory, factor),
            };
            for (variant, count) in stage.into_iter().zip(chosen) {
                if let Some(place) = counts.get_mut(variant) {
                    *place = count;
                }
            }
        }
        counts
    }
}

/// One way to plan one pool.
struct Way {
    pool: usize,
    shape: Shape,
    smoothing_seconds: f64,
}

/// One plan for each pool: of all ways to plan, the cheapest that meets the objective.
pub(super) fn plans(spec: &Spec, progress: &mut dyn FnMut(f64)) -> Vec<Plan> {
    let ways: Vec<Way> = (0..spec.pools.len())
        .flat_map(|pool| {
            [Shape::Mixed, Shape::OneKind]
                .into_iter()
                .flat_map(move |shape| {
                    SMOOTHING_SECONDS.map(|smoothing_seconds| Way {
                        pool,
                        shape,
                        smoothing_seconds,
                    })
                })
        })
        .collect();
    let expected = EXPECTED_SIMULATIONS * ways.len();
    let attempts = jobs::all(&ways, expected, progress, |way, done| {
        way.search(spec, done)
    });
    (0..spec.pools.len())
        .map(|pool| {
            let of_pool = ways
                .iter()
                .zip(&attempts)
                .filter(|(way, _)| way.pool == pool);
            let best = of_pool.map(|(_, attempt)| attempt).min_by(|one, other| {
                one.met
                    .cmp(&other.met)
                    .reverse()
                    .then(one.cost.total_cmp(&other.cost))
            });
            best.map_or_else(|| Plan::constant(Vec::new()), |best| best.plan.clone())
        })
        .collect()
}

impl Way {
    fn search(&self, spec: &Spec, done: &Done) -> Attempt {
        let mut trial = Trial::new(spec, self.pool);
        let demands = self.demands(spec);
        search::least(
            |factor| self.plan(spec, &demands, factor),
            |plan| {
                let attempt = trial.run(plan);
                // Nobody listens any more only when the whole search is given up.
                let _ = done.send(());
                attempt
            },
        )
    }

    /// What arrives in each tick's period, averaged over the periods around it.
    fn demands(&self, spec: &Spec) -> Vec<Demand> {
        let period = spec.timing.tick_seconds;
        let Some(pool) = spec.pools.get(self.pool) else {
            return Vec::new();
        };
        let count = (spec.duration_seconds / period).ceil().max(1.0) as usize;
        let half = (self.smoothing_seconds - period) / 2.0;
        (0..count)
            .map(|index| {
                let from = (index as f64 * period - half).max(0.0);
                let until = ((index + 1) as f64 * period + half).min(spec.duration_seconds);
                let start = pool
                    .arrivals
                    .partition_point(|arrival| arrival.at_seconds < from);
                let end = pool
                    .arrivals
                    .partition_point(|arrival| arrival.at_seconds < until);
                let inside = pool.arrivals.get(start..end).unwrap_or_default();
                Demand::of(inside, (until - from).max(period / 2.0))
            })
            .collect()
    }

    /// Each tick asks for the most that any period needs from now until a replica asked for at the
    /// next tick serves: what serves then has to be asked for now, and what is given back now
    /// could not be there again before.
    fn plan(&self, spec: &Spec, demands: &[Demand], factor: f64) -> Plan {
        let period = spec.timing.tick_seconds;
        let Some(pool) = spec.pools.get(self.pool) else {
            return Plan::constant(Vec::new());
        };
        let needed: Vec<Vec<u32>> = demands
            .iter()
            .map(|demand| self.shape.counts(pool, &spec.inventory, demand, factor))
            .collect();
        let counts = (0..needed.len()).map(|tick| {
            let of_variant = |(position, variant): (usize, &VariantSpec)| {
                let ahead = lead_seconds(variant, spec.timing.actuation_seconds) / period;
                let window = needed.iter().skip(tick).take(ahead.ceil() as usize + 1);
                window
                    .filter_map(|counts| counts.get(position))
                    .copied()
                    .max()
                    .unwrap_or(0)
            };
            pool.variants.iter().enumerate().map(of_variant).collect()
        });
        Plan {
            period_seconds: period,
            counts: counts.collect(),
        }
    }
}

/// From a decision until a replica serves: the HPA's look, and a start-up that is longer than
/// most.
fn lead_seconds(variant: &VariantSpec, actuation_seconds: f64) -> f64 {
    actuation_seconds + variant.startup.mean_seconds * (1.0 + variant.startup.spread)
}
