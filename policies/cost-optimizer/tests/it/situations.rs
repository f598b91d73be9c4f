//! What other autoscalers got wrong, one test each.

use trimtab_sdk::{Accelerator, Level, Limits, Request, Role, Stage, Variant};

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
fn gpus_that_shrinking_frees_are_granted_when_they_are_free() {
    let prefill = Variant {
        role: Role::Prefill,
        accelerator: "h100".into(),
        ..variant("p", 10.0)
    };
    let decode = Variant {
        role: Role::Decode,
        accelerator: "h100".into(),
        ..variant("d", 10.0)
    };
    let requests = vec![request(
        "pool",
        vec![running(4, prefill), running(4, decode)],
        vec![
            stage(Role::Prefill, 2.0, 2.0, &[1.0, 0.0]),
            stage(Role::Decode, 6.0, 6.0, &[0.0, 1.0]),
        ],
    )];
    let first = plan(&requests, &gpus(&[("h100", 0)]));
    assert_eq!(counts(&requests, &first), [[2, 4]]);
    let requests = follow(&requests, &first, true);
    assert_eq!(
        counts(&requests, &plan(&requests, &gpus(&[("h100", 2)]))),
        [[2, 6]]
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
fn gpus_are_claimed_for_the_variant_that_grows() {
    // The variant of 3 GPUs is at its maximum; a need of 3 costs 3 GPUs, not 9.
    let pool = |name: &str| {
        let large = Variant {
            gpus_per_replica: 3,
            max_replicas: 1,
            accelerator: "h100".into(),
            ..running(1, variant("large", 3.0))
        };
        let small = Variant {
            accelerator: "h100".into(),
            ..variant("small", 1.5)
        };
        request(
            name,
            vec![large, small],
            vec![stage(BOTH, 6.0, 6.0, &[3.0, 1.0])],
        )
    };
    let requests = [pool("one"), pool("two")];
    let plan = plan(&requests, &gpus(&[("h100", 4)]));
    assert_eq!(counts(&requests, &plan), [[1, 2], [1, 2]]);
}

#[test]
fn scarce_gpus_are_shared_by_how_much_each_has() {
    // Wants 3, 4, 4; the first may have 2.
    let pool = |name: &str, want: f64, max: u32| {
        let variant = Variant {
            accelerator: "h100".into(),
            max_replicas: max,
            ..variant("h100", 10.0)
        };
        request(name, vec![variant], vec![stage(BOTH, want, want, &[1.0])])
    };
    let requests = [pool("a", 3.0, 2), pool("b", 4.0, 4), pool("c", 4.0, 4)];
    let plan = plan(&requests, &gpus(&[("h100", 8)]));
    assert_eq!(counts(&requests, &plan), [[2], [3], [3]]);
    let warnings = plan
        .notes
        .iter()
        .filter(|note| note.level == Level::Warning);
    let texts: Vec<&str> = warnings.map(|note| note.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "default/a both: floor 3.00 requests/s, 2.00 can be had: h100 has its max-replicas 2",
            "default/b both: floor 4.00 requests/s, 3.00 can be had: h100 lacks h100",
            "default/c both: floor 4.00 requests/s, 3.00 can be had: h100 lacks h100",
        ]
    );
}

#[test]
fn of_several_quotas_the_strictest_counts() {
    let quota = |quota: u32| Accelerator {
        name: "h100".into(),
        total: 100,
        available: 100,
        quota: Some(quota),
    };
    let limits = Limits {
        accelerators: Some(vec![quota(8), quota(6), quota(12)]),
        budget: None,
    };
    let pool = request(
        "pool",
        vec![variant("h100", 10.0)],
        vec![stage(BOTH, 10.0, 10.0, &[1.0])],
    );
    assert_eq!(counts_of(&pool, &limits), [6]);
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
fn minimum_replicas_are_asked_for_beyond_the_gpus() {
    let bounded = || Variant {
        min_replicas: 3,
        accelerator: "h100".into(),
        ..variant("h100", 10.0)
    };
    let stages = || vec![stage(BOTH, 5.0, 6.0, &[1.0])];
    let requests = [
        request("a", vec![bounded()], stages()),
        request("b", vec![bounded()], stages()),
    ];
    let plan = plan(&requests, &gpus(&[("h100", 4)]));
    assert_eq!(counts(&requests, &plan), [[3], [3]]);
    assert!(plan.notes.iter().any(|note| {
        note.level == Level::Warning
            && note
                .text
                .starts_with("minimum replicas need 6 GPUs more of h100 and 4 are free")
    }));
}

#[test]
fn a_priority_that_is_not_set_comes_last() {
    let pool = |name: &str, priority: u32| {
        let variant = Variant {
            accelerator: "h100".into(),
            ..variant("h100", 10.0)
        };
        with_priority(
            priority,
            request(name, vec![variant], vec![stage(BOTH, 1.0, 1.0, &[1.0])]),
        )
    };
    let requests = [pool("a", 0), pool("b", 7), pool("c", 1)];
    let plan = plan(&requests, &gpus(&[("h100", 1)]));
    assert_eq!(counts(&requests, &plan), [[0], [0], [1]]);
}

#[test]
fn an_unknown_inventory_is_not_an_empty_one() {
    let pool = request(
        "pool",
        vec![running(1, variant("h100", 10.0))],
        vec![stage(BOTH, 4.0, 4.0, &[1.0])],
    );
    assert_eq!(counts_of(&pool, &PLENTY), [4]);
    assert_eq!(counts_of(&pool, &gpus(&[])), [1]);
}

#[test]
fn an_unresolved_accelerator_keeps_what_runs_and_does_not_grow() {
    let unresolved = |n| Variant {
        accelerator: "unresolved".into(),
        ..running(n, variant("mystery", 10.0))
    };
    let pool = request(
        "pool",
        vec![unresolved(2)],
        vec![stage(BOTH, 4.0, 4.0, &[1.0])],
    );
    assert_eq!(counts_of(&pool, &gpus(&[("h100", 8)])), [2]);
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
fn when_gpus_run_short_the_next_cheapest_variant_grows() {
    let variants = vec![
        variant("h100", 4.0),
        variant("a100", 3.0),
        variant("l40s", 2.0),
    ];
    let pool = request(
        "pool",
        variants,
        vec![stage(BOTH, 40.0, 40.0, &[10.0, 6.0, 2.0])],
    );
    let limits = gpus(&[("h100", 2), ("a100", 3), ("l40s", 9)]);
    assert_eq!(counts_of(&pool, &limits), [2, 3, 1]);
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
fn growth_stays_within_the_budget() {
    let pool = |name: &str, priority| {
        let stages = vec![stage(BOTH, 4.0, 4.0, &[1.0])];
        with_priority(
            priority,
            request(name, vec![running(1, variant("h100", 10.0))], stages),
        )
    };
    let requests = [pool("a", 2), pool("b", 1)];
    let limits = Limits {
        accelerators: None,
        budget: Some(65.0),
    };
    let plan = plan(&requests, &limits);
    assert_eq!(counts(&requests, &plan), [[2], [4]]);
    let text = "default/a both: floor 4.00 requests/s, 2.00 can be had: h100 is over the budget";
    assert!(
        plan.notes.iter().any(|note| note.text == text),
        "{:?}",
        plan.notes
    );
}

#[test]
fn who_can_go_elsewhere_leaves_scarce_gpus_to_who_cannot() {
    let h100 = || variant("h100", 4.0);
    let supply = stage(BOTH, 40.0, 40.0, &[10.0, 10.0]);
    let flexible = request(
        "a",
        vec![h100(), variant("l40s", 5.0)],
        vec![supply.clone()],
    );
    let bound = request("b", vec![h100()], vec![stage(BOTH, 40.0, 40.0, &[10.0])]);
    let requests: Vec<Request> = vec![flexible, bound];
    let plan = plan(&requests, &gpus(&[("h100", 4), ("l40s", 4)]));
    assert_eq!(counts(&requests, &plan), [vec![0, 4], vec![4]]);
    assert!(
        plan.notes[0]
            .text
            .starts_with("exact: what 2 roles want cannot be had at once")
    );
}

#[test]
fn a_short_pool_gets_the_mix_that_supplies_the_most() {
    // By price the small ones come first, and would leave the large one without its 8 GPUs.
    let large = Variant {
        gpus_per_replica: 8,
        accelerator: "h100".into(),
        ..variant("large", 20.0)
    };
    let small = Variant {
        accelerator: "h100".into(),
        ..variant("small", 1.0)
    };
    let pool = request(
        "pool",
        vec![large, small],
        vec![stage(BOTH, 200.0, 200.0, &[100.0, 10.0])],
    );
    assert_eq!(counts_of(&pool, &gpus(&[("h100", 8)])), [1, 0]);
}

#[test]
fn who_stands_first_in_the_list_has_no_advantage() {
    let pool = |name: &str| {
        let variant = Variant {
            accelerator: "h100".into(),
            ..variant("h100", 10.0)
        };
        request(name, vec![variant], vec![stage(BOTH, 2.0, 2.0, &[1.0])])
    };
    let limits = gpus(&[("h100", 3)]);
    let requests = [pool("a"), pool("b")];
    assert_eq!(counts(&requests, &plan(&requests, &limits)), [[2], [1]]);
    let requests = [pool("b"), pool("a")];
    assert_eq!(counts(&requests, &plan(&requests, &limits)), [[1], [2]]);
}

#[test]
fn what_a_better_mix_gives_back_is_shared_too() {
    // Replica by replica `b` would take two of x, at 6; one of y at 5 leaves money for `a`.
    let a = request(
        "a",
        vec![running(9, variant("a", 1.0))],
        vec![stage(BOTH, 11.0, 11.0, &[1.0])],
    );
    let variants = vec![variant("x", 3.0), variant("y", 5.0)];
    let b = request("b", variants, vec![stage(BOTH, 5.0, 5.0, &[4.0, 5.0])]);
    let requests = [a, b];
    let plan = plan(
        &requests,
        &Limits {
            accelerators: None,
            budget: Some(15.0),
        },
    );
    assert_eq!(counts(&requests, &plan), [vec![10], vec![0, 1]]);
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
