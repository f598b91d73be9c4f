//! Published vectors of the autoscaler that came before, where its semantics and ours agree.

use trimtab_sdk::{Role, Variant};

use crate::fleet::*;
use crate::planning::counts_of;

const BOTH: Role = Role::Both;

/// Grows by what is required beyond the present supply. The ceiling is far off: what runs stays.
fn required(amount: f64, pool: &[(Variant, f64)]) -> Vec<u32> {
    let floor = supply(pool) + amount;
    solve(pool, floor, 4.0 * floor)
}

/// Shrinks by what is spare.
fn spare(amount: f64, pool: &[(Variant, f64)]) -> Vec<u32> {
    let needed = (supply(pool) - amount).max(0.0);
    solve(pool, needed, needed)
}

fn supply(pool: &[(Variant, f64)]) -> f64 {
    pool.iter()
        .map(|(variant, each)| each * f64::from(variant.desired_replicas))
        .sum()
}

fn solve(pool: &[(Variant, f64)], floor: f64, ceiling: f64) -> Vec<u32> {
    let (variants, per_replica): (Vec<Variant>, Vec<f64>) = pool.iter().cloned().unzip();
    counts_of(
        &request(
            "pool",
            variants,
            vec![stage(BOTH, floor, ceiling, &per_replica)],
        ),
        &PLENTY,
    )
}

#[test]
fn vector_28_what_is_required_goes_to_the_cheapest() {
    let cheap = || running(2, variant("cheap", 5.0));
    let dear = running(1, variant("exp", 15.0));
    assert_eq!(
        required(5_000.0, &[(cheap(), 10_000.0), (dear, 20_000.0)]),
        [3, 1]
    );
    let pending = starting(2, 1, variant("cheap", 5.0));
    let middle = running(1, variant("mid", 10.0));
    assert_eq!(
        required(5_000.0, &[(pending, 10_000.0), (middle, 15_000.0)]),
        [3, 1]
    );
    let useless = variant("zero-cap", 1.0);
    let normal = running(1, variant("normal", 10.0));
    assert_eq!(
        required(10_000.0, &[(useless, 0.0), (normal, 10_000.0)]),
        [0, 2]
    );
}

#[test]
fn vector_29_what_is_spare_comes_off_at_the_least_cost() {
    let cheap = |n| {
        (
            Variant {
                max_replicas: n,
                ..running(n, variant("cheap", 5.0))
            },
            10_000.0,
        )
    };
    let dear = |n| (running(n, variant("exp", 15.0)), 20_000.0);
    assert_eq!(spare(15_000.0, &[cheap(3), dear(2)]), [2, 2]);
    assert_eq!(spare(15_000.0, &[dear(1), cheap(1)]), [1, 0]);
    // Theirs keeps one of the cheapest, whatever is needed; here the guard keeps the last replica.
    assert_eq!(spare(30_000.0, &[dear(1), cheap(1)]), [0, 0]);
}

#[test]
fn vector_29_differs_where_a_replacement_pays() {
    // Theirs only removes, and keeps the dear one at 15 for a need that two cheap ones meet at 10.
    let cheap = (running(1, variant("cheap", 5.0)), 10_000.0);
    let dear = (running(1, variant("exp", 15.0)), 20_000.0);
    assert_eq!(
        spare(15_000.0, &[dear, cheap]),
        [1, 2],
        "the dear one goes once both serve"
    );
}

#[test]
fn vector_30_of_equal_costs_the_first_name_stays() {
    let pool = [
        (running(1, variant("z", 5.0)), 1.0),
        (running(1, variant("a", 5.0)), 1.0),
    ];
    assert_eq!(spare(1.0, &pool), [0, 1]);
    let pool = [
        (running(1, variant("a", 2.0)), 1.0),
        (running(1, variant("b", 1.0)), 1.0),
    ];
    assert_eq!(spare(1.0, &pool), [0, 1]);
}

#[test]
fn vector_31_a_grant_is_a_whole_number_of_replicas() {
    let grown = |from: u32, to: u32, gpus_per_replica: u32, free: u32| {
        let variant = running(from, variant("h100", 10.0));
        let variant = Variant {
            gpus_per_replica,
            ..variant
        };
        let stages = vec![stage(BOTH, f64::from(to), f64::from(to), &[1.0])];
        counts_of(
            &request("pool", vec![variant], stages),
            &gpus(&[("h100", free)]),
        )
    };
    assert_eq!(grown(2, 4, 2, 10), [4]);
    assert_eq!(grown(1, 3, 2, 3), [2]);
    // Theirs takes no GPUs for one; here such a replica runs without GPUs.
    assert_eq!(grown(1, 3, 0, 0), [3]);
}
