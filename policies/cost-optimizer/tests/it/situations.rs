//! What other autoscalers got wrong where there is enough for all, one test each.

use trimtab_sdk::{Level, Request, Role, Stage, Variant};

use crate::fleet::*;
use crate::planning::*;

const BOTH: Role = Role::Both;

#[test]
fn pending_replicas_count_as_supply() {
    // One ready replica of eight instances, one pending; 14,118 are needed, 16,000 will be there.
    let variants = vec![starting(2, 1, variant("h100", 10.0))];
    let pool = request(
        "pool",
        variants,
        vec![stage(BOTH, 14_118.0, 15_000.0, &[8_000.0])],
    );
    assert_eq!(counts_of(&pool, &PLENTY), [2]);
}

#[test]
fn the_same_need_asks_for_the_same_three_times() {
    let stages = vec![stage(BOTH, 4.0, 4.8, &[1.0])];
    let mut requests = vec![request(
        "pool",
        vec![running(2, variant("h100", 10.0))],
        stages,
    )];
    for _ in 0..3 {
        let asked = plan(&requests, &PLENTY);
        assert_eq!(counts(&requests, &asked), [[4]]);
        requests = follow(&requests, &asked, false);
    }
}

#[test]
fn a_pending_sibling_is_waited_for() {
    let variants = vec![
        starting(2, 1, variant("a", 10.0)),
        running(1, variant("b", 10.0)),
    ];
    let pool = request("pool", variants, vec![stage(BOTH, 2.5, 3.0, &[1.0, 1.0])]);
    assert_eq!(counts_of(&pool, &PLENTY), [2, 1]);
}

#[test]
fn consolidation_that_would_overload_the_rest_is_left_alone() {
    let pool = request(
        "pool",
        vec![Variant {
            role: Role::Decode,
            ..running(2, variant("h100", 10.0))
        }],
        vec![stage(Role::Decode, 1.4, 1.4, &[0.8])],
    );
    assert_eq!(counts_of(&pool, &PLENTY), [2]);
}

#[test]
fn where_no_variant_can_meet_the_objective_nothing_grows() {
    let pool = request(
        "pool",
        vec![running(1, variant("l4", 1.0))],
        vec![stage(BOTH, 0.1, 0.2, &[0.0])],
    );
    let plan = plan(std::slice::from_ref(&pool), &PLENTY);
    assert_eq!(counts(&[pool], &plan), [[1]]);
    assert!(
        plan.notes
            .iter()
            .any(|note| note.text.contains("l4 cannot meet the objective"))
    );
}

#[test]
fn pending_replicas_that_are_no_longer_needed_are_cancelled() {
    let pool = request(
        "pool",
        vec![starting(6, 3, variant("h100", 10.0))],
        vec![stage(BOTH, 2.5, 3.0, &[1.0])],
    );
    assert_eq!(counts_of(&pool, &PLENTY), [3]);
}

#[test]
fn growth_is_asked_for_at_once_and_capped_by_the_host() {
    // A cap of 8 a tick is the guard's `behavior`, which all policies share.
    let pool = request(
        "pool",
        vec![running(2, variant("h100", 10.0))],
        vec![stage(BOTH, 40.0, 48.0, &[1.0])],
    );
    assert_eq!(counts_of(&pool, &PLENTY), [40]);
}

#[test]
fn the_role_with_slack_shrinks_and_no_other() {
    let pool = request(
        "pool",
        vec![
            Variant {
                role: Role::Prefill,
                ..running(2, variant("prefill", 15.0))
            },
            Variant {
                role: Role::Decode,
                ..running(3, variant("decode", 5.0))
            },
        ],
        vec![
            stage(Role::Prefill, 20_000.0, 20_000.0, &[10_000.0, 0.0]),
            stage(Role::Decode, 10_000.0, 10_000.0, &[0.0, 10_000.0]),
        ],
    );
    assert_eq!(counts_of(&pool, &PLENTY), [2, 1]);
}

#[test]
fn only_the_role_in_need_grows() {
    let pool = request(
        "pool",
        vec![
            Variant {
                role: Role::Prefill,
                ..running(2, variant("prefill", 5.0))
            },
            Variant {
                role: Role::Decode,
                ..running(2, variant("decode", 15.0))
            },
        ],
        vec![
            stage(Role::Prefill, 15.0, 25.0, &[10.0, 0.0]),
            stage(Role::Decode, 25.0, 30.0, &[0.0, 10.0]),
        ],
    );
    assert_eq!(counts_of(&pool, &PLENTY), [2, 3]);
}

#[test]
fn a_role_without_a_stage_is_kept() {
    let variants = vec![
        Variant {
            role: Role::Prefill,
            ..running(4, variant("prefill", 5.0))
        },
        Variant {
            role: Role::Decode,
            ..running(3, variant("decode", 5.0))
        },
    ];
    let stages = vec![stage(Role::Decode, 1.0, 1.0, &[0.0, 1.0])];
    assert_eq!(
        counts_of(&request("pool", variants, stages), &PLENTY),
        [4, 1]
    );
}

#[test]
fn one_stage_without_slack_forbids_shrinking() {
    let pool = |second: Stage| {
        let stages = vec![stage(BOTH, 10.0, 12.0, &[10.0]), second];
        request("pool", vec![running(4, variant("h100", 5.0))], stages)
    };
    assert_eq!(
        counts_of(&pool(stage(BOTH, 400.0, 400.0, &[100.0])), &PLENTY),
        [4]
    );
    assert_eq!(
        counts_of(&pool(stage(BOTH, 250.0, 290.0, &[100.0])), &PLENTY),
        [3]
    );
}

#[test]
fn the_cheapest_sum_wins_over_the_cheapest_unit() {
    let grown = |cost_of_b: f64| {
        let variants = vec![running(1, variant("a", 10.0)), variant("b", cost_of_b)];
        let pool = request(
            "pool",
            variants,
            vec![stage(BOTH, 300.0, 400.0, &[200.0, 100.0])],
        );
        counts_of(&pool, &PLENTY)
    };
    assert_eq!(grown(6.0), [1, 1]);
    assert_eq!(grown(10.0), [2, 0], "on a tie what runs already grows");
}

#[test]
fn a_maximum_below_the_minimum_gives_way() {
    let bounded = Variant {
        min_replicas: 3,
        max_replicas: 2,
        ..running(2, variant("h100", 10.0))
    };
    let pool = request("pool", vec![bounded], vec![stage(BOTH, 5.0, 6.0, &[1.0])]);
    assert_eq!(counts_of(&pool, &PLENTY), [3]);
}

#[test]
fn waking_a_pool_wakes_its_cheapest_variant_only() {
    let variants = vec![variant("c", 40.0), variant("a", 5.0), variant("b", 15.0)];
    let pool = request(
        "pool",
        variants,
        vec![stage(BOTH, 0.5, 0.6, &[4.0, 1.0, 2.0])],
    );
    assert_eq!(counts_of(&pool, &PLENTY), [0, 1, 0]);
}

#[test]
fn a_replacement_serves_before_what_it_replaces_goes() {
    let stages = || vec![stage(BOTH, 80.0, 100.0, &[10.0, 10.0])];
    let old = running(10, variant("old", 10.0));
    let mut requests = vec![request("pool", vec![old, variant("new", 5.0)], stages())];
    let mut seen = Vec::new();
    for ready in [0, 4, 10] {
        let asked = plan(&requests, &PLENTY);
        seen.push(counts(&requests, &asked).remove(0));
        requests = follow(&requests, &asked, false);
        for variant in &mut requests[0].pool.variants {
            variant.current_replicas = variant.desired_replicas;
        }
        requests[0].pool.variants[1].ready_replicas = ready;
    }
    seen.push(counts(&requests, &plan(&requests, &PLENTY)).remove(0));
    assert_eq!(seen, [[10, 10], [10, 10], [6, 10], [0, 10]]);
}

#[test]
fn a_replacement_that_saves_too_little_is_not_made() {
    let pool = |cost: f64| {
        let variants = vec![running(10, variant("old", 10.0)), variant("new", cost)];
        request(
            "pool",
            variants,
            vec![stage(BOTH, 80.0, 100.0, &[10.0, 10.0])],
        )
    };
    assert_eq!(
        counts_of(&pool(9.0), &PLENTY),
        [10, 0],
        "ten percent is not more than ten"
    );
    assert_eq!(counts_of(&pool(8.9), &PLENTY), [10, 10]);
    let requests = [pool(9.5)];
    let eager = try_plan(&requests, &PLENTY, r#"{"switch-saving-percent": 0}"#).unwrap();
    assert_eq!(counts(&requests, &eager), [[10, 10]]);
}

#[test]
fn what_is_starting_is_replaced_only_for_a_large_saving() {
    let pool = |ready: u32, cost: f64| {
        let old = Variant {
            ready_replicas: ready,
            ..running(10, variant("old", 10.0))
        };
        request(
            "pool",
            vec![old, variant("new", cost)],
            vec![stage(BOTH, 80.0, 100.0, &[10.0, 10.0])],
        )
    };
    assert_eq!(counts_of(&pool(9, 8.0), &PLENTY), [10, 0]);
    assert_eq!(counts_of(&pool(10, 8.0), &PLENTY), [10, 10]);
    assert_eq!(counts_of(&pool(9, 7.0), &PLENTY), [9, 10]);
}

#[test]
fn without_demand_a_pool_goes_to_its_minimum() {
    let bounded = Variant {
        min_replicas: 1,
        ..running(3, variant("a", 10.0))
    };
    let variants = vec![bounded, running(3, variant("b", 10.0))];
    let pool = request("pool", variants, vec![stage(BOTH, 0.0, 0.0, &[1.0, 1.0])]);
    assert_eq!(counts_of(&pool, &PLENTY), [1, 0]);
}

#[test]
fn numbers_that_are_none_hold_their_role_only() {
    let variants = || vec![running(3, variant("h100", 10.0))];
    let wrong_floor = request("a", variants(), vec![stage(BOTH, f64::NAN, 1.0, &[1.0])]);
    let wrong_cost = request(
        "b",
        vec![running(3, variant("h100", f64::INFINITY))],
        vec![stage(BOTH, 9.0, 9.0, &[1.0])],
    );
    let wrong_supply = request("c", variants(), vec![stage(BOTH, 9.0, 9.0, &[f64::NAN])]);
    let wrong_variant = request(
        "d",
        variants(),
        vec![stage(BOTH, 4.0, 5.0, &[1.0, 1.0, 1.0])],
    );
    let requests = [wrong_floor, wrong_cost, wrong_supply, wrong_variant];
    let plan = plan(&requests, &PLENTY);
    assert_eq!(counts(&requests, &plan), [[3], [3], [3], [4]]);
    assert_eq!(
        plan.notes
            .iter()
            .filter(|note| note.level == Level::Warning)
            .count(),
        3
    );
}

#[test]
fn a_stage_that_no_variant_serves_is_pointed_out() {
    let stages = vec![
        stage(BOTH, 1.0, 1.0, &[1.0]),
        stage(Role::Decode, 1.0, 1.0, &[1.0]),
    ];
    let pool = request("pool", vec![running(1, variant("h100", 10.0))], stages);
    let plan = plan(&[pool], &PLENTY);
    let text = "default/pool has a decode stage and no decode variant";
    assert!(plan.notes.iter().any(|note| note.text == text));
}

#[test]
fn reasons_name_floor_mix_and_what_is_pending() {
    let reasons = |request: Request| -> Vec<String> {
        plan(&[request], &PLENTY)
            .targets
            .into_iter()
            .map(|target| target.reason)
            .collect()
    };
    let grown = request(
        "pool",
        vec![
            starting(6, 5, variant("h100", 10.0)),
            running(2, variant("l40s", 4.0)),
        ],
        vec![stage(BOTH, 118.2, 190.0, &[15.0, 3.0])],
    );
    assert_eq!(
        reasons(grown),
        [
            "floor 118 requests/s needs 8 × h100 + 2 × l40s; 1 pending",
            "8 × h100 + 2 × l40s supplies 126, floor 118 requests/s",
        ]
    );
    let shrunk = request(
        "pool",
        vec![running(6, variant("h100", 10.0))],
        vec![stage(BOTH, 30.0, 40.5, &[15.0])],
    );
    assert_eq!(reasons(shrunk), ["ceiling 40.5 requests/s needs 3 × h100"]);
    let replaced = request(
        "pool",
        vec![running(2, variant("a100", 10.0)), variant("h100", 6.0)],
        vec![stage(BOTH, 30.0, 30.0, &[15.0, 15.0])],
    );
    assert_eq!(
        reasons(replaced),
        ["kept until 2 × h100 serves", "2 × h100 saves 8.00 an hour"]
    );
    let bounded = request(
        "pool",
        vec![
            Variant {
                min_replicas: 2,
                ..running(1, variant("a100", 1.0))
            },
            Variant {
                max_replicas: 2,
                ..running(3, variant("h100", 1.0))
            },
        ],
        vec![stage(BOTH, 40.0, 60.0, &[15.0, 15.0])],
    );
    assert_eq!(reasons(bounded), ["min-replicas 2", "max-replicas 2"]);
    let unjudged = request("pool", vec![running(2, variant("a100", 1.0))], vec![]);
    assert_eq!(reasons(unjudged), ["kept: no analyzer judges both"]);
}
