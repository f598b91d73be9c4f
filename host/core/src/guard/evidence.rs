//! Nothing shrinks on what is not known: measurements, analyses and plans that are missing, stale,
//! partial or second-hand may raise a count but not lower it.

use trimtab_contract::Replica;

use crate::decision::{Rule, condition};
use crate::draft::{PoolDraft, VariantDraft};
use crate::snapshot::{PoolRules, PoolSnapshot};

pub(super) fn apply(pool: &mut PoolDraft<'_>) {
    if let Some(why) = pool.no_lowering.take() {
        pool.variants.iter_mut().for_each(|draft| hold(draft, &why));
    }
    if let Some(why) = missing(pool.seen) {
        pool.variants.iter_mut().for_each(|draft| hold(draft, &why));
        pool.condition(condition::EVIDENCE_PARTIAL, why);
    }
    for warning in &pool.seen.warnings {
        pool.condition(condition::MEASUREMENTS_DOUBTFUL, warning.as_str());
    }
    hold_unjudged(pool);
}

fn hold(draft: &mut VariantDraft<'_>, why: &str) {
    if draft.desired() < draft.previous() {
        draft.set(Rule::Evidence, draft.previous(), why);
    }
}

/// What the measurements of a pool lack; `None` where they suffice.
///
/// A variant suffices when it has as many complete and fresh replicas as are ready: a pod that is
/// not ready, crash-looping perhaps, may be without metrics and blocks nothing.
fn missing(seen: &PoolSnapshot) -> Option<String> {
    let mut measured = vec![0_u32; seen.pool.variants.len()];
    for replica in seen
        .replicas
        .iter()
        .filter(|replica| is_measured(replica, &seen.rules))
    {
        if let Some(count) = measured.get_mut(replica.variant as usize) {
            *count = count.saturating_add(1);
        }
    }
    for (variant, measured) in seen.pool.variants.iter().zip(measured) {
        if measured < variant.ready_replicas {
            let (name, ready) = (&variant.name, variant.ready_replicas);
            return Some(format!(
                "`{name}`: complete measurements of {measured} of {ready} ready replicas"
            ));
        }
    }
    let rate = seen.pool.workload.request_rate;
    if rate.is_some_and(f64::is_finite) {
        return None;
    }
    Some("the pool's request rate is not known".to_owned())
}

/// The gauges that every engine exports while it lives. Latencies and token lengths have no value
/// where nothing was served, which is no gap.
fn is_measured(replica: &Replica, rules: &PoolRules) -> bool {
    let fresh = replica.metrics_age <= rules.max_metrics_age_seconds;
    let gauges = [replica.kv_usage, replica.waiting, replica.running];
    fresh && gauges.iter().all(|gauge| gauge.is_some_and(f64::is_finite))
}

/// A variant whose capacity no analyzer gave is one that nobody judged, and so is each variant of a
/// role without a stage.
fn hold_unjudged(pool: &mut PoolDraft<'_>) {
    for (index, draft) in pool.variants.iter_mut().enumerate() {
        let of_role = || {
            pool.stages
                .iter()
                .filter(|stage| stage.role == draft.variant.role)
        };
        if draft.desired() >= draft.previous() {
            continue;
        }
        let mut capacities = of_role().flat_map(|stage| &stage.capacities);
        if capacities.any(|capacity| capacity.variant as usize == index) {
            continue;
        }
        let why = if of_role().next().is_some() {
            "no analyzer gave its capacity"
        } else {
            "no analyzer judged its role"
        };
        hold(draft, why);
    }
}
