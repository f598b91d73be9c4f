//! Words for what a decision did: closed vocabularies, since each is a label.

use trimtab_core::decision::{Rule, VariantDecision};
use trimtab_core::policies::FaultKind;
use trimtab_core::snapshot::Mode;

/// Whether the count that is asked for went up or down; `None` where it stayed.
pub(super) fn direction(variant: &VariantDecision) -> Option<&'static str> {
    match variant.desired.cmp(&variant.previous) {
        std::cmp::Ordering::Greater => Some("up"),
        std::cmp::Ordering::Less => Some("down"),
        std::cmp::Ordering::Equal => None,
    }
}

/// Who moved the count in the direction in which it went: the plan, or else the last rule of the
/// guard that did.
pub(super) fn reason(variant: &VariantDecision) -> &'static str {
    let way = variant.desired.cmp(&variant.previous);
    let planned = variant.proposed.map(|count| count.cmp(&variant.previous));
    if planned == Some(way) {
        return "plan";
    }
    let mut steps = variant.steps.iter().rev();
    let mover = steps.find(|step| step.after.cmp(&step.before) == way);
    mover.map_or("plan", |step| rule(step.rule))
}

pub(super) fn rule(rule: Rule) -> &'static str {
    match rule {
        Rule::Hold => "hold",
        Rule::Evidence => "evidence",
        Rule::Router => "router",
        Rule::Bounds => "bounds",
        Rule::LastReplica => "last-replica",
        Rule::Behavior => "behavior",
        Rule::Gpus => "gpus",
        Rule::Budget => "budget",
        Rule::Ceiling => "ceiling",
        Rule::Paused => "paused",
    }
}

pub(super) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Observe => "observe",
        Mode::Paused => "paused",
    }
}

/// `None` is a call that the breaker kept from being made.
pub(super) fn fault(kind: Option<FaultKind>) -> &'static str {
    match kind {
        None => "breaker-open",
        Some(FaultKind::OutOfFuel) => "out-of-fuel",
        Some(FaultKind::Deadline) => "deadline",
        Some(FaultKind::OutOfMemory) => "out-of-memory",
        Some(FaultKind::Trap) => "trap",
        Some(FaultKind::OversizedResult) => "oversized-result",
        Some(FaultKind::StateTooLarge) => "state-too-large",
        Some(FaultKind::Broken) => "broken",
        Some(FaultKind::InvalidAnswer) => "invalid-answer",
    }
}
