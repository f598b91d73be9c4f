//! Picks out of thousands of decisions those in which something happened.

use std::collections::BTreeMap;

use trimtab_core::decision::{Call, GuardStep, PoolDecision};

/// One row of the page's table: a decision, and those after it that say the same.
pub(crate) struct Event<'a> {
    pub(crate) decision: &'a PoolDecision,
    /// Instant of the last decision that the row stands for.
    pub(crate) until_ms: u64,
    pub(crate) ticks: usize,
}

/// The decisions in which a count changed, the guard acted or a call failed, in order of time.
///
/// Ticks of one pool in a row in which no count changed, and the guard and the calls said the same,
/// are one event.
pub(crate) fn pick(decisions: &[PoolDecision]) -> Vec<Event<'_>> {
    let mut events: Vec<Event<'_>> = Vec::new();
    let mut open: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for decision in decisions {
        let pool = (decision.namespace.as_str(), decision.pool.as_str());
        if is_quiet(decision) {
            open.remove(&pool);
            continue;
        }
        let before = open
            .get(&pool)
            .and_then(|position| events.get_mut(*position));
        if let Some(event) = before.filter(|event| says_the_same(event.decision, decision)) {
            event.until_ms = decision.now_ms;
            event.ticks += 1;
        } else {
            open.insert(pool, events.len());
            events.push(Event {
                decision,
                until_ms: decision.now_ms,
                ticks: 1,
            });
        }
    }
    events
}

/// Every call of a decision: its analyzers', then its optimizer's.
pub(crate) fn calls(decision: &PoolDecision) -> impl Iterator<Item = &Call> {
    decision
        .analyses
        .iter()
        .map(|analyzed| &analyzed.call)
        .chain([&decision.plan.call])
}

fn is_quiet(decision: &PoolDecision) -> bool {
    let guarded = decision
        .variants
        .iter()
        .any(|variant| !variant.steps.is_empty());
    let failed = calls(decision).any(|call| call.refusal.is_some() || !call.faults.is_empty());
    !changes(decision) && !guarded && !failed
}

fn changes(decision: &PoolDecision) -> bool {
    decision
        .variants
        .iter()
        .any(|variant| variant.desired != variant.previous)
}

fn says_the_same(one: &PoolDecision, other: &PoolDecision) -> bool {
    let is_still = !changes(one) && !changes(other) && one.arm == other.arm;
    is_still && steps(one).eq(steps(other)) && calls(one).eq(calls(other))
}

fn steps(decision: &PoolDecision) -> impl Iterator<Item = (usize, &GuardStep)> {
    let variants = decision.variants.iter().enumerate();
    variants.flat_map(|(position, variant)| variant.steps.iter().map(move |step| (position, step)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::decision;
    use trimtab_core::contract::Refusal;
    use trimtab_core::decision::Rule;

    #[test]
    fn ticks_without_change_are_left_out() {
        let decisions = [decision(0, "a", 2, 2, &[]), decision(15, "a", 2, 3, &[])];
        let events = pick(&decisions);
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].decision.variants[0].desired, 3);
    }

    #[test]
    fn the_same_hold_again_is_one_event() {
        let decisions = [
            decision(0, "a", 2, 2, &[Rule::Evidence]),
            decision(0, "b", 2, 3, &[]),
            decision(15, "a", 2, 2, &[Rule::Evidence]),
            decision(30, "a", 2, 2, &[Rule::Bounds]),
        ];
        let ticks: Vec<_> = pick(&decisions).iter().map(|event| event.ticks).collect();
        assert_eq!(ticks, [2, 1, 1]);
    }

    #[test]
    fn another_reason_is_another_event() {
        let held = |at_seconds, why: &str| {
            let mut decision = decision(at_seconds, "a", 2, 2, &[Rule::Evidence]);
            decision.variants[0].steps[0].why = why.to_owned();
            decision
        };
        let refused = |at_seconds, why: &str| {
            let mut decision = decision(at_seconds, "a", 2, 2, &[]);
            decision.plan.call.refusal = Some(Refusal::Internal(why.to_owned()));
            decision
        };
        let decisions = [
            held(0, "1 replica is silent"),
            held(15, "2 replicas are silent"),
            refused(30, "no mix"),
            refused(45, "no mix"),
            refused(60, "no time"),
        ];
        let ticks: Vec<_> = pick(&decisions).iter().map(|event| event.ticks).collect();
        assert_eq!(ticks, [1, 1, 2, 1]);
    }

    #[test]
    fn a_quiet_tick_ends_an_event() {
        let decisions = [
            decision(0, "a", 2, 2, &[Rule::Evidence]),
            decision(15, "a", 2, 2, &[]),
            decision(30, "a", 2, 2, &[Rule::Evidence]),
        ];
        assert_eq!(pick(&decisions).len(), 2);
    }
}
