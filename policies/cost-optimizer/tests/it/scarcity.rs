//! What other autoscalers got wrong where GPUs or money are scarce, one test each.

use trimtab_sdk::{Accelerator, Level, Limits, Request, Role, Variant};

use crate::fleet::*;
use crate::planning::*;

const BOTH: Role = Role::Both;

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
            "default/b both: floor 4.00 requests/s, 3.00 can be had: no more h100 for h100",
            "default/c both: floor 4.00 requests/s, 3.00 can be had: no more h100 for h100",
        ]
    );
}

#[test]
fn a_short_variant_says_what_it_lacks() {
    let variants = vec![
        running(1, variant("h100", 4.0)),
        Variant {
            max_replicas: 1,
            ..running(1, variant("l40s", 1.0))
        },
    ];
    let requests = [request(
        "pool",
        variants,
        vec![stage(BOTH, 40.0, 50.0, &[10.0, 2.0])],
    )];
    let reasons: Vec<String> = plan(&requests, &gpus(&[("h100", 1), ("l40s", 9)]))
        .targets
        .into_iter()
        .map(|target| target.reason)
        .collect();
    assert_eq!(
        reasons,
        [
            "floor 40.0 requests/s, 22.0 can be had: no more h100 for h100",
            "floor 40.0 requests/s, 22.0 can be had: l40s has its max-replicas 1",
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
