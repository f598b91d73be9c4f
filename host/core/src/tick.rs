//! One walk along the line: analyze, optimize, guard.

use crate::analyze::{Subject, analyze};
use crate::decision::{Condition, PoolDecision, VariantDecision, condition};
use crate::draft::PoolDraft;
use crate::guard;
use crate::memory::{Memory, Published, VariantMemory};
use crate::optimize::optimize;
use crate::policies::PoolPolicies;
use crate::snapshot::{Mode, Snapshot};

/// Decides for every pool of `snapshot`, in its order. `policies` stands beside `snapshot.pools`,
/// position by position.
///
/// Pure: the same arguments give the same decisions and leave the same memory, byte for byte, and
/// the order of the pools changes nothing but the order of the decisions.
#[must_use]
pub fn tick(
    snapshot: &Snapshot,
    policies: &[PoolPolicies],
    memory: &mut Memory,
) -> Vec<PoolDecision> {
    memory.forget(snapshot);
    let subjects = by_name(snapshot, policies);
    let analyses = analyze(snapshot, &subjects, memory);
    let mut plans = optimize(snapshot, &subjects, &analyses, memory);
    let drafts = subjects.iter().zip(&analyses).zip(&mut plans);
    let mut drafts: Vec<PoolDraft<'_>> = drafts
        .map(|((subject, analyzed), plan)| {
            PoolDraft::new(
                subject.seen,
                analyzed,
                &plan.planned.call,
                plan.targets.take(),
            )
        })
        .collect();
    guard::apply(snapshot, &mut drafts, memory);
    for draft in &mut drafts {
        remember(draft, memory, snapshot.now_ms);
    }
    let settled: Vec<_> = drafts.into_iter().map(PoolDraft::settled).collect();
    let mut decisions: Vec<(usize, PoolDecision)> = Vec::with_capacity(subjects.len());
    for (((subject, analyses), plan), (variants, conditions)) in
        subjects.iter().zip(analyses).zip(plans).zip(settled)
    {
        let decision = PoolDecision {
            now_ms: snapshot.now_ms,
            namespace: subject.seen.pool.namespace.clone(),
            pool: subject.seen.pool.name.clone(),
            mode: subject.seen.rules.mode,
            arm: None,
            analyses,
            plan: plan.planned,
            variants,
            conditions,
        };
        decisions.push((subject.position, decision));
    }
    decisions.sort_by_key(|(position, _)| *position);
    decisions
        .into_iter()
        .map(|(_, decision)| decision)
        .collect()
}

/// The order in which the core works: of two pools the same one always comes first.
fn by_name<'a>(snapshot: &'a Snapshot, policies: &'a [PoolPolicies]) -> Vec<Subject<'a>> {
    let mut subjects: Vec<Subject<'a>> = snapshot
        .pools
        .iter()
        .enumerate()
        .map(|(position, seen)| Subject {
            position,
            seen,
            policies: policies.get(position),
        })
        .collect();
    subjects.sort_by_key(|subject| (&subject.seen.pool.namespace, &subject.seen.pool.name));
    subjects
}

/// Leaves for the next tick what was published, and notes where somebody else has changed a count.
fn remember(pool: &mut PoolDraft<'_>, memory: &mut Memory, now_ms: u64) {
    let memory = memory.pool_mut(pool.seen);
    let mut drifts = Vec::new();
    for draft in &pool.variants {
        let decision = &draft.decision;
        let kept = memory.variant_mut(&decision.variant);
        drifts.extend(drift(kept, decision));
        kept.published = (pool.seen.rules.mode != Mode::Observe)
            .then(|| Published::next(kept.published, decision.previous, decision.desired));
        if kept.published.is_some() && pool.seen.rules.behavior.is_some() {
            kept.history
                .changed(decision.previous, decision.desired, now_ms);
        }
    }
    pool.conditions.extend(drifts);
}

/// An autoscaler on the way from what it found to what was asked for passes counts between the two;
/// another count was set by somebody else. Decisions start from it all the same.
fn drift(kept: &VariantMemory, decision: &VariantDecision) -> Option<Condition> {
    let published = kept.published?;
    if published.is_on_its_way(decision.previous) {
        return None;
    }
    let asked = published.asked;
    let previous = decision.previous;
    let message = format!("{asked} was asked for and {previous} is set; decisions start from it");
    Some(Condition::of_variant(
        condition::DRIFT,
        &decision.variant,
        &message,
    ))
}
