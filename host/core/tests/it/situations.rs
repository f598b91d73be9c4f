//! What autoscalers get wrong, from public bug reports, with the right answer.

use trimtab_contract::Role;
use trimtab_core::decision::{Rule, condition};
use trimtab_core::memory::Memory;
use trimtab_core::snapshot::{Behavior, Mode, ScalingPolicy, ScalingPolicyKind, SelectPolicy};
use trimtab_core::tick::tick;

use crate::fleet::*;

#[test]
fn a_forbidden_node_list_does_not_stop_growth() {
    let mut seen = snapshot(vec![pool("a", vec![variant("v", 2)])]);
    let decisions = decide(&seen, |_, _| 5);
    assert_eq!(desired(&decisions), [[5]]);
    assert!(has(&decisions[0], condition::INVENTORY_UNKNOWN));

    seen.inventory = Some(vec![gpus("H100", 2, 0)]);
    let decisions = decide(&seen, |_, _| 5);
    assert_eq!(desired(&decisions), [[2]]);
    assert!(has(&decisions[0], condition::GPUS_SHORT));
    assert!(!has(&decisions[0], condition::INVENTORY_UNKNOWN));
}

#[test]
fn where_there_are_no_gpus_at_all_nothing_grows_whatever_it_would_run_on() {
    for accelerator in ["H100", "unresolved"] {
        let mut of = variant("v", 2);
        of.accelerator = accelerator.into();
        let mut seen = snapshot(vec![pool("a", vec![of])]);
        for inventory in [vec![], vec![gpus("H100", 0, 0)]] {
            seen.inventory = Some(inventory);
            assert_eq!(desired(&decide(&seen, |_, _| 5)), [[2]], "{accelerator}");
        }
    }
}

#[test]
fn a_number_that_is_none_holds_the_pool() {
    for nonsense in [f64::NAN, f64::INFINITY, -1.0] {
        let seen = snapshot(vec![pool("a", vec![variant("v", 3)])]);
        let broken = analyzer("broken", "1", move |pool| {
            let mut stages = stages(pool);
            stages[0].demand = nonsense;
            Ok(analysis(stages))
        });
        let policies = [policies(&broken, &plans(|_, _| 0))];
        let decisions = tick(&seen, &policies, &mut Memory::default());
        assert_eq!(desired(&decisions), [[3]]);
        assert!(has(&decisions[0], condition::POLICY_FAULT));
        assert_eq!(decisions[0].variants[0].steps[0].rule, Rule::Hold);
    }
}

#[test]
fn a_crash_looping_pod_does_not_block_shrinking() {
    let mut crashing = variant("v", 5);
    crashing.ready_replicas = 4;
    let mut seen = snapshot(vec![pool("a", vec![crashing])]);
    assert_eq!(desired(&decide(&seen, |_, _| 2)), [[2]]);

    let mut silent = replica(0, 4);
    (silent.kv_usage, silent.waiting, silent.running) = (None, None, None);
    seen.pools[0].replicas.push(silent);
    assert_eq!(
        desired(&decide(&seen, |_, _| 2)),
        [[2]],
        "listed without metrics"
    );
}

#[test]
fn pools_of_one_name_in_two_namespaces_stay_apart() {
    let mut first = pool("a", vec![variant("v", 1)]);
    let mut second = first.clone();
    first.pool.namespace = "ns1".into();
    first.pool.workload.queued_requests = Some(2.0);
    second.pool.namespace = "ns2".into();
    second.pool.workload.queued_requests = Some(8.0);
    let seen = snapshot(vec![second, first]);
    let queued = |pool: &trimtab_contract::Pool, _| pool.workload.queued_requests.unwrap() as u32;
    assert_eq!(desired(&decide(&seen, queued)), [[8], [2]]);
}

#[test]
fn an_unresolved_accelerator_fails_closed_only_where_a_quota_is() {
    let mut unknown = variant("v", 1);
    unknown.accelerator = "unresolved".into();
    let mut seen = snapshot(vec![pool("a", vec![unknown])]);
    seen.inventory = Some(vec![gpus("H100", 8, 8), gpus("A100", 8, 8)]);
    let decisions = decide(&seen, |_, _| 3);
    assert_eq!(desired(&decisions), [[3]]);
    assert!(has(&decisions[0], condition::ACCELERATOR_UNRESOLVED));

    seen.inventory.as_mut().unwrap()[1].quota = Some(8);
    let decisions = decide(&seen, |_, _| 3);
    assert_eq!(desired(&decisions), [[1]], "not granted, and not dropped");
}

#[test]
fn the_same_need_three_times_asks_once() {
    let mut seen = snapshot(vec![pool("a", vec![variant("v", 2)])]);
    let policies = [policies(&content(), &plans(|_, _| 4))];
    let mut memory = Memory::default();
    for _ in 0..3 {
        let decisions = tick(&seen, &policies, &mut memory);
        assert_eq!(desired(&decisions), [[4]]);
        seen.pools[0].pool.variants[0].desired_replicas = decisions[0].variants[0].desired;
        seen.now_ms += 15_000;
    }
}

/// Plays ticks with one variant that follows each decision at once.
fn play(behavior: Behavior, start: u32, seconds: u64, raw: &[u32]) -> Vec<u32> {
    let mut memory = Memory::default();
    let mut replicas = start;
    let mut decided = Vec::new();
    for (step, raw) in (0..).zip(raw.iter().copied()) {
        let mut seen = snapshot(vec![pool("a", vec![variant("v", replicas)])]);
        seen.now_ms += step * seconds * 1000;
        seen.pools[0].rules.behavior = Some(behavior.clone());
        let policies = [policies(&content(), &plans(move |_, _| raw))];
        replicas = tick(&seen, &policies, &mut memory)[0].variants[0].desired;
        decided.push(replicas);
    }
    decided
}

#[test]
fn a_corrected_count_is_not_taken_for_a_recommendation() {
    let decided = play(Behavior::default(), 8, 60, &[8, 2, 2, 2, 2, 2, 2]);
    assert_eq!(decided, [8, 8, 8, 8, 8, 2, 2]);
}

#[test]
fn the_window_is_waited_for_before_the_rate_counts() {
    let mut behavior = Behavior::default();
    behavior.scale_down.policies = vec![a_minute(ScalingPolicyKind::Pods, 1)];
    let decided = play(behavior, 10, 60, &[10, 2, 2, 2, 2, 2, 2, 2]);
    assert_eq!(decided, [10, 10, 10, 10, 10, 9, 8, 7]);
}

fn a_minute(kind: ScalingPolicyKind, value: u32) -> ScalingPolicy {
    ScalingPolicy {
        kind,
        value,
        period_seconds: 60,
    }
}

#[test]
fn half_the_way_up_is_no_way_down_and_half_the_way_down_arrives() {
    let half = vec![a_minute(ScalingPolicyKind::Percent, 50)];
    let mut behavior = Behavior::default();
    behavior.scale_up.policies = half.clone();
    behavior.scale_down.policies = half;
    behavior.scale_down.stabilization_window_seconds = 0;
    assert_eq!(play(behavior.clone(), 4, 60, &[5]), [5]);
    let decided = play(behavior, 2, 60, &[1; 10]);
    assert_eq!(decided, [1; 10]);
}

#[test]
fn noise_in_how_two_roles_share_a_quota_moves_few_replicas_and_never_exceeds_it() {
    let raw = [(5, 5), (6, 3), (5, 4), (7, 3), (6, 3), (7, 2), (6, 3)];
    let mut memory = Memory::default();
    let (mut prefill, mut decode) = (5, 5);
    let mut decided = Vec::new();
    for (step, (p, d)) in (0..).zip(raw) {
        let mut variants = vec![variant("p", prefill), variant("d", decode)];
        variants[0].role = Role::Prefill;
        variants[1].role = Role::Decode;
        let mut seen = snapshot(vec![pool("a", variants)]);
        seen.now_ms += step * 15_000;
        seen.inventory = Some(vec![gpus("H100", 10, 10 - prefill - decode)]);
        let mut behavior = Behavior::default();
        behavior.scale_down.stabilization_window_seconds = 60;
        seen.pools[0].rules.behavior = Some(behavior);
        let target = move |_: &_, variant| if variant == 0 { p } else { d };
        let decisions = tick(&seen, &[policies(&content(), &plans(target))], &mut memory);
        let of = |variant: usize| decisions[0].variants[variant].desired;
        (prefill, decode) = (of(0), of(1));
        decided.push((prefill, decode));
    }
    // A GPU that one gives back is the other's when it is free.
    let calm = [(5, 5), (5, 5), (5, 5), (5, 5), (5, 4), (6, 4), (6, 3)];
    assert_eq!(decided, calm);
}

#[test]
fn own_growth_within_the_period_counts_against_the_next() {
    let decided = play(Behavior::default(), 1, 5, &[100; 5]);
    assert_eq!(decided, [5, 5, 5, 10, 10]);
}

#[test]
fn bounds_hold_at_once_whatever_the_behavior_says() {
    let mut disabled = Behavior::default();
    disabled.scale_down.select_policy = SelectPolicy::Disabled;
    disabled.scale_up.select_policy = SelectPolicy::Disabled;
    let mut stabilized = Behavior::default();
    stabilized.scale_up.stabilization_window_seconds = 300;
    for behavior in [disabled, stabilized] {
        let mut bounded = variant("v", 4);
        let mut memory = Memory::default();
        let mut counts = Vec::new();
        for (min, max) in [(0, 9), (6, 9), (0, 2)] {
            (bounded.min_replicas, bounded.max_replicas) = (min, max);
            let mut seen = snapshot(vec![pool("a", vec![bounded.clone()])]);
            seen.pools[0].rules.behavior = Some(behavior.clone());
            let policies = [policies(&content(), &plans(|_, _| 4))];
            let decisions = tick(&seen, &policies, &mut memory);
            let decision = &decisions[0].variants[0];
            assert!(
                decision.steps.iter().all(|step| step.rule == Rule::Bounds),
                "{decision:?}"
            );
            counts.push(decision.desired);
        }
        assert_eq!(counts, [4, 6, 2]);
    }
}

#[test]
fn a_rebalance_grows_only_when_the_gpus_are_free() {
    let role = |name, role, replicas| {
        let mut variant = variant(name, replicas);
        variant.role = role;
        variant
    };
    let (prefill, decode) = (role("p", Role::Prefill, 4), role("d", Role::Decode, 4));
    let mut seen = snapshot(vec![pool("a", vec![prefill, decode])]);
    seen.inventory = Some(vec![gpus("H100", 8, 0)]);
    let target = |_: &trimtab_contract::Pool, variant| if variant == 0 { 2 } else { 6 };
    let decisions = decide(&seen, target);
    assert_eq!(desired(&decisions), [[2, 4]]);
    assert_eq!(decisions[0].variants[1].steps[0].rule, Rule::Gpus);

    seen.pools = vec![pool(
        "a",
        vec![role("p", Role::Prefill, 2), role("d", Role::Decode, 4)],
    )];
    seen.inventory = Some(vec![gpus("H100", 8, 2)]);
    assert_eq!(desired(&decide(&seen, target)), [[2, 6]]);
}

#[test]
fn pending_replicas_are_cancelled_when_the_load_falls() {
    let mut pending = variant("v", 6);
    pending.ready_replicas = 3;
    let seen = snapshot(vec![pool("a", vec![pending])]);
    assert_eq!(desired(&decide(&seen, |_, _| 3)), [[3]]);
}

#[test]
fn a_manual_change_is_started_from_and_reported() {
    let mut seen = snapshot(vec![pool("a", vec![variant("v", 4)])]);
    let policies = [policies(
        &content(),
        &plans(|pool, _| pool.variants[0].desired_replicas),
    )];
    let mut memory = Memory::default();
    let decisions = tick(&seen, &policies, &mut memory);
    assert!(!has(&decisions[0], condition::DRIFT));

    seen.pools = vec![pool("a", vec![variant("v", 6)])];
    let decisions = tick(&seen, &policies, &mut memory);
    assert_eq!(desired(&decisions), [[6]]);
    assert_eq!(decisions[0].variants[0].previous, 6);
    assert!(has(&decisions[0], condition::DRIFT));
    let decisions = tick(&seen, &policies, &mut memory);
    assert!(!has(&decisions[0], condition::DRIFT), "reported once");
}

#[test]
fn an_autoscaler_on_its_way_is_no_drift() {
    let mut seen = snapshot(vec![pool("a", vec![variant("v", 2)])]);
    let policies = [policies(&content(), &plans(|_, _| 8))];
    let mut memory = Memory::default();
    for on_the_way in [2, 4, 8] {
        seen.pools = vec![pool("a", vec![variant("v", on_the_way)])];
        assert!(!has(
            &tick(&seen, &policies, &mut memory)[0],
            condition::DRIFT
        ));
    }
}

#[test]
fn a_role_that_nobody_judged_keeps_its_replicas() {
    let mut prefill = variant("p", 4);
    prefill.role = Role::Prefill;
    let mut decode = variant("d", 4);
    decode.role = Role::Decode;
    let seen = snapshot(vec![pool("a", vec![prefill, decode])]);
    let decode_only = analyzer("decode-only", "1", |pool| {
        Ok(analysis(vec![stage(pool, Role::Decode)]))
    });
    let policies = [policies(&decode_only, &plans(|_, _| 1))];
    let decisions = tick(&seen, &policies, &mut Memory::default());
    assert_eq!(desired(&decisions), [[4, 1]]);
    assert_eq!(decisions[0].variants[0].steps[0].rule, Rule::Evidence);
}

#[test]
fn a_minimum_above_the_maximum_wins() {
    let mut contradictory = variant("v", 3);
    (contradictory.min_replicas, contradictory.max_replicas) = (3, 2);
    let seen = snapshot(vec![pool("a", vec![contradictory])]);
    for wanted in [0, 2, 9] {
        let decisions = decide(&seen, move |_, _| wanted);
        assert_eq!(desired(&decisions), [[3]]);
        assert!(has(&decisions[0], condition::BOUNDS_CONTRADICT));
    }
}

#[test]
fn floors_over_the_gpus_are_met_and_nothing_grows() {
    let floored = |name, replicas| {
        let mut variant = variant("v", replicas);
        variant.min_replicas = 3;
        pool(name, vec![variant])
    };
    let mut seen = snapshot(vec![
        floored("a", 2),
        floored("b", 2),
        pool("c", vec![variant("v", 0)]),
    ]);
    seen.inventory = Some(vec![gpus("H100", 4, 0)]);
    let decisions = decide(&seen, |_, _| 5);
    assert_eq!(desired(&decisions), [[3], [3], [1]]);
    assert!(has(&decisions[0], condition::OVER_BUDGET));
}

#[test]
fn floors_over_the_budget_are_met_and_nothing_grows() {
    let floored = |name, replicas| {
        let mut variant = variant("v", replicas);
        variant.min_replicas = 3;
        pool(name, vec![variant])
    };
    let mut seen = snapshot(vec![
        floored("a", 2),
        floored("b", 3),
        pool("c", vec![variant("v", 1)]),
    ]);
    seen.budget_per_hour = Some(4.0);
    let decisions = decide(&seen, |_, _| 5);
    assert_eq!(desired(&decisions), [[3], [3], [1]]);
    assert!(
        decisions
            .iter()
            .all(|decision| has(decision, condition::OVER_BUDGET))
    );
}

#[test]
fn the_important_pool_gets_the_last_gpu() {
    let prioritized = |name, priority| {
        let mut pool = pool(name, vec![variant("v", 1)]);
        pool.pool.objective.priority = priority;
        pool
    };
    for unimportant in [0, 2] {
        let mut seen = snapshot(vec![prioritized("a", unimportant), prioritized("b", 1)]);
        seen.inventory = Some(vec![gpus("H100", 3, 1)]);
        assert_eq!(desired(&decide(&seen, |_, _| 2)), [[1], [2]]);
    }
}

#[test]
fn an_idle_pool_goes_to_zero_only_when_that_is_known() {
    let idle = |idle_seconds, queued| {
        let mut pool = pool("a", vec![variant("v", 1)]);
        pool.rules.scale_to_zero_after_seconds = Some(600.0);
        pool.idle_seconds = idle_seconds;
        pool.pool.workload.queued_requests = queued;
        desired(&decide(&snapshot(vec![pool]), |_, _| 0))[0][0]
    };
    assert_eq!(idle(Some(600.0), Some(0.0)), 0);
    assert_eq!(idle(Some(599.0), Some(0.0)), 1);
    assert_eq!(idle(Some(600.0), Some(1.0)), 1);
    assert_eq!(idle(None, Some(0.0)), 1);
    assert_eq!(idle(Some(600.0), None), 1);
}

#[test]
fn a_sleeping_pool_wakes_for_a_request_and_not_for_a_gap() {
    let mut dear = variant("dear", 0);
    dear.cost = 15.0;
    let sleeping = |idle_seconds, queued| {
        let mut pool = pool("a", vec![dear.clone(), variant("cheap", 0)]);
        pool.rules.scale_to_zero_after_seconds = Some(600.0);
        pool.idle_seconds = idle_seconds;
        pool.pool.workload.queued_requests = queued;
        desired(&decide(&snapshot(vec![pool]), |_, _| 0))[0].clone()
    };
    assert_eq!(sleeping(Some(9000.0), Some(1.0)), [0, 1]);
    assert_eq!(sleeping(Some(5.0), Some(0.0)), [0, 1]);
    assert_eq!(sleeping(Some(9000.0), None), [0, 0]);
    assert_eq!(sleeping(None, Some(0.0)), [0, 0]);
}

#[test]
fn the_last_replica_of_each_role_stays() {
    let mut prefill = variant("p", 2);
    prefill.role = Role::Prefill;
    let mut decode = variant("d", 2);
    decode.role = Role::Decode;
    let seen = snapshot(vec![pool("a", vec![prefill, decode])]);
    assert_eq!(desired(&decide(&seen, |_, _| 0)), [[1, 1]]);
}

#[test]
fn missing_stale_and_partial_measurements_hold() {
    let shrinks = |change: fn(&mut trimtab_core::snapshot::PoolSnapshot)| {
        let mut pool = pool("a", vec![variant("v", 3), variant("w", 1)]);
        change(&mut pool);
        let decisions = decide(
            &snapshot(vec![pool]),
            |_, variant| if variant == 0 { 1 } else { 2 },
        );
        let held = desired(&decisions) == [[3, 2]];
        assert_eq!(held, has(&decisions[0], condition::EVIDENCE_PARTIAL));
        !held
    };
    assert!(shrinks(|_| ()));
    assert!(!shrinks(|pool| drop(pool.replicas.pop())));
    assert!(!shrinks(|pool| pool.replicas[0].metrics_age = 76.0));
    assert!(!shrinks(|pool| pool.replicas[0].metrics_age = f64::NAN));
    assert!(!shrinks(|pool| pool.replicas[3].kv_usage = None));
    assert!(!shrinks(|pool| pool.replicas[0].waiting = Some(f64::NAN)));
    assert!(!shrinks(|pool| pool.pool.workload.request_rate = None));
}

#[test]
fn an_observed_pool_publishes_nothing_and_takes_nothing() {
    let mut observed = pool("a", vec![variant("v", 1)]);
    observed.rules.mode = Mode::Observe;
    let mut seen = snapshot(vec![observed, pool("b", vec![variant("v", 1)])]);
    seen.inventory = Some(vec![gpus("H100", 4, 2)]);
    let decisions = decide(&seen, |_, _| 3);
    assert_eq!(desired(&decisions), [[1], [3]]);
    assert!(!decisions[0].variants[0].published && decisions[1].variants[0].published);
}

#[test]
fn a_paused_pool_holds_and_takes_nothing() {
    let mut paused = pool("a", vec![variant("v", 1)]);
    paused.rules.mode = Mode::Paused;
    let mut seen = snapshot(vec![paused, pool("b", vec![variant("v", 1)])]);
    seen.inventory = Some(vec![gpus("H100", 4, 2)]);
    let decisions = decide(&seen, |_, _| 3);
    assert_eq!(desired(&decisions), [[1], [3]]);
    assert_eq!(decisions[0].variants[0].proposed, Some(3));
    assert_eq!(decisions[0].variants[0].steps[0].rule, Rule::Paused);
}

#[test]
fn where_the_router_sends_nothing_to_idle_replicas_it_is_told_and_none_are_added() {
    // Situation 79.
    let mut seen = snapshot(vec![pool("a", vec![variant("v", 1)])]);
    seen.pools[0].pool.workload.queued_requests = Some(20.0);
    for replica in &mut seen.pools[0].replicas {
        (replica.running, replica.waiting) = (Some(0.0), Some(0.0));
    }
    let (analyzer, optimizer) = (
        analyzer("a", "1", |pool| Ok(analysis(stages(pool)))),
        plans(|_, _| 4),
    );
    let policies = [policies(&analyzer, &optimizer)];
    let mut memory = Memory::default();
    let mut after = |seconds: u64, seen: &mut trimtab_core::snapshot::Snapshot| {
        seen.now_ms += seconds * 1000;
        tick(seen, &policies, &mut memory)
    };
    let decisions = after(0, &mut seen);
    assert_eq!(desired(&decisions), [[1]]);
    assert!(
        !has(&decisions[0], condition::ROUTER_STUCK),
        "it may be about to send some"
    );
    let decisions = after(60, &mut seen);
    assert_eq!(desired(&decisions), [[1]]);
    assert_eq!(decisions[0].variants[0].steps[0].rule, Rule::Router);
    assert!(has(&decisions[0], condition::ROUTER_STUCK));
    seen.pools[0].replicas[0].running = Some(3.0);
    assert_eq!(
        desired(&after(15, &mut seen)),
        [[4]],
        "they are served, and more wait"
    );
    seen.pools[0].replicas[0].running = Some(0.0);
    let decisions = after(15, &mut seen);
    assert!(
        !has(&decisions[0], condition::ROUTER_STUCK),
        "it began anew"
    );
    seen.pools[0].pool.workload.queued_requests = Some(0.0);
    assert_eq!(desired(&after(15, &mut seen)), [[4]], "nothing waits");
}
