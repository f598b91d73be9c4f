//! What happens when policies fault, refuse or are silent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use trimtab_contract::{Context, Limits, Refusal, Request};
use trimtab_core::decision::{Rule, condition};
use trimtab_core::memory::Memory;
use trimtab_core::policies::{Bound, CallError, Optimizer, PoolPolicies};
use trimtab_core::snapshot::Snapshot;
use trimtab_core::tick::tick;

use crate::fleet::*;

fn with_optimizers(rungs: Vec<Arc<dyn Optimizer>>) -> PoolPolicies {
    PoolPolicies {
        analyzers: vec![bound(vec![content()])],
        optimizer: bound(rungs),
    }
}

fn faulty(name: &str) -> Arc<dyn Optimizer> {
    optimizer(name, "1", |_| Err(fault()))
}

#[test]
fn the_next_rung_answers_and_may_raise() {
    let seen = snapshot(vec![pool("a", vec![variant("v", 2)])]);
    let policies = [with_optimizers(vec![faulty("new"), plans(|_, _| 4)])];
    let decisions = tick(&seen, &policies, &mut Memory::default());
    assert_eq!(desired(&decisions), [[4]]);
    let call = &decisions[0].plan.call;
    assert_eq!(call.answered_by.as_ref().unwrap().rung, 1);
    assert_eq!(call.faults[0].digest.0, "sha256:new-1");
    assert!(has(&decisions[0], condition::POLICY_FAULT));
}

#[test]
fn the_next_rung_may_not_lower() {
    let seen = snapshot(vec![pool("a", vec![variant("v", 4), variant("w", 1)])]);
    let second = plans(|_, variant| if variant == 0 { 1 } else { 3 });
    let policies = [with_optimizers(vec![faulty("new"), second])];
    let decisions = tick(&seen, &policies, &mut Memory::default());
    assert_eq!(desired(&decisions), [[4, 3]]);
    assert_eq!(decisions[0].variants[0].steps[0].rule, Rule::Evidence);
}

#[test]
fn where_no_rung_answers_the_count_is_held() {
    let seen = snapshot(vec![pool("a", vec![variant("v", 4)])]);
    let policies = [with_optimizers(vec![faulty("new"), faulty("old")])];
    let decisions = tick(&seen, &policies, &mut Memory::default());
    assert_eq!(desired(&decisions), [[4]]);
    assert_eq!(decisions[0].variants[0].proposed, None);
    assert_eq!(decisions[0].variants[0].steps[0].rule, Rule::Hold);
    assert!(has(&decisions[0], condition::NO_PLAN));
}

#[test]
fn a_stand_in_for_an_analyzer_lowers_nothing() {
    let seen = snapshot(vec![pool("a", vec![variant("v", 4)])]);
    let broken = analyzer("broken", "1", |_| Err(fault()));
    let policies = [PoolPolicies {
        analyzers: vec![bound(vec![broken, content()])],
        optimizer: bound(vec![plans(|_, _| 1)]),
    }];
    assert_eq!(
        desired(&tick(&seen, &policies, &mut Memory::default())),
        [[4]]
    );
}

#[test]
fn a_refusal_ends_the_call_and_holds() {
    for (refusal, reason) in [
        (
            Refusal::Settings("`target` is negative".into()),
            condition::SETTINGS_INVALID,
        ),
        (
            Refusal::InsufficientData("no data".into()),
            condition::INSUFFICIENT_DATA,
        ),
        (Refusal::Internal("lost".into()), condition::POLICY_REFUSED),
    ] {
        let seen = snapshot(vec![pool("a", vec![variant("v", 4)])]);
        let refusing = {
            let refusal = refusal.clone();
            analyzer("refusing", "1", move |_| {
                Err(CallError::Refused(refusal.clone()))
            })
        };
        let policies = [PoolPolicies {
            analyzers: vec![bound(vec![refusing, content()])],
            optimizer: bound(vec![plans(|_, _| 9)]),
        }];
        let decisions = tick(&seen, &policies, &mut Memory::default());
        assert_eq!(desired(&decisions), [[4]]);
        assert_eq!(
            decisions[0].analyses[0].call.refusal.as_ref(),
            Some(&refusal)
        );
        assert!(has(&decisions[0], reason) && has(&decisions[0], condition::NO_ANALYSIS));
    }
}

#[test]
fn beside_a_refusal_the_others_may_raise_but_not_lower() {
    let counts = |wanted| {
        let seen = snapshot(vec![pool("a", vec![variant("v", 4)])]);
        let mut policies = policies(&content(), &plans(move |_, _| wanted));
        policies
            .analyzers
            .push(bound(vec![analyzer("refusing", "1", |_| Err(refused()))]));
        desired(&tick(&seen, &[policies], &mut Memory::default()))[0][0]
    };
    assert_eq!((counts(1), counts(6)), (4, 6));
}

#[test]
fn an_analyzer_without_stages_abstains() {
    let seen = snapshot(vec![pool("a", vec![variant("v", 4)])]);
    let silent = || analyzer("silent", "1", |_| Ok(analysis(Vec::new())));
    let mut both = policies(&content(), &plans(|_, _| 1));
    both.analyzers.push(bound(vec![silent()]));
    assert_eq!(
        desired(&tick(&seen, &[both], &mut Memory::default())),
        [[1]]
    );

    let alone = policies(&silent(), &plans(|_, _| 1));
    let decisions = tick(&seen, &[alone], &mut Memory::default());
    assert_eq!(desired(&decisions), [[4]]);
    assert!(has(&decisions[0], condition::NO_ANALYSIS));
}

#[test]
fn three_faults_keep_a_policy_from_being_called_until_its_trial() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = {
        let calls = Arc::clone(&calls);
        optimizer("new", "1", move |requests| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            if call < 3 {
                Err(fault())
            } else {
                Ok(plan(requests, &|_, _| 7))
            }
        })
    };
    let policies = [with_optimizers(vec![counted, plans(|_, _| 4)])];
    let mut seen = snapshot(vec![pool("a", vec![variant("v", 4)])]);
    let mut memory = Memory::default();
    let mut counts = Vec::new();
    for _ in 0..8 {
        let decisions = tick(&seen, &policies, &mut memory);
        counts.push((desired(&decisions)[0][0], calls.load(Ordering::Relaxed)));
        seen.now_ms += 15_000;
    }
    let open = [(4, 3), (4, 3), (4, 3)];
    assert_eq!(counts[..2], [(4, 1), (4, 2)]);
    assert_eq!(counts[2..6], [(4, 3), open[0], open[1], open[2]]);
    assert_eq!(
        counts[6..],
        [(7, 4), (7, 5)],
        "sixty seconds later it is tried, and answers"
    );
}

#[test]
fn a_policy_that_always_faults_costs_few_calls() {
    let calls = Arc::new(AtomicU32::new(0));
    let broken = {
        let calls = Arc::clone(&calls);
        analyzer("broken", "1", move |_| {
            calls.fetch_add(1, Ordering::Relaxed);
            Err(fault())
        })
    };
    let pools = (0..500)
        .map(|n| pool(&format!("p{n:03}"), vec![variant("v", 1)]))
        .collect();
    let seen = snapshot(pools);
    let policies = vec![policies(&broken, &plans(|_, _| 1)); 500];
    let decisions = tick(&seen, &policies, &mut Memory::default());
    assert_eq!(calls.load(Ordering::Relaxed), 64);
    assert!(
        decisions
            .iter()
            .all(|decision| has(decision, condition::POLICY_FAULT))
    );
}

#[test]
fn settings_go_to_versions_of_the_bound_policy_only() {
    let echo = |name: &str, version: &str| -> Arc<dyn Optimizer> {
        let answer = |context: &Context, _: &[Request], _: &Limits| {
            Err(CallError::Fault(trimtab_core::policies::Fault {
                kind: trimtab_core::policies::FaultKind::Trap,
                message: context.settings.clone(),
            }))
        };
        Arc::new(Fake::new(name, version, answer))
    };
    let rungs = vec![echo("mine", "2"), echo("mine", "1"), echo("built-in", "1")];
    let mut policies = with_optimizers(Vec::new());
    policies.optimizer = Bound::new(rungs, "{\"a\":1}");
    let seen = snapshot(vec![pool("a", vec![variant("v", 1)])]);
    let decisions = tick(&seen, &[policies], &mut Memory::default());
    let seen_settings: Vec<_> = decisions[0]
        .plan
        .call
        .faults
        .iter()
        .map(|rung| rung.fault.as_ref().unwrap().message.as_str())
        .collect();
    assert_eq!(seen_settings, ["{\"a\":1}", "{\"a\":1}", "{}"]);
}

#[test]
fn pools_that_share_an_optimizer_are_planned_in_one_call() {
    let sizes = Arc::new(std::sync::Mutex::new(Vec::new()));
    let counted = {
        let sizes = Arc::clone(&sizes);
        optimizer("shared", "1", move |requests| {
            let names: Vec<_> = requests
                .iter()
                .map(|request| request.pool.name.clone())
                .collect();
            sizes.lock().unwrap().push(names);
            Ok(plan(requests, &|_, _| 1))
        })
    };
    let seen = snapshot(
        ["c", "a", "b"]
            .map(|name| pool(name, vec![variant("v", 1)]))
            .to_vec(),
    );
    let mut policies = vec![policies(&content(), &counted); 3];
    policies[2].optimizer.settings = "{\"own\":true}".into();
    let decisions = tick(&seen, &policies, &mut Memory::default());
    let mut calls = sizes.lock().unwrap().clone();
    calls.sort();
    assert_eq!(calls, [vec!["a", "c"], vec!["b"]]);
    assert_eq!(decisions[0].pool, "c");
    assert_eq!(decisions[0].plan.notes[0].text, "exact");
}

#[test]
fn where_the_bound_policy_is_not_there_its_stand_in_may_raise_and_not_lower() {
    let seen = snapshot(vec![pool("a", vec![variant("v", 4), variant("w", 1)])]);
    let mut policies = with_optimizers(vec![plans(|_, variant| if variant == 0 { 1 } else { 3 })]);
    policies.optimizer.absent = Some("ScalingPolicy default/mine does not exist".into());
    let mut beside = pool("b", vec![variant("v", 4)]);
    beside.pool.namespace = "default".into();
    let seen = Snapshot {
        pools: vec![seen.pools[0].clone(), beside],
        ..seen
    };
    let present = with_optimizers(vec![plans(|_, variant| if variant == 0 { 1 } else { 3 })]);
    let decisions = tick(&seen, &[policies, present], &mut Memory::default());
    assert_eq!(desired(&decisions), [vec![4, 3], vec![1]]);
    let told = &decisions[0].conditions[0];
    assert_eq!(told.reason, condition::POLICY_UNAVAILABLE);
    assert_eq!(
        told.message,
        "optimizer: ScalingPolicy default/mine does not exist; `plans` 1 answered in place of the \
         bound version"
    );
    assert!(!has(&decisions[1], condition::POLICY_UNAVAILABLE));
}

#[test]
fn versions_that_answered_and_versions_that_faulted_at_once_are_told_apart() {
    let seen = snapshot(vec![pool("a", vec![variant("v", 2)])]);
    let policies = [with_optimizers(vec![faulty("new"), plans(|_, _| 4)])];
    let mut memory = Memory::default();
    for ticks in 1..=3 {
        let _ = tick(&seen, &policies, &mut memory);
        assert_eq!(memory.failed().len(), usize::from(ticks == 3));
    }
    let names = |of: std::collections::BTreeSet<trimtab_core::policies::Version>| {
        of.into_iter()
            .map(|version| version.digest.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(memory.failed()), ["sha256:new-1"]);
    assert_eq!(names(memory.good()), ["sha256:content-1", "sha256:plans-1"]);
}
