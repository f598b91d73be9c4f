//! Answers that pass the sandbox and lie: the core catches them, and nothing moves for it.

use trimtab_core::decision::PoolDecision;
use trimtab_core::memory::Memory;
use trimtab_core::policies::{Bound, FaultKind, PoolPolicies};
use trimtab_core::tick::tick;
use trimtab_tests::fleet;

use super::given::{GUEST, behaviour};

/// One tick of one pool under the hostile guest, with these settings for its two roles.
fn decide(analyzer: &str, optimizer: &str) -> PoolDecision {
    let policies = PoolPolicies {
        analyzers: vec![Bound::new(vec![GUEST.analyzer().unwrap()], analyzer)],
        optimizer: Bound::new(vec![GUEST.optimizer().unwrap()], optimizer),
    };
    let snapshot = fleet::snapshot(1, 2, 3, 0);
    let mut decisions = tick(&snapshot, &[policies], &mut Memory::default());
    decisions.remove(0)
}

#[track_caller]
fn nothing_moves(decision: &PoolDecision) {
    for variant in &decision.variants {
        assert_eq!(variant.desired, 3, "{decision:?}");
    }
}

fn faults(call: &trimtab_core::decision::Call) -> Vec<FaultKind> {
    call.faults
        .iter()
        .filter_map(|rung| rung.fault.as_ref())
        .map(|fault| fault.kind)
        .collect()
}

#[test]
fn a_guest_that_behaves_is_followed() {
    let decision = decide("{}", "{}");
    assert_eq!(faults(&decision.analyses[0].call), []);
    assert_eq!(faults(&decision.plan.call), []);
    assert!(decision.plan.call.answered_by.is_some());
    nothing_moves(&decision);
}

#[test]
fn not_a_number_is_an_invalid_answer() {
    let decision = decide(&behaviour("not-a-number", 0), "{}");
    assert_eq!(
        faults(&decision.analyses[0].call),
        [FaultKind::InvalidAnswer]
    );
    nothing_moves(&decision);
}

#[test]
fn an_analysis_of_variants_that_do_not_exist_is_invalid() {
    let decision = decide(&behaviour("wrong-indices", 0), "{}");
    assert_eq!(
        faults(&decision.analyses[0].call),
        [FaultKind::InvalidAnswer]
    );
    nothing_moves(&decision);
}

#[test]
fn a_plan_for_variants_that_do_not_exist_is_invalid() {
    let decision = decide("{}", &behaviour("wrong-indices", 0));
    assert_eq!(faults(&decision.plan.call), [FaultKind::InvalidAnswer]);
    nothing_moves(&decision);
}

#[test]
fn a_plan_with_targets_twice_is_invalid() {
    // Twice as long as it should be, which is within what the sandbox lets through.
    let decision = decide("{}", &behaviour("twice", 0));
    assert_eq!(faults(&decision.plan.call), [FaultKind::InvalidAnswer]);
    nothing_moves(&decision);
}

#[test]
fn faults_of_the_sandbox_stand_in_the_decision() {
    let analyzer = decide(&behaviour("panic", 0), "{}");
    assert_eq!(faults(&analyzer.analyses[0].call), [FaultKind::Trap]);
    nothing_moves(&analyzer);
    let optimizer = decide("{}", &behaviour("huge-string", 10 << 20));
    assert_eq!(faults(&optimizer.plan.call), [FaultKind::OversizedResult]);
    nothing_moves(&optimizer);
}
