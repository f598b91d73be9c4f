//! The cheapest fleet of constant size that meets the objective.

use super::attempt::{Attempt, Attempts, Trial};
use super::jobs::{self, Done};
use super::plan::Plan;
use super::search;
use crate::capacity::{Demand, stages};
use crate::mix::{Inventory, Kind, Limits, cheapest, simplest};
use crate::spec::{PoolSpec, Spec};

/// Simulations that the search of one pool mostly takes.
const EXPECTED_SIMULATIONS: usize = 24;

/// One fleet for each pool, with how it did alone.
pub(super) fn search(spec: &Spec, progress: &mut dyn FnMut(f64)) -> Vec<Option<Attempt>> {
    let pools: Vec<(usize, &PoolSpec)> = spec.pools.iter().enumerate().collect();
    let expected = EXPECTED_SIMULATIONS * pools.len();
    jobs::all(&pools, expected, progress, |(index, pool), done| {
        search_pool(spec, *index, pool, done)
    })
}

/// From fleets of one kind and from mixed ones that the closed form finds equally sufficient, the
/// cheaper that does suffice; and from there down as long as a replica can be left out, or
/// exchanged for cheaper ones.
fn search_pool(spec: &Spec, index: usize, pool: &PoolSpec, done: &Done) -> Option<Attempt> {
    let mut trial = Trial::new(spec, index);
    let mut attempts = Attempts::new(|plan| {
        let attempt = trial.run(plan);
        // Nobody listens any more only when the whole search is given up.
        let _ = done.send(());
        attempt
    });
    let wanted = pool.objective.percentile;
    let demand = Demand::of(&pool.arrivals, spec.duration_seconds);
    for shape in [Shape::OneKind, Shape::Mixed] {
        search::least(
            |factor| Plan::constant(shape.counts(pool, Limits::of(spec), &demand, factor)),
            &mut attempts,
            wanted,
        );
    }
    descend(pool, spec, &mut attempts);
    attempts.choose(wanted).cloned()
}

/// How counts are chosen among kinds of replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// The least-cost mix.
    Mixed,
    /// Only the kind that is cheapest per capacity.
    OneKind,
}

impl Shape {
    /// Counts by variant that carry `factor` times `demand`.
    fn counts(self, pool: &PoolSpec, limits: Limits<'_>, demand: &Demand, factor: f64) -> Vec<u32> {
        let mut counts: Vec<u32> = pool.variants.iter().map(|v| v.min_replicas).collect();
        for stage in stages(&pool.variants) {
            let kinds = Kind::of(pool, &stage, demand);
            let chosen = match self {
                Self::Mixed => cheapest(&kinds, limits, factor),
                Self::OneKind => simplest(&kinds, limits, factor),
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

/// Takes the cheapest neighbour that is good enough, until none is.
fn descend<S: FnMut(Plan) -> Attempt>(pool: &PoolSpec, spec: &Spec, attempts: &mut Attempts<S>) {
    let wanted = pool.objective.percentile;
    let start = attempts.choose(wanted).map(|best| best.plan.clone());
    let mut counts = start.and_then(|plan| plan.counts.into_iter().next());
    while let Some(from) = counts {
        let goal = attempts.goal(wanted);
        counts = neighbours(&from, pool, &spec.inventory)
            .into_iter()
            .find(|counts| attempts.attain(Plan::constant(counts.clone())) >= goal);
    }
}

/// Fleets with one replica less, or one exchanged for as many cheaper ones of the same stage as
/// still cost less; the cheapest first.
fn neighbours(counts: &[u32], pool: &PoolSpec, inventory: &Inventory) -> Vec<Vec<u32>> {
    let mut found: Vec<(f64, Vec<u32>)> = Vec::new();
    for stage in stages(&pool.variants) {
        let kinds = Kind::of(pool, &stage, &Demand::default());
        for (from, dear) in stage.iter().zip(&kinds) {
            let mut fewer = counts.to_vec();
            match fewer.get_mut(*from) {
                Some(count) if *count > dear.min => *count -= 1,
                _ => continue,
            }
            found.push((-dear.cost, fewer.clone()));
            for (to, cheap) in stage.iter().zip(&kinds).filter(|(_, kind)| kind.cost > 0.0) {
                let mut added = 1;
                while to != from && f64::from(added) * cheap.cost < dear.cost - 1e-9 {
                    let mut exchanged = fewer.clone();
                    if let Some(count) = exchanged.get_mut(*to) {
                        *count += added;
                    }
                    found.push((f64::from(added) * cheap.cost - dear.cost, exchanged));
                    added += 1;
                }
            }
        }
    }
    found.retain(|(_, counts)| possible(counts, pool, inventory));
    found.sort_by(|one, other| one.0.total_cmp(&other.0));
    found.into_iter().map(|(_, counts)| counts).collect()
}

fn possible(counts: &[u32], pool: &PoolSpec, inventory: &Inventory) -> bool {
    let bounded = pool
        .variants
        .iter()
        .zip(counts)
        .all(|(variant, count)| (variant.min_replicas..=variant.max_replicas).contains(count));
    let Some(inventory) = inventory else {
        return bounded;
    };
    bounded
        && pool.variants.iter().all(|sharer| {
            let used: u32 = pool
                .variants
                .iter()
                .zip(counts)
                .filter(|(variant, _)| variant.accelerator == sharer.accelerator)
                .map(|(variant, count)| variant.gpus_per_replica.saturating_mul(*count))
                .sum();
            let total: u32 = inventory
                .iter()
                .filter(|(name, _)| *name == sharer.accelerator)
                .map(|(_, gpus)| *gpus)
                .sum();
            used <= total
        })
}
