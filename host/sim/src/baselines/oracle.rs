//! Perfect foresight: the counts of each tick follow what will arrive, one start-up ahead.

mod schedule;

use super::attempt::{Attempt, Attempts, Trial, choose};
use super::jobs::{self, Done};
use super::plan::Plan;
use super::search;
use crate::capacity::{Demand, stages};
use crate::mix::{Kind, Limits, by_price};
use crate::spec::{PoolSpec, Spec};
use schedule::Stage;

/// Spans over which arrivals are averaged, in seconds: a short one follows every wave, a long one
/// leaves waves to the head-room. Which is cheaper depends on the trace.
const SMOOTHING_SECONDS: [f64; 3] = [15.0, 60.0, 180.0];

/// Simulations that the search of one way to plan mostly takes.
const EXPECTED_SIMULATIONS: usize = 8;

/// One way to plan one pool.
struct Way {
    pool: usize,
    smoothing_seconds: f64,
}

/// What all ways to plan came to, pool by pool.
pub(super) fn search(spec: &Spec, progress: &mut dyn FnMut(f64)) -> Vec<Vec<Attempt>> {
    let ways: Vec<Way> = (0..spec.pools.len())
        .flat_map(|pool| {
            SMOOTHING_SECONDS.map(|smoothing_seconds| Way {
                pool,
                smoothing_seconds,
            })
        })
        .collect();
    let expected = EXPECTED_SIMULATIONS * ways.len();
    let found = jobs::all(&ways, expected, progress, |way, done| {
        way.search(spec, done)
    });
    let mut by_pool = vec![Vec::new(); spec.pools.len()];
    for (way, attempts) in ways.iter().zip(found) {
        if let Some(of_pool) = by_pool.get_mut(way.pool) {
            of_pool.extend(attempts);
        }
    }
    by_pool
}

/// One plan for each pool: the cheapest of what was tried that is good enough, the constant fleet
/// among it.
pub(super) fn plans(
    spec: &Spec,
    tried: &[Vec<Attempt>],
    constant: &[Option<Attempt>],
) -> Vec<Plan> {
    let pools = spec.pools.iter().zip(tried.iter().zip(constant));
    pools
        .map(|(pool, (tried, constant))| {
            let best = choose(tried.iter().chain(constant), pool.objective.percentile);
            Plan::of(best)
        })
        .collect()
}

impl Way {
    fn search(&self, spec: &Spec, done: &Done) -> Vec<Attempt> {
        let Some(pool) = spec.pools.get(self.pool) else {
            return Vec::new();
        };
        let mut trial = Trial::new(spec, self.pool);
        let mut attempts = Attempts::new(|plan| {
            let attempt = trial.run(plan);
            // Nobody listens any more only when the whole search is given up.
            let _ = done.send(());
            attempt
        });
        let demands = self.demands(spec);
        search::least(
            |factor| self.plan(spec, &demands, factor),
            &mut attempts,
            pool.objective.percentile,
        );
        attempts.all()
    }

    /// What arrives in each tick's period, averaged over the periods around it.
    fn demands(&self, spec: &Spec) -> Vec<Demand> {
        let period = spec.timing.tick_seconds;
        let Some(pool) = spec.pools.get(self.pool) else {
            return Vec::new();
        };
        let count = (spec.duration_seconds / period).ceil().max(1.0) as usize;
        let half = ((self.smoothing_seconds - period) / 2.0).max(0.0);
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

    /// Enough for `factor` times the demand, wherever it can be had.
    fn plan(&self, spec: &Spec, demands: &[Demand], factor: f64) -> Plan {
        let Some(pool) = spec.pools.get(self.pool) else {
            return Plan::constant(Vec::new());
        };
        let least: Vec<u32> = pool
            .variants
            .iter()
            .map(|variant| variant.min_replicas)
            .collect();
        let mut counts = vec![least; demands.len()];
        for positions in stages(&pool.variants) {
            let Some(stage) = stage(pool, spec, &positions, demands, factor) else {
                continue;
            };
            for (tick, of_stage) in counts.iter_mut().zip(stage.counts()) {
                for (position, count) in positions.iter().zip(of_stage) {
                    if let Some(place) = tick.get_mut(*position) {
                        *place = count;
                    }
                }
            }
        }
        Plan {
            period_seconds: spec.timing.tick_seconds,
            counts,
        }
    }
}

/// What has to be scheduled for one stage. Need is counted in replicas of the kind that is
/// cheapest per capacity; the other kinds' capacities are compared with that by the mean demand.
fn stage<'a>(
    pool: &PoolSpec,
    spec: &'a Spec,
    positions: &[usize],
    demands: &[Demand],
    factor: f64,
) -> Option<Stage<'a>> {
    let mut kinds = Kind::of(
        pool,
        positions,
        &Demand::of(&pool.arrivals, spec.duration_seconds),
    );
    let cheapest = by_price(&kinds).first().copied()?;
    let share = kinds.get(cheapest)?.share;
    kinds.iter_mut().for_each(|kind| kind.share /= share);
    let position = *positions.get(cheapest)?;
    let needs = demands.iter().filter_map(|demand| {
        let of_one = Kind::of(pool, &[position], demand);
        of_one.first().map(|kind| factor / kind.share)
    });
    let startups = positions
        .iter()
        .filter_map(|position| pool.variants.get(*position));
    let startup = startups
        .map(|variant| variant.startup.mean_seconds)
        .fold(0.0, f64::max);
    let lead = (spec.timing.actuation_seconds + startup) / spec.timing.tick_seconds;
    Some(Stage {
        kinds,
        cheapest,
        limits: Limits::of(spec),
        needs: needs.collect(),
        lead_ticks: lead.ceil() as usize,
    })
}
