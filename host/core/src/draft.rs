//! Decisions in the making: what the plan asks for, as the guard finds and changes it.

use trimtab_contract::{Refusal, Role, Stage, Variant};

use crate::decision::{Analyzed, Call, Condition, GuardStep, Rule, VariantDecision, condition};
use crate::snapshot::PoolSnapshot;

/// Decisions of one pool while the guard works on them.
pub(crate) struct PoolDraft<'a> {
    pub(crate) seen: &'a PoolSnapshot,
    /// Of all its analyzers, side by side.
    pub(crate) stages: Vec<&'a Stage>,
    /// Why the answers themselves allow no fewer replicas: one that is missing might have objected,
    /// and one of a stand-in may be low for the reason for which the bound version faulted.
    pub(crate) no_lowering: Option<String>,
    pub(crate) variants: Vec<VariantDraft<'a>>,
    pub(crate) conditions: Vec<Condition>,
}

/// The count of one variant while the guard works on it.
pub(crate) struct VariantDraft<'a> {
    pub(crate) variant: &'a Variant,
    /// Least that bounds and the last-replica rule allow: this much runs whatever it costs.
    pub(crate) floor: u32,
    pub(crate) decision: VariantDecision,
}

impl<'a> PoolDraft<'a> {
    /// Begins with what the plan asks for; where there is none, what is desired now is held.
    pub(crate) fn new(
        seen: &'a PoolSnapshot,
        analyzed: &'a [Analyzed],
        plan: &Call,
        targets: Option<Vec<(u32, String)>>,
    ) -> Self {
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
        let analyzers = analyzed.iter().map(|analyzed| ("analyzer", &analyzed.call));
        let calls = || {
            analyzers
                .clone()
                .chain(std::iter::once(("optimizer", plan)))
        };
        let mut conditions: Vec<_> = calls()
            .flat_map(|(kind, call)| of_call(kind, call))
            .collect();
        conditions.extend(held.map(|(reason, why)| Condition::new(reason, why)));
        let mut targets = targets.unwrap_or_default().into_iter();
        let variants = seen.pool.variants.iter();
        let variants = variants
            .map(|variant| VariantDraft::new(variant, targets.next(), held.map(|(_, why)| why)));
        let variants = variants.collect();
        let second_hand = calls().find(|(_, call)| !call.may_lower());
        let no_lowering = second_hand.map(|(kind, call)| format!("{kind}: {}", call.outcome()));
        Self {
            seen,
            stages,
            no_lowering,
            variants,
            conditions,
        }
    }
}

impl<'a> VariantDraft<'a> {
    fn new(variant: &'a Variant, target: Option<(u32, String)>, held: Option<&str>) -> Self {
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
        Self {
            variant,
            floor: 0,
            decision,
        }
    }
}

impl PoolDraft<'_> {
    /// Variants of one role.
    pub(crate) fn of_role(&self, role: Role) -> impl Iterator<Item = &VariantDraft<'_>> {
        self.variants
            .iter()
            .filter(move |draft| draft.variant.role == role)
    }

    pub(crate) fn condition(&mut self, reason: &str, message: impl Into<String>) {
        self.conditions.push(Condition::new(reason, message));
    }

    /// What the guard left.
    pub(crate) fn settled(self) -> (Vec<VariantDecision>, Vec<Condition>) {
        (
            self.variants
                .into_iter()
                .map(|draft| draft.decision)
                .collect(),
            self.conditions,
        )
    }
}

impl VariantDraft<'_> {
    pub(crate) fn previous(&self) -> u32 {
        self.decision.previous
    }

    pub(crate) fn desired(&self) -> u32 {
        self.decision.desired
    }

    /// Largest count that the bounds allow; where they contradict, the minimum wins.
    pub(crate) fn upper(&self) -> u32 {
        self.variant.max_replicas.max(self.variant.min_replicas)
    }

    /// Changes the count and notes why; nothing is noted where nothing changes.
    pub(crate) fn set(&mut self, rule: Rule, after: u32, why: impl Into<String>) {
        let before = self.decision.desired;
        if before != after {
            self.decision.desired = after;
            self.decision.steps.push(GuardStep {
                rule,
                before,
                after,
                why: why.into(),
            });
        }
    }
}

/// What an operator should see of a call.
fn of_call(kind: &str, call: &Call) -> Vec<Condition> {
    let mut conditions = Vec::new();
    if let Some(why) = &call.absent {
        let message = format!("{kind}: {why}; {}", call.outcome());
        conditions.push(Condition::new(condition::POLICY_UNAVAILABLE, message));
    }
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

/// A role as the contract spells it.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Both => "both",
        Role::Prefill => "prefill",
        Role::Decode => "decode",
    }
}
