//! Calls that misbehave at run time. After each, the same policy and the host are well.

use trimtab_contract::{Knowledge, KnowledgeSource, Limits as Supply, Refusal, Request};
use trimtab_core::policies::{CallError, FaultKind};
use trimtab_sandbox::{Limits, Policy, Sandbox, SandboxConfig, Scaled};

use super::given::{
    GUEST, HOSTILE, analyze, analyze_pool, behaviour, context, fault, optimize, pool, replicas,
    with_limits,
};

/// Limits under which nothing takes long.
fn tight() -> Limits {
    Limits {
        fuel: Scaled::new(50_000_000, 0, 0),
        ..Limits::default()
    }
}

/// Both roles fail in the same way, say so, and the next call is answered.
#[track_caller]
fn fails(policy: &Policy, settings: &str, kind: FaultKind, says: &str) {
    let faults = [
        fault(analyze(policy, settings)),
        fault(optimize(policy, settings)),
    ];
    for fault in faults {
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(fault.message.contains(says), "{fault}");
    }
    is_well(policy);
    is_well(&GUEST);
}

#[track_caller]
fn is_well(policy: &Policy) {
    let analysis = analyze(policy, "{}")
        .answer
        .expect("the next call is answered");
    assert_eq!(
        analysis.state,
        [7, 7, 7, 1],
        "an instance remembers an earlier call"
    );
    assert_eq!(analysis.stages[0].capacities.len(), 2);
    let plan = optimize(policy, "{}")
        .answer
        .expect("the next call is answered");
    assert_eq!(
        plan.targets
            .iter()
            .map(|target| target.replicas)
            .collect::<Vec<_>>(),
        [3, 3]
    );
}

#[test]
fn an_endless_loop_runs_out_of_fuel() {
    let policy = with_limits(tight());
    fails(
        &policy,
        &behaviour("endless-loop", 0),
        FaultKind::OutOfFuel,
        "50000000 of fuel",
    );
}

#[test]
fn an_endless_loop_with_endless_fuel_meets_the_deadline() {
    let policy = with_limits(Limits {
        fuel: Scaled::new(u64::MAX / 2, 0, 0),
        deadline_ms: Scaled::new(50, 0, 0),
        ..Limits::default()
    });
    fails(
        &policy,
        &behaviour("endless-loop", 0),
        FaultKind::Deadline,
        "longer than 50 ms",
    );
}

#[test]
fn a_memory_bomb_is_out_of_memory() {
    let policy = with_limits(Limits {
        memory_bytes: Scaled::new(16 << 20, 0, 0),
        ..Limits::default()
    });
    let settings = behaviour("memory-bomb", 0);
    fails(
        &policy,
        &settings,
        FaultKind::OutOfMemory,
        "16777216 bytes for",
    );
    assert!(analyze(&policy, &settings).stats.peak_memory_bytes <= 16 << 20);
}

#[test]
fn a_guest_that_copes_with_denied_memory_is_answered() {
    let settings = behaviour("careful-greed", 1 << 30);
    assert!(analyze(&GUEST, &settings).answer.is_ok());
}

#[test]
fn deep_recursion_is_a_trap() {
    fails(
        &GUEST,
        &behaviour("deep-recursion", 0),
        FaultKind::Trap,
        "call stack exhausted",
    );
}

#[test]
fn a_panic_is_a_trap_with_the_guests_backtrace() {
    fails(
        &GUEST,
        &behaviour("panic", 0),
        FaultKind::Trap,
        "unreachable",
    );
    let fault = fault(analyze(&GUEST, &behaviour("panic", 0)));
    assert!(
        fault
            .message
            .contains("\n  in trimtab_hostile_guest::behaviour::fail"),
        "{fault}"
    );
    assert!(fault.message.contains("#analyze"), "{fault}");
}

#[test]
fn a_huge_list_is_an_oversized_result() {
    let settings = behaviour("huge-list", 100);
    fails(&GUEST, &settings, FaultKind::OversizedResult, "more than");
}

#[test]
fn a_huge_string_is_an_oversized_result() {
    let settings = behaviour("huge-string", 2 << 20);
    fails(&GUEST, &settings, FaultKind::OversizedResult, "more than");
}

#[test]
fn a_huge_refusal_is_an_oversized_result() {
    let settings = behaviour("huge-refusal", 2 << 20);
    fails(&GUEST, &settings, FaultKind::OversizedResult, "more than");
}

#[test]
fn a_state_over_its_cap_is_too_large() {
    // The base and two variants; an analyzer has six replicas more.
    let cap = (256 << 10) + 2 * (16 << 10);
    let settings = behaviour("large-state", cap + 6 * 1_024 + 1);
    fails(
        &GUEST,
        &settings,
        FaultKind::StateTooLarge,
        "state of 301057 bytes",
    );
    assert!(
        optimize(&GUEST, &behaviour("large-state", cap))
            .answer
            .is_ok()
    );
}

#[test]
fn a_refusal_is_an_answer_and_no_fault() {
    let refused = CallError::Refused(Refusal::InsufficientData("refuses on demand".into()));
    let settings = behaviour("refuse", 0);
    assert_eq!(analyze(&GUEST, &settings).answer.unwrap_err(), refused);
    assert_eq!(optimize(&GUEST, &settings).answer.unwrap_err(), refused);
    let unknown = analyze(&GUEST, r#"{"behavior":1}"#).answer.unwrap_err();
    assert!(
        matches!(unknown, CallError::Refused(Refusal::Settings(_))),
        "{unknown:?}"
    );
}

#[test]
fn the_same_call_uses_the_same_fuel() {
    let settings = behaviour("work", 10_000);
    let first = analyze(&GUEST, &settings).stats.fuel;
    assert!(first > 10_000);
    assert_eq!(analyze(&GUEST, &settings).stats.fuel, first);
    assert_eq!(analyze(&with_limits(tight()), &settings).stats.fuel, first);
}

#[test]
fn a_bigger_pool_has_a_bigger_budget() {
    let policy = with_limits(Limits {
        fuel: Scaled::new(60_000, 0, 10_000),
        ..Limits::default()
    });
    let settings = behaviour("work", 100_000);
    let small = fault(analyze_pool(&policy, &settings, &pool(1), &replicas(1)));
    assert_eq!(small.kind, FaultKind::OutOfFuel);
    let big = analyze_pool(&policy, &settings, &pool(1), &replicas(300));
    assert!(big.answer.is_ok(), "{:?}", big.answer);
}

#[test]
fn what_is_remembered_or_learned_brings_its_own_budget() {
    let policy = with_limits(Limits {
        fuel: Scaled::new(60_000, 0, 0).per_memory_kib(20_000),
        ..Limits::default()
    });
    let analyzer = policy.sandboxed_analyzer().unwrap();
    let call = |state: usize, learned: usize| {
        let mut context = context(&behaviour("work", 100_000));
        context.state = vec![9; state];
        let known = Knowledge {
            model: "llama-8b".to_owned(),
            accelerator: "H100".to_owned(),
            gpus_per_replica: 1,
            engine: None,
            quantity: "iteration-base-seconds".to_owned(),
            value: 0.006,
            source: KnowledgeSource::Live,
            learned_at: 0,
        };
        let knowledge = vec![known; learned];
        analyzer.call(&context, &pool(1), &replicas(1), &knowledge)
    };
    assert_eq!(fault(call(0, 0)).kind, FaultKind::OutOfFuel);
    for (state, learned) in [(100_000, 0), (0, 1_000)] {
        let called = call(state, learned);
        assert!(called.answer.is_ok(), "{:?}", called.answer);
    }
}

#[test]
fn calls_from_several_threads_do_not_mix() {
    use rayon::prelude::*;

    let policy = with_limits(tight());
    let kinds = (0..64)
        .into_par_iter()
        .map(|number: usize| match number % 4 {
            0 => fault(analyze(&policy, &behaviour("endless-loop", 0))).kind,
            1 => fault(analyze(&policy, &behaviour("panic", 0))).kind,
            2 => fault(analyze(&policy, &behaviour("huge-list", 100))).kind,
            _ => {
                let analyzer = policy.sandboxed_analyzer().unwrap();
                let mut context = context("{}");
                context.state = vec![9; number];
                let analysis = analyzer
                    .call(&context, &pool(2), &replicas(6), &[])
                    .answer
                    .unwrap();
                context.state.push(1);
                assert_eq!(analysis.state, context.state);
                FaultKind::InvalidAnswer
            }
        });
    let expected = [
        FaultKind::OutOfFuel,
        FaultKind::Trap,
        FaultKind::OversizedResult,
        FaultKind::InvalidAnswer,
    ];
    for (number, kind) in kinds.collect::<Vec<_>>().into_iter().enumerate() {
        assert_eq!(kind, expected[number % 4]);
    }
    is_well(&policy);
}

#[test]
fn more_callers_than_places_wait_their_turn() {
    let settings = behaviour("work", 100_000);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..64)
            .map(|_| scope.spawn(|| analyze(&GUEST, &settings).answer.is_ok()))
            .collect();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
    });
}

#[test]
fn a_policy_outlives_its_sandbox() {
    let policy = {
        let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
        let limits = Limits {
            deadline_ms: Scaled::new(50, 0, 0),
            ..Limits::default()
        };
        let endless = Limits {
            fuel: Scaled::new(u64::MAX / 2, 0, 0),
            ..limits
        };
        sandbox.load(HOSTILE).unwrap().with_limits(endless)
    };
    fails(
        &policy,
        &behaviour("endless-loop", 0),
        FaultKind::Deadline,
        "longer than",
    );
}

#[test]
fn an_optimizer_sees_every_request() {
    let requests: Vec<Request> = (1..4)
        .map(|variants| Request {
            pool: pool(variants),
            stages: Vec::new(),
        })
        .collect();
    let supply = Supply {
        accelerators: None,
        budget: Some(100.0),
    };
    let optimizer = GUEST.optimizer().unwrap();
    let plan = optimizer
        .optimize(&context("{}"), &requests, &supply)
        .unwrap();
    let positions: Vec<_> = plan
        .targets
        .iter()
        .map(|t| (t.request, t.variant))
        .collect();
    assert_eq!(positions, [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]);
}
