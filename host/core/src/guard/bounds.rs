//! The operator's minimum and maximum, and the last replica of a role.

use std::collections::BTreeSet;

use trimtab_contract::Role;

use crate::decision::{Condition, Rule, condition};
use crate::draft::{PoolDraft, VariantDraft};
use crate::snapshot::PoolSnapshot;

/// Keeps each count between minimum and maximum; where these contradict, the minimum wins.
pub(super) fn apply(pool: &mut PoolDraft<'_>) {
    let mut contradictions = Vec::new();
    for draft in &mut pool.variants {
        let (min, max) = (draft.variant.min_replicas, draft.variant.max_replicas);
        draft.floor = min;
        let within = draft.desired().min(max).max(min);
        draft.set(
            Rule::Bounds,
            within,
            format!("minimum {min}, maximum {max}"),
        );
        if min > max {
            let message = format!("minimum {min} is above maximum {max}; the minimum counts");
            let reason = condition::BOUNDS_CONTRADICT;
            contradictions.push(Condition::of_variant(reason, &draft.variant.name, &message));
        }
    }
    pool.conditions.extend(contradictions);
}

/// Keeps one replica, ready or starting, for each role of the pool unless the pool may be at zero.
pub(super) fn keep_last_replica(pool: &mut PoolDraft<'_>) {
    let Some(why) = why_not_zero(pool) else {
        return;
    };
    let roles: BTreeSet<Role> = pool
        .variants
        .iter()
        .map(|draft| draft.variant.role)
        .collect();
    for role in roles {
        if pool.of_role(role).any(is_certain) {
            continue;
        }
        if let Some(draft) = last_of(role, &mut pool.variants) {
            draft.floor = 1;
            draft.set(Rule::LastReplica, draft.desired().max(1), why.clone());
        }
    }
}

/// Whether a replica stays whatever becomes of this tick's growth.
fn is_certain(draft: &VariantDraft<'_>) -> bool {
    draft.desired().min(draft.previous().max(draft.floor)) > 0
}

/// Why the pool may not be at zero; `None` where it may.
///
/// A pool that is at zero already stays there while nobody knows whether anything has arrived:
/// a queue metric that is away for a moment must not wake every sleeping pool of a cluster.
fn why_not_zero(pool: &PoolDraft<'_>) -> Option<String> {
    let seen = pool.seen;
    let Some(retention) = seen.rules.scale_to_zero_after_seconds else {
        return Some("the pool may not scale to zero".to_owned());
    };
    let at_zero = pool.variants.iter().all(|draft| draft.previous() == 0);
    match (waiting(seen), seen.idle_seconds) {
        (Some(waiting), _) if waiting > 0.0 => Some(format!("{waiting} requests wait")),
        (_, Some(idle)) if idle < retention => Some(format!(
            "last used {idle} s ago; zero is allowed after {retention} s"
        )),
        (Some(_), Some(_)) => None,
        (None, _) | (_, None) if at_zero => None,
        (None, _) => Some("whether requests wait is not known".to_owned()),
        (_, None) => Some("how long it has been idle is not known".to_owned()),
    }
}

fn waiting(seen: &PoolSnapshot) -> Option<f64> {
    seen.pool
        .workload
        .queued_requests
        .filter(|queued| queued.is_finite())
}

/// The variant that is the role's last: one that serves already, else one that was asked for, else
/// one that the plan wants, and of these the cheapest.
fn last_of<'a, 'b>(
    role: Role,
    variants: &'b mut [VariantDraft<'a>],
) -> Option<&'b mut VariantDraft<'a>> {
    variants
        .iter_mut()
        .filter(|draft| draft.variant.role == role && draft.upper() > 0)
        .min_by(|a, b| {
            let rank = |draft: &VariantDraft<'_>| {
                (
                    draft.variant.ready_replicas == 0,
                    draft.previous() == 0,
                    draft.desired() == 0,
                )
            };
            rank(a)
                .cmp(&rank(b))
                .then(a.variant.cost.total_cmp(&b.variant.cost))
        })
}
