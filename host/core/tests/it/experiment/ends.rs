//! When an experiment ends, and when another one begins.

use trimtab_core::experiment::{Arm, Experiment, Phase, Record, arm};

use super::{PERIOD, SLOT, Trial, WASHOUT};
use crate::fleet::NOW_MS;

#[test]
fn the_last_slot_of_an_odd_number_is_not_run() {
    let mut trial = Trial::new();
    trial.rules.max_slots = 3;
    trial.saving_until(2 * SLOT - PERIOD);
    assert!(trial.arm.is_some());
    assert_eq!(trial.at(2 * SLOT), None);
    let report = trial.record.report();
    assert_eq!((report.phase, report.cost.pairs), (Phase::Done, 1));

    let mut none = Trial::new();
    none.rules.max_slots = 1;
    assert_eq!(none.at(0), None);
    assert_eq!(none.record.report().phase, Phase::Done);
}

#[test]
fn at_its_end_it_is_over_and_the_result_stays() {
    let mut trial = Trial::new();
    trial.rules.until_ms = Some(NOW_MS + 3 * SLOT * 1000);
    trial.saving_until(3 * SLOT - PERIOD);
    assert!(trial.arm.is_some());
    assert_eq!(trial.at(3 * SLOT), None);
    let report = trial.record.report();
    assert_eq!((&report.phase, report.cost.pairs), (&Phase::Done, 1));
    trial.rules.until_ms = None;
    trial.replicas(70);
    assert_eq!(trial.at(4 * SLOT), None);
    assert_eq!(trial.record.report(), report);
}

#[test]
fn what_passes_after_its_end_counts_for_nothing() {
    let mut trial = Trial::new();
    let second = arm(trial.rules.seed, 1);
    trial.rules.until_ms = Some(NOW_MS + (SLOT + 400) * 1000);
    trial.until(SLOT + 390, |_, _, _| ());
    trial.replicas(66);
    assert_eq!(trial.at(SLOT + 450), None);
    let report = trial.record.report();
    let found = match second {
        Arm::Control => report.control,
        Arm::Candidate => report.candidate,
    };
    // 270 s of ten replicas, and of the last 60 s only 10.
    let right = (270.0 * 10.0 + 10.0 * 66.0) / 280.0;
    assert_eq!(found.cost_per_hour, Some(right));
}

#[test]
fn an_arm_that_attains_too_little_ends_it() {
    for culprit in [Arm::Control, Arm::Candidate] {
        let mut trial = Trial::new();
        trial.rules.stop_if.attainment_below = Some(0.9);
        trial.until(4 * SLOT, |trial, arm, _| {
            trial.ttft(Some(if arm == culprit { 2.0 } else { 0.5 }));
        });
        assert_eq!(trial.arm, None);
        let slot = u64::from(trial.first_arm() != culprit);
        let stopped = Phase::Stopped {
            arm: culprit,
            why: format!("attainment 0.0000 in slot {slot} is below 0.9"),
        };
        assert_eq!(trial.record.report().phase, stopped);
    }
}

#[test]
fn attainment_ends_nothing_before_a_quarter_of_the_slot_was_measured() {
    let mut trial = Trial::new();
    trial.rules.stop_if.attainment_below = Some(0.9);
    trial.ttft(Some(2.0));
    trial.until(WASHOUT + 90, |_, _, _| ());
    assert!(trial.at(WASHOUT + 119).is_some());
    assert_eq!(trial.at(WASHOUT + 120), None);
}

#[test]
fn a_candidate_that_costs_too_much_ends_it_after_four_pairs() {
    let mut trial = Trial::new();
    trial.rules.stop_if.cost_above_ratio = Some(1.1);
    let dear = |trial: &mut Trial, arm, _| {
        trial.replicas(if arm == Arm::Candidate { 12 } else { 10 });
    };
    trial.until(8 * SLOT - PERIOD, dear);
    assert_eq!((trial.pairs(), trial.arm.is_some()), (3, true));
    assert_eq!(trial.at(8 * SLOT), None);
    let report = trial.record.report();
    let stopped = Phase::Stopped {
        arm: Arm::Candidate,
        why: "cost is 1.2000 of the control's, above 1.1".into(),
    };
    assert_eq!((report.phase, report.cost.pairs), (stopped, 4));
    assert_eq!(report.cost.estimate, Some(2.0));

    let mut cheap = Trial::new();
    cheap.rules.stop_if.cost_above_ratio = Some(1.1);
    cheap.saving_until(12 * SLOT);
    assert_eq!(cheap.record.report().phase, Phase::Done);
}

#[test]
fn another_experiment_begins_anew() {
    type Change = fn(&mut Experiment);
    let another: [Change; 4] = [
        |rules| rules.identity.push('!'),
        |rules| rules.seed += 1,
        |rules| rules.slot_seconds += 1.0,
        |rules| rules.washout_seconds += 1.0,
    ];
    for change in another {
        let mut trial = Trial::new();
        trial.saving_until(5 * SLOT);
        assert_eq!(trial.pairs(), 2);
        change(&mut trial.rules);
        let given = trial.at(5 * SLOT + PERIOD);
        assert_eq!(given, Some(trial.first_arm()));
        let mut fresh = Record::default();
        let _ = fresh.tick(
            &trial.rules,
            &trial.seen,
            NOW_MS + (5 * SLOT + PERIOD) * 1000,
            PERIOD as f64,
        );
        assert_eq!(trial.record, fresh);
    }
    let same: [Change; 3] = [
        |rules| rules.max_slots += 2,
        |rules| rules.until_ms = Some(u64::MAX),
        |rules| rules.stop_if.attainment_below = Some(0.5),
    ];
    for change in same {
        let mut trial = Trial::new();
        trial.saving_until(5 * SLOT);
        change(&mut trial.rules);
        trial.saving_until(6 * SLOT);
        assert_eq!(trial.pairs(), 3);
    }
}
