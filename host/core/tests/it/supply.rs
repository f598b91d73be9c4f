//! GPUs, money and ceilings: who gets what when not all fits, and what may go.

use trimtab_contract::{Pool, Stage};
use trimtab_core::decision::{PoolDecision, Rule, condition};
use trimtab_core::memory::Memory;
use trimtab_core::snapshot::Snapshot;
use trimtab_core::tick::tick;

use crate::fleet::*;

/// One tick in which each pool's only stage is shaped by `shape`.
fn decide_with(
    seen: &Snapshot,
    shape: impl Fn(&Pool, &mut Stage) + Send + Sync + 'static,
    count: impl Fn(&Pool, usize) -> u32 + Send + Sync + 'static,
) -> Vec<PoolDecision> {
    let shaped = analyzer("shaped", "1", move |pool| {
        let mut stages = stages(pool);
        shape(pool, &mut stages[0]);
        Ok(analysis(stages))
    });
    let policies = vec![policies(&shaped, &plans(count)); seen.pools.len()];
    tick(seen, &policies, &mut Memory::default())
}

fn needs(amount: f64) -> impl Fn(&Pool, &mut Stage) + Send + Sync {
    move |_, stage| {
        (stage.demand, stage.floor, stage.ceiling) = (amount, amount, amount);
    }
}

fn empty_pools(names: &[&str]) -> Snapshot {
    let mut seen = snapshot(
        names
            .iter()
            .map(|name| pool(name, vec![variant("v", 0)]))
            .collect(),
    );
    for pool in &mut seen.pools {
        pool.rules.scale_to_zero_after_seconds = Some(0.0);
    }
    seen
}

#[test]
fn equal_pools_share_what_is_free_equally() {
    let mut seen = empty_pools(&["a", "b"]);
    seen.inventory = Some(vec![gpus("H100", 4, 4)]);
    assert_eq!(
        desired(&decide_with(&seen, needs(3.0), |_, _| 3)),
        [[2], [2]]
    );
}

#[test]
fn what_a_bound_keeps_from_one_goes_to_the_others() {
    let mut seen = empty_pools(&["a", "b", "c"]);
    seen.pools[0].pool.variants[0].max_replicas = 2;
    seen.inventory = Some(vec![gpus("H100", 8, 8)]);
    let wanted = |pool: &Pool| if pool.name == "a" { 3 } else { 4 };
    let shape = move |pool: &Pool, stage: &mut Stage| needs(f64::from(wanted(pool)))(pool, stage);
    let decisions = decide_with(&seen, shape, move |pool, _| wanted(pool));
    assert_eq!(desired(&decisions), [[2], [3], [3]]);
}

#[test]
fn a_whole_replica_that_does_not_fit_leaves_its_gpus_to_a_smaller_one() {
    let mut seen = empty_pools(&["a", "b"]);
    seen.pools[0].pool.variants[0].gpus_per_replica = 4;
    seen.inventory = Some(vec![gpus("H100", 7, 7)]);
    let decisions = decide_with(&seen, needs(4.0), |_, _| 4);
    assert_eq!(desired(&decisions), [[1], [3]]);
}

#[test]
fn the_needier_pool_is_served_before_the_cheaper_one() {
    let mut seen = snapshot(vec![
        pool("fine", vec![variant("v", 3)]),
        pool("starved", vec![variant("v", 1)]),
    ]);
    seen.pools[1].pool.variants[0].cost = 9.0;
    seen.inventory = Some(vec![gpus("H100", 5, 1)]);
    let decisions = decide_with(&seen, needs(4.0), |_, _| 4);
    assert_eq!(desired(&decisions), [[3], [2]]);
    assert!(has(&decisions[0], condition::GPUS_SHORT));
}

#[test]
fn among_equal_needs_the_cheaper_variant_grows() {
    let mut dear = variant("dear", 1);
    dear.cost = 2.0;
    let mut seen = snapshot(vec![pool("a", vec![dear, variant("cheap", 1)])]);
    seen.inventory = Some(vec![gpus("H100", 3, 1)]);
    assert_eq!(desired(&decide_with(&seen, needs(4.0), |_, _| 2)), [[1, 2]]);
}

#[test]
fn a_siblings_growth_lessens_the_need() {
    let two = pool("a", vec![variant("x", 0), variant("y", 0)]);
    let mut seen = snapshot(vec![two, pool("b", vec![variant("v", 0)])]);
    for pool in &mut seen.pools {
        pool.rules.scale_to_zero_after_seconds = Some(0.0);
    }
    seen.inventory = Some(vec![gpus("H100", 2, 2)]);
    let shape = |pool: &Pool, stage: &mut Stage| {
        stage.demand = 4.0;
        stage.floor = if pool.name == "a" { 2.0 } else { 1.6 };
        stage.ceiling = stage.floor;
    };
    assert_eq!(
        desired(&decide_with(&seen, shape, |_, _| 2)),
        [vec![1, 0], vec![1]]
    );
}

#[test]
fn two_ticks_do_not_grant_the_same_gpu() {
    let mut asked = variant("v", 1);
    asked.desired_replicas = 3;
    let mut seen = snapshot(vec![
        pool("a", vec![asked]),
        pool("b", vec![variant("v", 1)]),
    ]);
    seen.inventory = Some(vec![gpus("H100", 5, 3)]);
    assert_eq!(desired(&decide(&seen, |_, _| 4)), [[3], [2]]);
}

#[test]
fn replicas_that_exist_need_no_further_gpus() {
    let mut falling = variant("v", 4);
    falling.desired_replicas = 2;
    let mut seen = snapshot(vec![pool("a", vec![falling])]);
    seen.inventory = Some(vec![gpus("H100", 4, 0)]);
    assert_eq!(desired(&decide(&seen, |_, _| 5)), [[4]]);
}

#[test]
fn growth_already_asked_for_is_not_taken_back() {
    let mut asked = variant("v", 1);
    asked.desired_replicas = 5;
    let mut seen = snapshot(vec![pool("a", vec![asked])]);
    seen.inventory = Some(Vec::new());
    seen.budget_per_hour = Some(0.0);
    assert_eq!(desired(&decide(&seen, |_, _| 9)), [[5]]);
}

#[test]
fn a_quota_binds_where_it_is_less_than_what_is_free() {
    let mut seen = snapshot(vec![pool("a", vec![variant("v", 1)])]);
    let mut limited = gpus("H100", 8, 7);
    limited.quota = Some(2);
    seen.inventory = Some(vec![limited]);
    assert_eq!(desired(&decide(&seen, |_, _| 9)), [[3]]);
}

#[test]
fn growth_stops_at_the_budget() {
    let mut dear = variant("dear", 1);
    dear.cost = 3.0;
    let mut seen = snapshot(vec![pool("a", vec![dear, variant("cheap", 1)])]);
    seen.budget_per_hour = Some(8.5);
    let decisions = decide(&seen, |_, _| 3);
    assert_eq!(desired(&decisions), [[1, 3]]);
    let dear = &decisions[0].variants[0];
    assert_eq!(
        (dear.steps[0].rule, dear.steps[0].before),
        (Rule::Budget, 3)
    );
    assert!(has(&decisions[0], condition::BUDGET_REACHED));
}

#[test]
fn money_of_what_shrinks_is_spent_in_a_later_tick() {
    let mut seen = snapshot(vec![
        pool("a", vec![variant("v", 4)]),
        pool("b", vec![variant("v", 1)]),
    ]);
    seen.budget_per_hour = Some(5.0);
    let target = |pool: &Pool, _| if pool.name == "a" { 2 } else { 3 };
    assert_eq!(desired(&decide(&seen, target)), [[2], [1]]);
}

#[test]
fn a_stage_keeps_its_ceiling() {
    let seen = snapshot(vec![pool("a", vec![variant("v", 5)])]);
    let decisions = decide_with(&seen, needs(2.5), |_, _| 1);
    assert_eq!(desired(&decisions), [[3]]);
    assert_eq!(decisions[0].variants[0].steps[0].rule, Rule::Ceiling);
}

#[test]
fn a_stage_below_its_ceiling_loses_nothing() {
    let seen = snapshot(vec![pool("a", vec![variant("v", 5)])]);
    assert_eq!(desired(&decide_with(&seen, needs(9.0), |_, _| 1)), [[5]]);
}

#[test]
fn the_cheapest_capacity_is_given_back_first() {
    let mut dear = variant("dear", 3);
    dear.cost = 4.0;
    let seen = snapshot(vec![pool("a", vec![dear, variant("cheap", 3)])]);
    assert_eq!(desired(&decide_with(&seen, needs(4.0), |_, _| 0)), [[1, 3]]);
}

#[test]
fn what_serves_goes_only_when_its_successor_serves() {
    let shrink_old = |ready| {
        let mut new = variant("new", 2);
        new.ready_replicas = ready;
        let seen = snapshot(vec![pool("a", vec![variant("old", 2), new])]);
        let decisions = decide_with(
            &seen,
            needs(2.0),
            |_, variant| if variant == 0 { 0 } else { 2 },
        );
        desired(&decisions)[0].clone()
    };
    assert_eq!(shrink_old(0), [2, 2]);
    assert_eq!(shrink_old(1), [1, 2]);
    assert_eq!(shrink_old(2), [0, 2]);
}

#[test]
fn a_shrink_that_relied_on_denied_growth_is_given_back() {
    let mut new = variant("new", 0);
    new.accelerator = "L40S".into();
    let mut seen = snapshot(vec![pool("a", vec![variant("old", 2), new])]);
    seen.inventory = Some(vec![gpus("H100", 2, 0), gpus("L40S", 8, 0)]);
    let decisions = decide_with(
        &seen,
        needs(2.0),
        |_, variant| if variant == 0 { 0 } else { 2 },
    );
    assert_eq!(desired(&decisions), [[2, 0]]);
}

#[test]
fn all_analyzers_must_agree_to_lower_and_one_may_raise() {
    let seen = snapshot(vec![pool("a", vec![variant("v", 5)])]);
    let demanding = analyzer("demanding", "1", |pool| {
        let mut stages = stages(pool);
        needs(4.0)(pool, &mut stages[0]);
        Ok(analysis(stages))
    });
    let mut both = policies(&content(), &plans(|_, _| 1));
    both.analyzers.push(bound(vec![demanding]));
    assert_eq!(
        desired(&tick(&seen, &[both], &mut Memory::default())),
        [[4]]
    );
}

#[test]
fn a_pool_has_a_budget_of_its_own_beside_that_of_all() {
    let of = |all: Option<f64>, own: Option<f64>| {
        let mut thrifty = pool("a", vec![variant("v", 1)]);
        thrifty.rules.budget_per_hour = own;
        let mut seen = snapshot(vec![thrifty, pool("b", vec![variant("v", 1)])]);
        seen.budget_per_hour = all;
        decide(&seen, |_, _| 5)
    };
    let decisions = of(None, Some(3.0));
    assert_eq!(desired(&decisions), [[3], [5]]);
    assert!(has(&decisions[0], condition::BUDGET_REACHED));
    assert!(!has(&decisions[1], condition::BUDGET_REACHED));
    let why = decisions[0].variants[0].why();
    assert_eq!(
        why,
        "0.00 per hour of the pool's budget are left, a replica costs 1.00"
    );
    assert_eq!(desired(&of(Some(6.0), Some(2.0))), [[2], [4]]);
    assert_eq!(desired(&of(Some(4.0), Some(9.0))), [[2], [2]]);
    let over = of(None, Some(0.5));
    assert_eq!(desired(&over), [[1], [5]]);
    assert!(has(&over[0], condition::OVER_BUDGET));
}
