//! HPA v2 against its published vectors.

use trimtab_core::snapshot::{ScalingPolicy, ScalingPolicyKind, ScalingRules, SelectPolicy};

use super::behavior::{limit, plain, stabilize};
use super::metric::{Tolerance, average_value, reported_average, value};
use super::*;

const TENTH: Tolerance = Tolerance { up: 0.1, down: 0.1 };

fn up(up: f64) -> Tolerance {
    Tolerance { up, ..TENTH }
}

fn down(down: f64) -> Tolerance {
    Tolerance { down, ..TENTH }
}

#[test]
fn average_value_proposes_as_upstream() {
    let vectors = [
        (1, 1000, 1000, 1),
        (2, 3000, 1000, 3),
        (9, 10_000, 1000, 10),
        (10, 11_000, 1000, 10),
        (10, 12_000, 1000, 12),
        (20, 22_000, 1000, 20),
        (20, 23_000, 1000, 23),
        (10, 9000, 1000, 10),
        (10, 8000, 1000, 8),
        (11, 10_000, 1000, 11),
        (12, 10_000, 1000, 10),
        (100, 109_000, 1000, 100),
        (100, 111_000, 1000, 111),
        (5, 0, 1000, 0),
        (0, 3000, 1000, 3),
        (0, 0, 1000, 0),
        (4, 1, 1000, 1),
        (3, 2001, 1000, 3),
        (3, 8600, 2150, 4),
        (5, 8600, 2867, 3),
        (3, 8600, 2900, 3),
        (1, i64::MAX, 1, 2_147_483_647),
        (10, 11_000, 1000, 10),
    ];
    for (replicas, usage, target, desired) in vectors {
        let proposed = average_value(replicas, usage, target, Tolerance::default());
        assert_eq!(proposed, desired, "{replicas} {usage} {target}");
    }
    assert_eq!(
        (reported_average(3, 8600), reported_average(5, 8600)),
        (2867, 1720)
    );
}

#[test]
fn tolerances_are_inclusive_and_have_two_sides() {
    let vectors = [
        (10, 11_000, 1000, up(0.0), 11),
        (10, 11_000, 1000, up(0.09), 11),
        (20, 21_000, 1000, up(0.04), 21),
        (20, 19_000, 1000, down(0.05), 20),
        (20, 18_000, 1000, down(0.05), 18),
        (3, 8600, 2800, up(0.01), 4),
        (10, 9000, 1000, down(0.2), 10),
        // Wanted replicas published as a metric: single steps are swallowed from 10 on.
        (9, 10_000, 1000, TENTH, 10),
        (20, 19_000, 1000, TENTH, 20),
        (20, 18_000, 1000, TENTH, 20),
        (20, 17_000, 1000, TENTH, 17),
    ];
    for (replicas, usage, target, tolerance, desired) in vectors {
        let proposed = average_value(replicas, usage, target, tolerance);
        assert_eq!(
            proposed, desired,
            "{replicas} {usage} {target} {tolerance:?}"
        );
    }
}

#[test]
fn a_metric_that_is_an_average_already_is_divided_again() {
    let (of_each, replicas) = (15_000, 4);
    let total = of_each * i64::from(replicas);
    assert_eq!(average_value(replicas, total, 10_000, TENTH), 6);
    assert_eq!(average_value(replicas, of_each, 10_000, TENTH), 2);
}

#[test]
fn value_proposes_as_upstream() {
    let vectors = [
        (3, 1, 8600, 4400, TENTH, 2),
        (5, 5, 8600, 14_334, TENTH, 3),
        (3, 3, 8600, 8888, TENTH, 3),
        (3, 3, 8900, 8800, up(0.01), 4),
        (2, 2, 6000, 3000, TENTH, 4),
        (2, 2, 3000, 2000, TENTH, 3),
        (0, 0, 3000, 1000, TENTH, 3),
        (4, 2, 2000, 1000, TENTH, 4),
        (4, 4, 1100, 1000, TENTH, 4),
        (3, 3, 900, 1000, TENTH, 3),
        (4, 4, 0, 1000, TENTH, 0),
    ];
    for (replicas, ready, usage, target, tolerance, desired) in vectors {
        let proposed = value(replicas, ready, usage, target, tolerance);
        assert_eq!(proposed, desired, "{replicas} {ready} {usage} {target}");
    }
}

fn rules(select_policy: SelectPolicy, policies: &[(ScalingPolicyKind, u32)]) -> ScalingRules {
    let policies = policies.iter().map(|&(kind, value)| ScalingPolicy {
        kind,
        value,
        period_seconds: 60,
    });
    ScalingRules {
        stabilization_window_seconds: 0,
        select_policy,
        policies: policies.collect(),
    }
}

/// Both directions alike, with one change 30 s ago.
fn limited(current: u32, desired: u32, rules: ScalingRules, change: i64) -> u32 {
    let behavior = Behavior {
        scale_up: rules.clone(),
        scale_down: rules,
    };
    limit(
        current,
        desired,
        &behavior,
        &[Event {
            age_seconds: 30.0,
            change,
        }],
    )
}

use ScalingPolicyKind::{Percent, Pods};
use SelectPolicy::{Disabled, Max, Min};

#[test]
fn rate_policies_limit_growth() {
    for (select, policies, change, current, limit) in [
        (Min, &[(Pods, 4), (Percent, 100)][..], 0, 10, 14),
        (Max, &[(Percent, 10)], 0, 100, 111),
        (Max, &[(Percent, 10)], 0, 10, 11),
        (Max, &[(Percent, 10)], 0, 3, 4),
        (Max, &[(Percent, 10)], 0, 50, 56),
        (Max, &[(Pods, 4), (Percent, 100)], 15, 100, 170),
        (Max, &[(Percent, 200)], 15, 100, 255),
        (Max, &[(Pods, 150)], 15, 100, 235),
        (Max, &[(Pods, 5)], 15, 100, 100),
        (Max, &[(Pods, 30)], 0, 10, 40),
        (Max, &[(Percent, 200)], 0, 10, 30),
        (Disabled, &[(Pods, 30)], 0, 10, 10),
    ] {
        let found = limited(current, 1000, rules(select, policies), change);
        assert_eq!(found, limit, "{policies:?} {change} {current}");
    }
}

#[test]
fn rate_policies_limit_shrinking() {
    for (select, policies, change, current, limit) in [
        (Max, &[(Percent, 10)][..], 0, 10, 9),
        (Max, &[(Percent, 10)], 0, 5, 4),
        (Max, &[(Percent, 50)], 0, 7, 3),
        (Max, &[(Percent, 29)], 0, 100, 71),
        (Max, &[(Pods, 20), (Percent, 1)], 0, 100, 80),
        (Min, &[(Pods, 20), (Percent, 1)], 0, 100, 99),
        (Max, &[(Percent, 50)], -12, 100, 56),
        (Max, &[(Percent, 10)], -30, 100, 100),
        (Max, &[(Pods, 5)], -15, 100, 100),
        (Disabled, &[(Pods, 5)], 0, 100, 100),
    ] {
        let found = limited(current, 0, rules(select, policies), change);
        assert_eq!(found, limit, "{policies:?} {change} {current}");
    }
}

#[test]
fn default_policies_double_or_add_four() {
    let steps = |start: u32, period: f64| {
        let mut hpa = Hpa::new(1, 1000);
        let mut current = start;
        let mut found = Vec::new();
        for sync in 0..7 {
            current = hpa.sync(f64::from(sync) * period, current, &[Some(100)]);
            found.push(current);
        }
        found
    };
    assert_eq!(steps(1, 15.0), [5, 10, 20, 40, 80, 100, 100]);
    assert_eq!(steps(3, 15.0)[0], 7);
    // A sync that comes early still sees the last step in its period, and skips.
    assert_eq!(steps(1, 14.0)[..4], [5, 5, 10, 10]);
    let behavior = Behavior::default();
    assert_eq!(
        limit(
            5,
            100,
            &behavior,
            &[Event {
                age_seconds: 14.0,
                change: 4
            }]
        ),
        5
    );
}

fn recommendations(of: &[(f64, u32)]) -> Vec<Recommendation> {
    let one = |&(age_seconds, replicas)| Recommendation {
        age_seconds,
        replicas,
    };
    of.iter().map(one).collect()
}

#[test]
fn windows_hold_what_was_recommended() {
    let vectors = [
        (10, 8, &[(60.0, 10), (120.0, 9)][..], 0.0, 300.0, 10),
        (10, 7, &[(310.0, 10), (60.0, 9), (120.0, 8)], 0.0, 300.0, 9),
        (2, 7, &[(60.0, 3), (30.0, 19)], 300.0, 300.0, 3),
        (2, 4, &[(60.0, 2), (30.0, 10)], 300.0, 300.0, 2),
        (5, 8, &[(10.0, 3)], 0.0, 300.0, 8),
        (5, 3, &[(301.0, 9), (200.0, 4)], 0.0, 300.0, 4),
        (5, 3, &[], 0.0, 0.0, 3),
        (4, 2, &[(10.0, 6)], 0.0, 300.0, 4),
        (10, 12, &[(20.0, 9)], 30.0, 300.0, 10),
    ];
    for (current, desired, earlier, up, down, stable) in vectors {
        let found = stabilize(current, desired, &recommendations(earlier), up, down);
        assert_eq!(found, stable, "{current} {desired} {earlier:?}");
    }
}

/// Recommendations a minute apart, the last a minute ago.
fn minutely(of: &[u32]) -> Vec<Recommendation> {
    let aged = of.iter().rev().enumerate();
    let aged = aged.map(|(minute, replicas)| Recommendation {
        age_seconds: 60.0 * (minute + 1) as f64 - 1.0,
        replicas: *replicas,
    });
    aged.collect()
}

#[test]
fn windows_follow_the_proposals_stories() {
    let falling = minutely(&[10, 9, 8, 9, 9, 8, 9, 8, 9, 8]);
    assert_eq!(stabilize(10, 8, &falling, 0.0, 600.0), 10);
    let later = minutely(&[10, 9, 8, 9, 9, 8, 9, 8, 9, 8, 8]);
    assert_eq!(stabilize(10, 8, &later, 0.0, 600.0), 9);
    assert_eq!(
        stabilize(2, 4, &minutely(&[2, 3, 19, 10, 3]), 300.0, 300.0),
        2
    );
    assert_eq!(
        stabilize(2, 7, &minutely(&[3, 19, 10, 3, 4]), 300.0, 300.0),
        3
    );
    let tenfold = rules(Max, &[(Percent, 900)]);
    let behavior = Behavior {
        scale_up: tenfold,
        ..Behavior::default()
    };
    let grown = [1, 10, 100].map(|current| limit(current, 5000, &behavior, &[]));
    assert_eq!(grown, [10, 100, 1000]);
}

#[test]
fn without_behavior_upstream_rules_hold() {
    for (earlier, desired) in [
        (&[(120.0, 4), (60.0, 5)][..], 5),
        (&[(120.0, 1), (60.0, 2)], 3),
        (&[(600.0, 10), (540.0, 9)], 3),
    ] {
        assert_eq!(
            plain(5, 3, &recommendations(earlier), 1, 100),
            desired,
            "{earlier:?}"
        );
    }
    assert_eq!(plain(5, 7, &[], 3, 8), 7);
    assert_eq!(plain(3, 1, &[], 2, u32::MAX), 2);
    assert_eq!(plain(20, 1000, &[], 1, 10), 10);
    assert_eq!(plain(3, 1000, &[], 1, 2000), 6);
}

#[test]
fn the_largest_proposal_counts_and_failures_only_raise() {
    let sync = |current, proposals: &[Option<u32>]| Hpa::new(1, 100).sync(0.0, current, proposals);
    assert_eq!(sync(3, &[Some(4), Some(6)]), 6);
    assert_eq!(sync(3, &[Some(6), None]), 6);
    assert_eq!(sync(3, &[Some(2), None]), 3);
    assert_eq!(sync(3, &[None, None]), 3);
    assert_eq!(sync(0, &[Some(2)]), 0, "scaling is disabled at zero");
    assert_eq!(sync(200, &[None]), 100);
    assert_eq!(Hpa::new(2, 100).sync(0.0, 1, &[None]), 2);
}

#[test]
fn shrinking_waits_for_five_quiet_minutes() {
    let mut hpa = Hpa::new(1, 100);
    let mut current = 10;
    let mut at = Vec::new();
    for sync in 0..30 {
        let now = f64::from(sync) * 15.0;
        let next = hpa.sync(now, current, &[Some(2)]);
        if next != current {
            at.push((now, next));
        }
        current = next;
    }
    assert_eq!(at, [(300.0, 2)]);
}
