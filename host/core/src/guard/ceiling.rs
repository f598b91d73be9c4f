//! Replicas may go only while every stage has more than its ceiling: what a stage would lack is
//! given back.
//!
//! For each stage, let `supply(n) = Σ per-replica · n` over its variants. A shrink must leave
//! `supply(desired) ≥ min(ceiling, supply(previous))`, and so it must with the counts cut to what is
//! ready: a replica goes when its successor serves, not when it is asked for; cancelling a replica
//! that does not serve yet costs nothing there. The rule fights with no other: it runs after all
//! growth is settled, so a shrink that relied on growth that was not granted is given back too; it
//! raises only up to what was desired before and never above the maximum; and the GPUs and the
//! money of what was desired before were counted as spent.

use trimtab_contract::{Capacity, Stage};

use crate::decision::Rule;
use crate::draft::{PoolDraft, VariantDraft, role_name};

/// Relative; sums of capacities are not exact.
const TOLERANCE: f64 = 1e-9;

/// Which replicas a supply counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// All that are asked for.
    Asked,
    /// Those of them that serve already.
    Serving,
}

impl Counted {
    fn of(self, replicas: u32, draft: &VariantDraft<'_>) -> u32 {
        match self {
            Self::Asked => replicas,
            Self::Serving => replicas.min(draft.variant.ready_replicas),
        }
    }
}

pub(super) fn apply(pool: &mut PoolDraft<'_>) {
    if pool
        .variants
        .iter()
        .all(|draft| draft.desired() >= draft.previous())
    {
        return;
    }
    // What one stage gets back is supply to all others, so one walk settles them all.
    for stage in &pool.stages {
        for counted in [Counted::Asked, Counted::Serving] {
            give_back(&mut pool.variants, stage, counted);
        }
    }
}

fn give_back(variants: &mut [VariantDraft<'_>], stage: &Stage, counted: Counted) {
    let before = supply(variants, stage, counted, |draft| draft.previous());
    let needed = stage.ceiling.min(before);
    let mut supplied = supply(variants, stage, counted, |draft| draft.desired());
    for capacity in cheapest_first(variants, stage) {
        let lacking = needed - supplied;
        if lacking <= needed * TOLERANCE {
            return;
        }
        let Some(draft) = variants.get_mut(capacity.variant as usize) else {
            continue;
        };
        let most = counted.of(draft.previous().min(draft.upper()), draft);
        let replicas = (lacking / capacity.per_replica * (1.0 - TOLERANCE)).ceil();
        let after = (f64::from(draft.desired()) + replicas).min(f64::from(most)) as u32;
        if after > draft.desired() {
            supplied += capacity.per_replica * f64::from(after - draft.desired());
            let why = why(stage, counted, supplied, needed);
            draft.set(Rule::Ceiling, after, why);
        }
    }
}

fn supply(
    variants: &[VariantDraft<'_>],
    stage: &Stage,
    counted: Counted,
    count: impl Fn(&VariantDraft<'_>) -> u32,
) -> f64 {
    let of = |capacity: &Capacity| {
        variants
            .get(capacity.variant as usize)
            .map_or(0.0, |draft| {
                capacity.per_replica * f64::from(counted.of(count(draft), draft))
            })
    };
    stage.capacities.iter().map(of).sum()
}

/// Capacities that supply something, by cost for a unit of supply.
fn cheapest_first<'a>(variants: &[VariantDraft<'_>], stage: &'a Stage) -> Vec<&'a Capacity> {
    let price = |capacity: &Capacity| {
        let draft = variants.get(capacity.variant as usize);
        draft.map_or(f64::INFINITY, |draft| {
            draft.variant.cost / capacity.per_replica
        })
    };
    let mut capacities: Vec<&Capacity> = stage
        .capacities
        .iter()
        .filter(|capacity| capacity.per_replica > 0.0)
        .collect();
    capacities.sort_by(|a, b| {
        price(a)
            .total_cmp(&price(b))
            .then(a.variant.cmp(&b.variant))
    });
    capacities
}

fn why(stage: &Stage, counted: Counted, supplied: f64, needed: f64) -> String {
    let (role, unit) = (role_name(stage.role), &stage.unit);
    match counted {
        Counted::Asked => {
            format!("stage `{role}` must keep {needed:.2} {unit}, with this it has {supplied:.2}")
        }
        Counted::Serving => format!(
            "stage `{role}` must keep {needed:.2} {unit} until what replaces it serves, with this it has {supplied:.2}"
        ),
    }
}
