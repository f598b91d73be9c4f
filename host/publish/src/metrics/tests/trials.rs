//! Candidates in shadow, experiments, and stand-ins, as a scrape reads them.

use trimtab_core::decision::{Analyzed, Answerer, RungFault};
use trimtab_core::experiment::{Arm, ArmReport, Effect, Phase};
use trimtab_core::policies::Digest;

use super::*;

/// What the candidate `candidate` of the pool `p` would ask for; `None` where it was not asked.
pub(super) fn shadowed(candidate: &str, desired: Option<u32>) -> Shadowed {
    let proposal = desired.map(|desired| pool("p", vec![variant("a", 2, 2, desired)]));
    let written = serde_json::json!({
        "namespace": "prod",
        "pool": "p",
        "candidate": candidate,
        "proposal": proposal,
    });
    serde_json::from_value(written).unwrap()
}

pub(super) fn report() -> Report {
    let effect = Effect {
        pairs: 12,
        estimate: Some(-1.5),
        standard_error: Some(0.4),
        degrees_of_freedom: Some(10),
        interval: Some([-2.4, -0.6]),
    };
    Report {
        phase: Phase::Running {
            slot: 25,
            arm: Arm::Candidate,
            washing_out: false,
        },
        control: ArmReport::default(),
        candidate: ArmReport::default(),
        cost: effect,
        attainment: Effect::default(),
    }
}

fn of(candidate: &str) -> String {
    format!(r#"{{namespace="prod",pool="p",candidate="{candidate}""#)
}

#[test]
fn a_candidate_is_shown_beside_what_is_asked_for() {
    let registry = registry();
    let decisions = [pool("p", vec![variant("a", 2, 2, 4)])];
    let shadows = [
        shadowed("more", Some(7)),
        shadowed("same", Some(4)),
        shadowed("late", None),
    ];
    registry.shadows(&shadows, &decisions, 0.25);
    let read = |name: &str, candidate: &str, rest: &str| {
        value(&registry, &format!("{name}{}{rest}}}", of(candidate)))
    };
    let variant = r#",variant="a""#;
    assert_eq!(
        read("trimtab_shadow_desired_replicas", "more", variant),
        Some(7.0)
    );
    assert_eq!(
        read("trimtab_shadow_difference_replicas", "more", variant),
        Some(3.0)
    );
    assert_eq!(
        read("trimtab_shadow_difference_replicas", "same", variant),
        Some(0.0)
    );
    assert_eq!(
        read("trimtab_shadow_desired_replicas", "late", variant),
        None
    );
    assert_eq!(
        read("trimtab_shadow_ticks_total", "late", r#",result="skipped""#),
        Some(1.0)
    );
    assert_eq!(value(&registry, "trimtab_shadow_seconds_total"), Some(0.25));
    registry.shadows(&[shadowed("more", Some(4))], &decisions, 0.25);
    assert_eq!(value(&registry, "trimtab_shadow_seconds_total"), Some(0.5));
    let rate = format!("trimtab_shadow_disagreement_ratio{}}}", of("more"));
    assert_eq!(value(&registry, &rate), Some(0.5));
    assert_eq!(
        series(&registry, "trimtab_shadow_ticks_total").len(),
        2,
        "others are gone"
    );
}

#[test]
fn who_stands_in_for_whom_is_a_rung() {
    let registry = registry();
    let mut decision = pool("p", vec![variant("a", 1, 1, 1)]);
    let answered = |rung: usize, absent: Option<&str>| Analyzed {
        call: Call {
            answered_by: Some(Answerer {
                name: "x".to_owned(),
                version: "1".to_owned(),
                digest: Digest("sha256:1".to_owned()),
                rung,
            }),
            absent: absent.map(str::to_owned),
            ..Call::default()
        },
        stages: Vec::new(),
        notes: Vec::new(),
    };
    let mut nobody = answered(0, None);
    nobody.call.answered_by = None;
    nobody.call.faults = vec![RungFault {
        digest: Digest("sha256:1".to_owned()),
        fault: None,
    }];
    let rung = |registry: &Registry| {
        let of = r#"trimtab_policy_rung{namespace="prod",pool="p",role="analyzer"}"#;
        value(registry, of)
    };
    registry.trials(&[decision.clone()], |_| None);
    assert_eq!(rung(&registry), None);
    for (analyses, expected) in [
        (vec![answered(0, None)], 0.0),
        (vec![answered(0, None), answered(2, None)], 2.0),
        (vec![answered(0, Some("it is gone"))], 1.0),
        (vec![answered(0, None), nobody.clone()], -1.0),
    ] {
        decision.analyses = analyses;
        registry.trials(&[decision.clone()], |_| None);
        assert_eq!(rung(&registry), Some(expected));
    }
}

#[test]
fn an_experiment_shows_its_arm_and_what_it_found_so_far() {
    let registry = registry();
    let mut decision = pool("p", vec![variant("a", 1, 1, 1)]);
    decision.arm = Some(Arm::Candidate);
    registry.trials(&[decision.clone()], |_| Some(report()));
    let read = |rest: &str| {
        value(
            &registry,
            &format!(
                r#"{}namespace="prod",pool="p",{rest}}}"#,
                "trimtab_experiment_arm{"
            ),
        )
    };
    assert_eq!(read(r#"arm="candidate""#), Some(1.0));
    assert_eq!(read(r#"arm="control""#), Some(0.0));
    let effect = |bound: &str| {
        let of = format!(
            r#"trimtab_experiment_effect{{namespace="prod",pool="p",figure="cost",bound="{bound}"}}"#
        );
        value(&registry, &of)
    };
    assert_eq!(
        [effect("low"), effect("estimate"), effect("high")],
        [Some(-2.4), Some(-1.5), Some(-0.6)]
    );
    assert_eq!(
        series(&registry, "trimtab_experiment_effect").len(),
        3,
        "what is not known is left out"
    );
    registry.trials(&[decision], |_| None);
    assert!(series(&registry, "trimtab_experiment_arm").is_empty());
}
