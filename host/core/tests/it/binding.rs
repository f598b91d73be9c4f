//! Who decides: the pool's own policies, or in its turn the candidate of an experiment.

use trimtab_core::binding::{Binding, Trial, decide};
use trimtab_core::decision::{Condition, PoolDecision, condition};
use trimtab_core::experiment::{Arm, Experiment, Phase, arm};
use trimtab_core::memory::Memory;
use trimtab_core::policies::PoolPolicies;
use trimtab_core::snapshot::Snapshot;

use crate::fleet::*;

const SLOT_SECONDS: u64 = 600;

fn own() -> PoolPolicies {
    policies(&content(), &plans(|_, _| 2))
}

fn candidate() -> PoolPolicies {
    let plans = optimizer("candidate", "1", |requests| Ok(plan(requests, &|_, _| 4)));
    policies(&content(), &plans)
}

fn tried(candidate: Option<PoolPolicies>) -> Binding {
    let rules = Experiment {
        identity: "a against b".into(),
        slot_seconds: SLOT_SECONDS as f64,
        washout_seconds: 60.0,
        max_slots: 8,
        ..Experiment::default()
    };
    Binding {
        trial: Some(Trial { rules, candidate }),
        ..own().into()
    }
}

/// A pool at the minute `minute`.
fn at(minute: u64) -> Snapshot {
    let mut seen = snapshot(vec![pool("a", vec![variant("v", 2)])]);
    seen.now_ms += minute * 60_000;
    seen.period_seconds = 60.0;
    seen
}

fn once(minute: u64, binding: &Binding, memory: &mut Memory) -> PoolDecision {
    decide(&at(minute), std::slice::from_ref(binding), memory).remove(0)
}

fn planned_by(decision: &PoolDecision) -> &str {
    &decision.plan.call.answered_by.as_ref().unwrap().digest.0
}

#[test]
fn each_slot_is_decided_by_the_policies_of_its_arm_and_the_decision_says_which() {
    let (binding, mut memory) = (tried(Some(candidate())), Memory::default());
    for minute in 0..80 {
        let decision = once(minute, &binding, &mut memory);
        let expected = arm(0, minute * 60 / SLOT_SECONDS);
        assert_eq!(decision.arm, Some(expected), "minute {minute}");
        let (digest, desired) = match expected {
            Arm::Control => ("sha256:plans-1", 2),
            Arm::Candidate => ("sha256:candidate-1", 4),
        };
        assert_eq!(planned_by(&decision), digest);
        assert_eq!(decision.variants[0].desired, desired);
    }
    let over = once(81, &binding, &mut memory);
    assert_eq!((over.arm, planned_by(&over)), (None, "sha256:plans-1"));
    let report = memory.experiment("default", "a").unwrap();
    assert_eq!((report.phase, report.cost.pairs), (Phase::Done, 4));
}

#[test]
fn while_the_candidate_is_not_there_the_pools_own_decide_and_the_result_stays() {
    let mut memory = Memory::default();
    for minute in 0..45 {
        let _ = once(minute, &tried(Some(candidate())), &mut memory);
    }
    let before = memory.experiment("default", "a").unwrap();
    let waiting = once(45, &tried(None), &mut memory);
    assert_eq!(
        (waiting.arm, planned_by(&waiting)),
        (None, "sha256:plans-1")
    );
    assert_eq!(memory.experiment("default", "a").unwrap(), before);
}

#[test]
fn an_experiment_that_is_taken_away_is_forgotten() {
    let mut memory = Memory::default();
    let _ = once(0, &tried(Some(candidate())), &mut memory);
    assert!(memory.experiment("default", "a").is_some());
    let _ = once(1, &own().into(), &mut memory);
    assert_eq!(memory.experiment("default", "a"), None);
}

#[test]
fn an_experiment_goes_on_after_a_restart() {
    let (binding, mut memory) = (tried(Some(candidate())), Memory::default());
    for minute in 0..25 {
        let _ = once(minute, &binding, &mut memory);
    }
    let kept = serde_json::to_string(&memory).unwrap();
    let mut restored: Memory = serde_json::from_str(&kept).unwrap();
    for minute in 25..80 {
        let decision = once(minute, &binding, &mut memory);
        assert_eq!(once(minute, &binding, &mut restored), decision);
    }
    assert_eq!(restored, memory);
}

#[test]
fn what_an_operator_should_know_of_the_binding_stands_in_each_decision() {
    let told = Condition::new(condition::POLICY_ROLLED_BACK, "version 2 faulted");
    let binding = Binding {
        conditions: vec![told.clone()],
        ..own().into()
    };
    let decision = once(0, &binding, &mut Memory::default());
    assert!(decision.conditions.contains(&told));
    assert_eq!(decision.arm, None);
}
