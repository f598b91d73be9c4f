//! Who is served first when not all growth fits.

use std::cmp::{Ordering, Reverse};

use trimtab_contract::Stage;

use super::Claim;
use crate::draft::PoolDraft;
use crate::snapshot::Mode;

/// A claim's call for its next replica; the greatest is served first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bid {
    class: Class,
    unmet: f64,
    /// Cost of a replica for an hour.
    cost: f64,
    /// Share of its plan that is still to be granted.
    outstanding: f64,
    /// Position among the claims, which are sorted by name.
    pub(super) claim: usize,
}

/// Published counts before observed ones, then the objective's priority, 1 first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Class {
    observed: bool,
    rank: u32,
}

impl Class {
    /// Priority 0 is one that was not set: least important.
    fn of(pool: &PoolDraft<'_>) -> Self {
        let priority = pool.seen.pool.objective.priority;
        Self {
            observed: pool.seen.rules.mode == Mode::Observe,
            rank: if priority == 0 { u32::MAX } else { priority },
        }
    }
}

impl Eq for Bid {}

impl PartialOrd for Bid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bid {
    fn cmp(&self, other: &Self) -> Ordering {
        Reverse(self.class)
            .cmp(&Reverse(other.class))
            .then(self.unmet.total_cmp(&other.unmet))
            .then(other.cost.total_cmp(&self.cost))
            .then(self.outstanding.total_cmp(&other.outstanding))
            .then(other.claim.cmp(&self.claim))
    }
}

/// Counts as granted so far, by pool and variant: what unmet need is measured by.
pub(super) struct Need(Vec<Vec<u32>>);

impl Need {
    pub(super) fn new(pools: &[PoolDraft<'_>], claims: &[Claim<'_>]) -> Self {
        let desired = |pool: &PoolDraft<'_>| pool.variants.iter().map(|d| d.desired()).collect();
        let mut need = Self(pools.iter().map(desired).collect());
        claims.iter().for_each(|claim| need.grant(claim));
        need
    }

    pub(super) fn grant(&mut self, claim: &Claim<'_>) {
        let count = self
            .0
            .get_mut(claim.pool)
            .and_then(|pool| pool.get_mut(claim.position));
        if let Some(count) = count {
            *count = claim.granted;
        }
    }

    /// The claim's next bid, as things stand; `index` is its position among the claims.
    pub(super) fn bid(
        &self,
        pools: &[PoolDraft<'_>],
        claim: &Claim<'_>,
        index: usize,
    ) -> Option<Bid> {
        let pool = pools.get(claim.pool)?;
        Some(Bid {
            class: Class::of(pool),
            unmet: unmet(pool, self.0.get(claim.pool)?, claim),
            cost: claim.variant.cost,
            outstanding: outstanding(claim),
            claim: index,
        })
    }
}

/// The largest share of demand that a stage lacks up to its floor and that this variant supplies.
/// Where no stage knows the variant, the plan is all that speaks for it.
fn unmet(pool: &PoolDraft<'_>, counts: &[u32], claim: &Claim<'_>) -> f64 {
    let knows = |stage: &&&Stage| {
        let mut capacities = stage.capacities.iter();
        capacities.any(|capacity| capacity.variant as usize == claim.position)
    };
    let stages = pool.stages.iter().filter(knows);
    stages
        .map(|stage| lacking(stage, counts, claim))
        .reduce(f64::max)
        .unwrap_or_else(|| outstanding(claim))
}

fn outstanding(claim: &Claim<'_>) -> f64 {
    f64::from(claim.growth()) / f64::from(claim.wanted.max(1))
}

fn lacking(stage: &Stage, counts: &[u32], claim: &Claim<'_>) -> f64 {
    let mut supply = 0.0;
    let mut helps = false;
    for capacity in &stage.capacities {
        let count = counts.get(capacity.variant as usize).copied().unwrap_or(0);
        supply += capacity.per_replica * f64::from(count);
        helps |= capacity.variant as usize == claim.position && capacity.per_replica > 0.0;
    }
    let scale = if stage.demand > 0.0 {
        stage.demand
    } else {
        stage.floor
    };
    if !helps || scale <= 0.0 {
        return 0.0;
    }
    ((stage.floor - supply) / scale).max(0.0)
}
