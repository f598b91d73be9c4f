//! Vectors of HPA v2's behaviour, from Kubernetes' own tests and computed with its formulas.

use super::*;
use crate::snapshot::ScalingPolicy;

const NOW_MS: u64 = 100_000_000;

fn pods(value: u32, period_seconds: u32) -> ScalingPolicy {
    ScalingPolicy {
        kind: ScalingPolicyKind::Pods,
        value,
        period_seconds,
    }
}

fn percent(value: u32, period_seconds: u32) -> ScalingPolicy {
    ScalingPolicy {
        kind: ScalingPolicyKind::Percent,
        value,
        period_seconds,
    }
}

fn rules(select_policy: SelectPolicy, policies: &[ScalingPolicy]) -> ScalingRules {
    ScalingRules {
        stabilization_window_seconds: 0,
        select_policy,
        policies: policies.to_vec(),
    }
}

fn windows(up: u32, down: u32) -> Behavior {
    let mut behavior = Behavior::default();
    behavior.scale_up.stabilization_window_seconds = up;
    behavior.scale_down.stabilization_window_seconds = down;
    behavior
}

/// A history of recommendations, given as age in seconds and count.
fn recommended(behavior: &Behavior, recommendations: &[(u64, u32)]) -> History {
    let mut history = History::default();
    let mut oldest_first = recommendations.to_vec();
    oldest_first.sort_by_key(|(age, _)| std::cmp::Reverse(*age));
    for (age, replicas) in oldest_first {
        history.recommend(replicas, behavior, NOW_MS - age * 1000);
    }
    history
}

/// A history with one own change, `age` seconds ago.
fn changed(added: i64, age: u64) -> History {
    let change = Change {
        at_ms: NOW_MS - age * 1000,
        added,
    };
    History {
        changes: vec![change],
        ..History::default()
    }
}

#[test]
fn the_window_of_each_direction_takes_its_extreme() {
    for (current, desired, recommendations, up, down, stable) in [
        (10, 8, &[(60, 10), (120, 9)][..], 0, 300, 10),
        (10, 7, &[(310, 10), (60, 9), (120, 8)], 0, 300, 9),
        (2, 7, &[(60, 3), (30, 19)], 300, 300, 3),
        (2, 4, &[(60, 2), (30, 10)], 300, 300, 2),
        (5, 8, &[(10, 3)], 0, 300, 8),
        (5, 3, &[(301, 9), (200, 4)], 0, 300, 4),
        (5, 3, &[], 0, 0, 3),
        (4, 2, &[(10, 6)], 0, 300, 4),
        (10, 12, &[(20, 9)], 30, 300, 10),
        (5, 3, &[(120, 4), (60, 5)], 0, 300, 5),
        (3, 3, &[(120, 1), (60, 2)], 0, 300, 3),
        (9, 3, &[(600, 10), (540, 9)], 0, 300, 3),
        // KEP-853's stories.
        (
            2,
            4,
            &[(250, 2), (200, 3), (150, 19), (100, 10), (50, 3)],
            300,
            300,
            2,
        ),
        (
            2,
            4,
            &[(250, 7), (200, 3), (150, 19), (100, 10), (50, 3)],
            300,
            300,
            3,
        ),
    ] {
        let behavior = windows(up, down);
        let history = recommended(&behavior, recommendations);
        assert_eq!(
            history.stabilize(&behavior, current, desired, NOW_MS),
            stable,
            "{current} → {desired} after {recommendations:?}, windows {up} and {down}"
        );
    }
}

#[test]
fn a_long_window_lowers_when_its_last_high_has_passed() {
    let behavior = windows(0, 600);
    let ages = [595, 535, 475, 415, 355, 295, 235, 175, 115];
    let recent = [10, 9, 8, 9, 9, 8, 9, 8, 9];
    let recommendations: Vec<_> = ages.into_iter().zip(recent).collect();
    let history = recommended(&behavior, &recommendations);
    assert_eq!(history.stabilize(&behavior, 10, 8, NOW_MS), 10);
    assert_eq!(history.stabilize(&behavior, 10, 8, NOW_MS + 60_000), 9);
}

#[test]
fn an_up_limit_follows_its_policies() {
    use SelectPolicy::{Disabled, Max, Min};
    for (current, select, policies, limit) in [
        (10, Min, &[pods(4, 15), percent(100, 15)][..], 14),
        (10, Max, &[pods(4, 15), percent(100, 15)], 20),
        (1, Max, &[pods(4, 15), percent(100, 15)], 5),
        (3, Max, &[pods(4, 15), percent(100, 15)], 7),
        (1, Max, &[percent(900, 60)], 10),
        (10, Max, &[percent(900, 60)], 100),
        (100, Max, &[percent(900, 60)], 1000),
        // 100 · 1.1 is 110.00000000000001 in binary.
        (100, Max, &[percent(10, 60)], 111),
        (10, Max, &[percent(10, 60)], 11),
        (3, Max, &[percent(10, 60)], 4),
        (50, Max, &[percent(10, 60)], 56),
        (7, Disabled, &[pods(4, 15)], 7),
        (7, Max, &[], u32::MAX),
    ] {
        let limit_of = History::default().up_limit(&rules(select, policies), current, NOW_MS);
        assert_eq!(limit_of, limit, "{current} with {select:?} of {policies:?}");
    }
}

#[test]
fn a_down_limit_follows_its_policies() {
    use SelectPolicy::{Disabled, Max, Min};
    for (current, select, policies, limit) in [
        (10, Max, &[percent(10, 60)][..], 9),
        (5, Max, &[percent(10, 60)], 4),
        (7, Max, &[percent(50, 60)], 3),
        (100, Max, &[percent(29, 60)], 71),
        (100, Max, &[pods(20, 60), percent(1, 60)], 80),
        (100, Min, &[pods(20, 60), percent(1, 60)], 99),
        (3, Max, &[pods(20, 60)], 0),
        (7, Disabled, &[pods(4, 15)], 7),
        (7, Max, &[], 0),
    ] {
        let limit_of = History::default().down_limit(&rules(select, policies), current, NOW_MS);
        assert_eq!(limit_of, limit, "{current} with {select:?} of {policies:?}");
    }
}

#[test]
fn own_changes_within_the_period_count_against_an_up_limit() {
    for (current, added, policies, limit) in [
        (100, 15, &[pods(4, 60), percent(100, 60)][..], 170),
        (100, 15, &[percent(200, 60)], 255),
        (100, 15, &[pods(150, 60)], 235),
        (100, 15, &[pods(5, 60)], 100),
        (5, 4, &[pods(4, 15), percent(100, 15)], 5),
        (5, -5, &[pods(30, 60)], 40),
        (5, -5, &[percent(200, 60)], 30),
    ] {
        let scale_up = rules(SelectPolicy::Max, policies);
        let behavior = Behavior {
            scale_up,
            ..Behavior::default()
        };
        let history = changed(added, 10);
        assert_eq!(
            history.limit(&behavior, current, 10_000, NOW_MS),
            limit,
            "{current} after {added:+} with {policies:?}"
        );
    }
}

#[test]
fn own_changes_within_the_period_count_against_a_down_limit() {
    for (current, added, policies, limit) in [
        (100, -12, &[percent(50, 60)][..], 56),
        (100, -30, &[percent(10, 60)], 100),
        (100, -15, &[pods(5, 60)], 100),
    ] {
        let scale_down = rules(SelectPolicy::Max, policies);
        let behavior = Behavior {
            scale_down,
            ..Behavior::default()
        };
        let history = changed(added, 10);
        assert_eq!(
            history.limit(&behavior, current, 0, NOW_MS),
            limit,
            "{current} after {added:+} with {policies:?}"
        );
    }
}

#[test]
fn changes_older_than_the_period_count_no_more() {
    let behavior = Behavior {
        scale_up: rules(SelectPolicy::Max, &[pods(4, 15)]),
        ..Behavior::default()
    };
    assert_eq!(changed(4, 14).limit(&behavior, 5, 100, NOW_MS), 5);
    assert_eq!(changed(4, 15).limit(&behavior, 5, 100, NOW_MS), 9);
}

/// Plays `raw` recommendations, one every `step` seconds, and returns what was decided.
fn play(behavior: &Behavior, start: u32, step: u64, raw: &[u32]) -> Vec<u32> {
    let mut history = History::default();
    let mut current = start;
    let mut decided = Vec::new();
    for (tick, raw) in (0_u64..).zip(raw) {
        let now_ms = tick * step * 1000;
        let stable = history.stabilize(behavior, current, *raw, now_ms);
        let limited = history.limit(behavior, current, stable, now_ms);
        history.recommend(*raw, behavior, now_ms);
        history.changed(current, limited, now_ms);
        current = limited;
        decided.push(current);
    }
    decided
}

#[test]
fn default_growth_doubles_or_adds_four() {
    let behavior = Behavior::default();
    assert_eq!(play(&behavior, 1, 15, &[100; 6]), [5, 10, 20, 40, 80, 100]);
    assert_eq!(play(&behavior, 3, 15, &[100; 1]), [7]);
}

#[test]
fn growth_is_capped_by_the_step_that_is_set() {
    let scale_up = rules(SelectPolicy::Max, &[pods(8, 15)]);
    let behavior = Behavior {
        scale_up,
        ..Behavior::default()
    };
    assert_eq!(play(&behavior, 2, 15, &[40; 5]), [10, 18, 26, 34, 40]);
}

#[test]
fn the_window_comes_before_the_rate() {
    let mut behavior = windows(0, 300);
    behavior.scale_down.policies = vec![pods(1, 60)];
    let mut raw = vec![2; 9];
    raw[0] = 10;
    assert_eq!(
        play(&behavior, 10, 60, &raw),
        [10, 10, 10, 10, 10, 9, 8, 7, 6]
    );
}

#[test]
fn a_held_count_is_not_remembered_as_wanted() {
    let behavior = windows(0, 300);
    let decided = play(&behavior, 8, 60, &[8, 2, 2, 2, 2, 2, 2]);
    assert_eq!(decided, [8, 8, 8, 8, 8, 2, 2]);
}

#[test]
fn a_history_stays_small() {
    let behavior = windows(3600, 3600);
    let mut history = History::default();
    for tick in 0..2000_u32 {
        history.recommend(tick * 7919 % 50, &behavior, u64::from(tick) * 15_000);
        history.changed(0, 1, u64::from(tick) * 15_000);
    }
    assert!(history.largest.len() <= 50 && history.smallest.len() <= 50);
    assert!(history.changes.len() <= 2, "periods are 15 s");
}
