//! One walk along the line: analyze, optimize, guard.

use trimtab_contract::{Refusal, Variant};

use crate::analyze::{Subject, analyze};
use crate::decision::{
    Analyzed, Call, Condition, GuardStep, PoolDecision, Rule, VariantDecision, condition,
};
use crate::guard::{self, PoolDraft, VariantDraft};
use crate::memory::{Memory, Published, VariantMemory};
use crate::optimize::{PoolPlan, optimize};
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
    let mut drafts: Vec<PoolDraft<'_>> = subjects
        .iter()
        .zip(&analyses)
        .zip(&mut plans)
        .map(|((subject, analyzed), plan)| draft(subject, analyzed, plan))
        .collect();
    guard::apply(snapshot, &mut drafts, memory);
    for draft in &mut drafts {
        remember(draft, memory, snapshot.now_ms);
    }
    let settled: Vec<_> = drafts.into_iter().map(PoolDraft::settled).collect();
    let mut decisions: Vec<(usize, PoolDecision)> = subjects
        .iter()
        .zip(analyses)
        .zip(plans)
        .zip(settled)
        .map(|(((subject, analyses), plan), (variants, conditions))| {
            let seen = subject.seen;
            let decision = PoolDecision {
                now_ms: snapshot.now_ms,
                namespace: seen.pool.namespace.clone(),
                pool: seen.pool.name.clone(),
                mode: seen.rules.mode,
                analyses,
                plan: plan.planned,
                variants,
                conditions,
            };
            (subject.position, decision)
        })
        .collect();
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

fn draft<'a>(
    subject: &Subject<'a>,
    analyzed: &'a [Analyzed],
    plan: &mut PoolPlan,
) -> PoolDraft<'a> {
    let targets = plan.targets.take();
    let mut conditions = Vec::new();
    for analyzed in analyzed {
        conditions.extend(of_call("analyzer", &analyzed.call));
    }
    conditions.extend(of_call("optimizer", &plan.planned.call));
    let stages: Vec<_> = analyzed
        .iter()
        .flat_map(|analyzed| &analyzed.stages)
        .collect();
    let held = if stages.is_empty() {
        Some((condition::NO_ANALYSIS, "no analyzer spoke of this pool"))
    } else if targets.is_none() {
        Some((condition::NO_PLAN, "no optimizer planned for this pool"))
    } else {
        None
    };
    conditions.extend(held.map(|(reason, why)| Condition::new(reason, why)));
    let mut targets = targets.unwrap_or_default().into_iter();
    let variants = subject
        .seen
        .pool
        .variants
        .iter()
        .map(|variant| draft_variant(variant, targets.next(), held.map(|(_, why)| why)))
        .collect();
    let no_lowering = no_lowering(analyzed, &plan.planned.call);
    PoolDraft {
        seen: subject.seen,
        stages,
        no_lowering,
        variants,
        conditions,
    }
}

fn draft_variant<'a>(
    variant: &'a Variant,
    target: Option<(u32, String)>,
    held: Option<&str>,
) -> VariantDraft<'a> {
    let previous = variant.desired_replicas;
    let (proposed, reason) = target.map_or((None, String::new()), |(n, why)| (Some(n), why));
    let hold = |why: &str| GuardStep {
        rule: Rule::Hold,
        before: previous,
        after: previous,
        why: why.to_owned(),
    };
    let decision = VariantDecision {
        variant: variant.name.clone(),
        accelerator: variant.accelerator.clone(),
        role: variant.role,
        current: variant.current_replicas,
        previous,
        proposed,
        desired: proposed.unwrap_or(previous),
        published: true,
        reason,
        steps: held.map(hold).into_iter().collect(),
    };
    VariantDraft {
        variant,
        floor: 0,
        decision,
    }
}

/// Why the answers themselves allow no fewer replicas: one that is missing might have objected, and
/// one that comes from a stand-in may be low for the same reason that the bound version faulted.
fn no_lowering(analyzed: &[Analyzed], plan: &Call) -> Option<String> {
    let calls = analyzed.iter().map(|analyzed| ("analyzer", &analyzed.call));
    let mut calls = calls.chain(std::iter::once(("optimizer", plan)));
    let (kind, call) = calls.find(|(_, call)| !call.may_lower())?;
    Some(format!("{kind}: {}", call.outcome()))
}

/// What an operator should see of a call.
fn of_call(kind: &str, call: &Call) -> Vec<Condition> {
    let mut conditions = Vec::new();
    if let Some(rung) = call.faults.first() {
        let what = rung.fault.as_ref().map_or_else(
            || "is not called after repeated faults".to_owned(),
            |fault| format!("faulted: {fault}"),
        );
        let message = format!("{kind} {} {what}; {}", rung.digest, call.outcome());
        conditions.push(Condition::new(condition::POLICY_FAULT, message));
    }
    let reason = call.refusal.as_ref().map(|refusal| match refusal {
        Refusal::Settings(_) => condition::SETTINGS_INVALID,
        Refusal::InsufficientData(_) => condition::INSUFFICIENT_DATA,
        Refusal::Internal(_) => condition::POLICY_REFUSED,
    });
    conditions
        .extend(reason.map(|reason| Condition::new(reason, format!("{kind} {}", call.outcome()))));
    conditions
}

/// Leaves for the next tick what was published, and notes where somebody else has changed a count.
fn remember(pool: &mut PoolDraft<'_>, memory: &mut Memory, now_ms: u64) {
    let memory = memory.pool_mut(pool.seen);
    let mut drifts = Vec::new();
    for draft in &pool.variants {
        let decision = &draft.decision;
        let kept = memory.variant_mut(&decision.variant);
        drifts.extend(drift(kept, decision));
        kept.published = (pool.seen.rules.mode != Mode::Observe).then_some(Published {
            found: decision.previous,
            asked: decision.desired,
        });
        if kept.published.is_some() && pool.seen.rules.behavior.is_some() {
            kept.history
                .changed(decision.previous, decision.desired, now_ms);
        }
    }
    let conditions = drifts
        .into_iter()
        .map(|message| Condition::new(condition::DRIFT, message));
    pool.conditions.extend(conditions);
}

/// An autoscaler on the way from what it found to what was asked for passes counts between the two;
/// another count was set by somebody else. Decisions start from it all the same.
fn drift(kept: &VariantMemory, decision: &VariantDecision) -> Option<String> {
    let Published { found, asked } = kept.published?;
    let between = found.min(asked)..=found.max(asked);
    if between.contains(&decision.previous) {
        return None;
    }
    let (variant, previous) = (&decision.variant, decision.previous);
    Some(format!(
        "`{variant}`: {asked} was asked for and {previous} is set; decisions start from it"
    ))
}
