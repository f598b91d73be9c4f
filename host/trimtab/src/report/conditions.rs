//! The list of conditions: what an operator should have seen, and when.

use std::collections::BTreeMap;

use maud::{Markup, html};
use trimtab_core::decision::{Condition, PoolDecision};

use super::decisions::{instant, number};
use crate::figures;

/// Conditions listed; as with decisions, nobody would read more.
const MOST: usize = 200;

/// A condition that held in decisions of one pool in a row, each time with the same message.
struct Held<'a> {
    decision: &'a PoolDecision,
    condition: &'a Condition,
    until_ms: u64,
    ticks: u64,
}

/// Each with its own message, in order of time.
pub(crate) fn list(decisions: &[PoolDecision], start_ms: u64) -> Markup {
    let all = held(decisions);
    html! {
        @if !all.is_empty() {
            ul .conditions tabindex="0" {
                @for held in all.iter().take(MOST) { (item(held, start_ms)) }
                @if all.len() > MOST {
                    li .note {
                        (figures::count(number(all.len() - MOST))) " more conditions are in "
                        code { "decisions.jsonl" } "."
                    }
                }
            }
        }
    }
}

fn item(held: &Held<'_>, start_ms: u64) -> Markup {
    html! {
        li .note {
            span .rule { (held.condition.reason) } " " (held.decision.pool) ", "
            (instant(held.decision.now_ms, start_ms))
            @if held.ticks > 1 {
                " to " (instant(held.until_ms, start_ms)) ", " (figures::count(held.ticks)) " ticks"
            }
            ": " (held.condition.message)
        }
    }
}

fn held(decisions: &[PoolDecision]) -> Vec<Held<'_>> {
    let mut all: Vec<Held<'_>> = Vec::new();
    // By pool: positions of what held in its last decision.
    let mut open: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for decision in decisions {
        let pool = (decision.namespace.as_str(), decision.pool.as_str());
        let before = open.remove(&pool).unwrap_or_default();
        let mut now = Vec::new();
        for condition in &decision.conditions {
            let same = before.iter().copied().find(|position| {
                let held = all.get(*position);
                held.is_some_and(|held| held.condition == condition && !now.contains(position))
            });
            if let Some((position, held)) =
                same.and_then(|position| Some((position, all.get_mut(position)?)))
            {
                (held.until_ms, held.ticks) = (decision.now_ms, held.ticks + 1);
                now.push(position);
            } else {
                now.push(all.len());
                all.push(Held {
                    decision,
                    condition,
                    until_ms: decision.now_ms,
                    ticks: 1,
                });
            }
        }
        open.insert(pool, now);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn decision(at_seconds: u64, pool: &str, message: &str) -> PoolDecision {
        let mut decision = fixture::decision(at_seconds, pool, 2, 2, &[]);
        if !message.is_empty() {
            decision.conditions = vec![Condition {
                reason: "PolicyFault".to_owned(),
                message: message.to_owned(),
            }];
        }
        decision
    }

    fn said(decisions: &[PoolDecision]) -> Vec<(&str, u64)> {
        let all = held(decisions).into_iter();
        all.map(|held| (held.condition.message.as_str(), held.ticks))
            .collect()
    }

    #[test]
    fn every_message_of_one_reason_is_listed() {
        let decisions = [
            decision(0, "a", "out of fuel"),
            decision(15, "a", "out of fuel"),
            decision(30, "a", "past its deadline"),
            decision(45, "a", "out of fuel"),
        ];
        let expected = [
            ("out of fuel", 2),
            ("past its deadline", 1),
            ("out of fuel", 1),
        ];
        assert_eq!(said(&decisions), expected);
        let page = list(&decisions, trimtab_sim::run::START_MS).into_string();
        assert!(
            page.contains("a, 0:00 to 0:15, 2 ticks: out of fuel"),
            "{page}"
        );
        assert!(page.contains("a, 0:30: past its deadline"), "{page}");
    }

    #[test]
    fn what_ends_and_comes_again_is_listed_twice() {
        let decisions = [
            decision(0, "a", "out of fuel"),
            decision(0, "b", "out of fuel"),
            decision(15, "a", ""),
            decision(15, "b", "out of fuel"),
            decision(30, "a", "out of fuel"),
        ];
        let ticks: Vec<u64> = held(&decisions).iter().map(|held| held.ticks).collect();
        assert_eq!(ticks, [1, 2, 1]);
    }

    #[test]
    fn what_is_not_listed_is_counted() {
        let decisions: Vec<PoolDecision> = (0..250)
            .map(|tick| decision(tick * 15, "a", &format!("fault {tick}")))
            .collect();
        let page = list(&decisions, 0).into_string();
        assert!(page.contains("50 more conditions"), "{page}");
    }
}
