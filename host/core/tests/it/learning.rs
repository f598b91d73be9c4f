//! What a tick leaves for the next: states, knowledge, and a memory that can be checkpointed.

use std::sync::Arc;

use trimtab_contract::{Context, Knowledge, KnowledgeSource, Limits, Pool, Replica, Request};
use trimtab_core::memory::Memory;
use trimtab_core::policies::{Analyzer, Optimizer, PoolPolicies};
use trimtab_core::snapshot::{Behavior, Snapshot};
use trimtab_core::tick::tick;

use crate::fleet::*;

/// Counts its own calls in its state and says the count in a note's stead: as demand.
fn counting_analyzer(version: &str) -> Arc<dyn Analyzer> {
    let answer = |context: &Context, pool: &Pool, _: &[Replica], _: &[Knowledge]| {
        let mut answer = analysis(stages(pool));
        answer.state = context.state.iter().copied().chain([7]).collect();
        answer.stages[0].demand = context.state.len() as f64;
        Ok(answer)
    };
    Arc::new(Fake::new("counting", version, answer))
}

fn counting_optimizer() -> Arc<dyn Optimizer> {
    let answer = |context: &Context, requests: &[Request], _: &Limits| {
        let calls = context.state.len() as u32;
        let mut plan = plan(requests, &|_, _| calls);
        plan.state = context.state.iter().copied().chain([7]).collect();
        Ok(plan)
    };
    Arc::new(Fake::new("counting", "1", answer))
}

fn counting(version: &str) -> PoolPolicies {
    policies(&counting_analyzer(version), &counting_optimizer())
}

fn calls_so_far(seen: &Snapshot, policies: PoolPolicies, memory: &mut Memory) -> (f64, u32) {
    let decisions = tick(seen, &[policies], memory);
    (
        decisions[0].analyses[0].stages[0].demand,
        decisions[0].variants[0].proposed.unwrap(),
    )
}

#[test]
fn states_come_back_and_survive_a_swap_and_a_restart() {
    let mut seen = snapshot(vec![pool("a", vec![variant("v", 1)])]);
    let mut memory = Memory::default();
    assert_eq!(calls_so_far(&seen, counting("1"), &mut memory), (0.0, 0));
    assert_eq!(calls_so_far(&seen, counting("1"), &mut memory), (1.0, 1));
    assert_eq!(
        calls_so_far(&seen, counting("2"), &mut memory),
        (2.0, 2),
        "a new version"
    );
    let text = serde_json::to_string(&memory).unwrap();
    let mut restored: Memory = serde_json::from_str(&text).unwrap();
    assert_eq!(restored, memory);
    assert_eq!(
        calls_so_far(&seen, counting("2"), &mut restored),
        (3.0, 3),
        "a restart"
    );
    seen.now_ms += 86_400_000;
    assert_eq!(
        calls_so_far(&seen, counting("2"), &mut restored),
        (4.0, 0),
        "the pool is there; its group was away"
    );
}

#[test]
fn a_refusal_leaves_the_state_as_it_was() {
    let seen = snapshot(vec![pool("a", vec![variant("v", 1)])]);
    let mut memory = Memory::default();
    calls_so_far(&seen, counting("1"), &mut memory);
    let answer = |_: &Context, _: &Pool, _: &[Replica], _: &[Knowledge]| Err(refused());
    let refusing: Arc<dyn Analyzer> = Arc::new(Fake::new("counting", "1", answer));
    let _ = tick(
        &seen,
        &[policies(&refusing, &counting_optimizer())],
        &mut memory,
    );
    assert_eq!(calls_so_far(&seen, counting("1"), &mut memory), (1.0, 1));
}

#[test]
fn another_pool_has_another_state() {
    let seen = snapshot(vec![pool("a", vec![variant("v", 1)])]);
    let mut memory = Memory::default();
    calls_so_far(&seen, counting("1"), &mut memory);
    let other = snapshot(vec![pool("b", vec![variant("v", 1)])]);
    assert_eq!(calls_so_far(&other, counting("1"), &mut memory).0, 0.0);
}

#[test]
fn a_pool_that_vanished_is_forgotten_after_a_day() {
    let mut seen = snapshot(vec![pool("gone", vec![variant("v", 1)])]);
    seen.pools[0].rules.behavior = Some(Behavior::default());
    let mut memory = Memory::default();
    calls_so_far(&seen, counting("1"), &mut memory);
    let mut empty = snapshot(Vec::new());
    empty.now_ms += 86_399_000;
    let _ = tick(&empty, &[], &mut memory);
    assert!(serde_json::to_string(&memory).unwrap().contains("gone"));
    empty.now_ms += 1_000;
    let _ = tick(&empty, &[], &mut memory);
    assert_eq!(memory, Memory::default());
}

fn learned(pool: &Pool, value: f64, source: KnowledgeSource) -> Knowledge {
    Knowledge {
        model: pool.model.clone(),
        accelerator: "H100".into(),
        gpus_per_replica: 1,
        engine: None,
        quantity: "iteration-base-seconds".into(),
        value,
        source,
        learned_at: NOW_MS,
    }
}

#[test]
fn what_one_pool_learns_the_next_tick_tells_all_pools_of_the_model() {
    let teacher = |context: &Context, pool: &Pool, _: &[Replica], known: &[Knowledge]| {
        let mut answer = analysis(stages(pool));
        answer.stages[0].demand = known.iter().map(|known| known.value).sum();
        if pool.name == "teacher" && context.now == NOW_MS {
            answer
                .learned
                .push(learned(pool, 0.5, KnowledgeSource::Live));
        }
        Ok(answer)
    };
    let teacher: Arc<dyn Analyzer> = Arc::new(Fake::new("teacher", "1", teacher));
    let mut other_model = pool("z", vec![variant("v", 1)]);
    other_model.pool.model = "another".into();
    let mut seen = snapshot(vec![
        pool("pupil", vec![variant("v", 1)]),
        pool("teacher", vec![variant("v", 1)]),
        other_model,
    ]);
    let policies = vec![policies(&teacher, &plans(|_, _| 1)); 3];
    let mut memory = Memory::default();
    let mut demands = |seen: &Snapshot| -> Vec<f64> {
        let decisions = tick(seen, &policies, &mut memory);
        decisions
            .iter()
            .map(|decision| decision.analyses[0].stages[0].demand)
            .collect()
    };
    assert_eq!(demands(&seen), [0.0, 0.0, 0.0]);
    seen.now_ms += 15_000;
    assert_eq!(demands(&seen), [0.5, 0.5, 0.0]);
    seen.now_ms += 7 * 86_400_000;
    assert_eq!(
        demands(&seen),
        [0.0, 0.0, 0.0],
        "forgotten after seven days"
    );
}
