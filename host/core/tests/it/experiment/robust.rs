//! What must not harm an experiment: nonsense, clocks that go back, restarts.

use proptest::prelude::*;
use trimtab_core::experiment::{Arm, Experiment, Phase, Record, Report, StopIf, arm};
use trimtab_core::snapshot::PoolSnapshot;

use super::{SLOT, Trial, replicas};
use crate::fleet::{pool, variant};

#[test]
fn a_guard_rail_that_is_no_finite_number_ends_nothing() {
    for nonsense in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut trial = Trial::new();
        trial.rules.stop_if = StopIf {
            attainment_below: Some(nonsense),
            cost_above_ratio: Some(nonsense),
        };
        trial.saving_until(12 * SLOT);
        assert_eq!(trial.record.report().phase, Phase::Done, "{nonsense}");
    }
}

#[test]
fn rules_that_make_no_sense_run_nothing() {
    let lengths = [
        (0.0, 0.0),
        (-600.0, -700.0),
        (f64::NAN, 0.0),
        (600.0, f64::NAN),
        (600.0, -1.0),
        (600.0, 600.0),
        (600.0, 601.0),
        (f64::INFINITY, 0.0),
        (1e-5, 0.0),
    ];
    for (slot, washout) in lengths {
        let mut trial = Trial::new();
        trial.rules.slot_seconds = slot;
        trial.rules.washout_seconds = washout;
        for second in [0, 30, 60, 3600] {
            assert_eq!(trial.at(second), None, "{slot} and {washout}");
        }
        assert_eq!(trial.record.report().phase, Phase::Waiting);
        assert_eq!(trial.record, Record::default());
    }
}

#[test]
fn a_clock_that_goes_back_counts_no_time_twice() {
    let mut straight = Trial::new();
    straight.saving_until(2 * SLOT);
    let mut back = Trial::new();
    back.saving_until(SLOT + 300);
    // Neither the first slot nor the seconds until 900 come again.
    back.replicas(70);
    for second in [0, 30, SLOT + 210, SLOT + 240, SLOT + 270, SLOT + 300] {
        let given = back.at(second);
        assert_eq!(given, Some(arm(back.rules.seed, 1)));
    }
    back.saving_until(2 * SLOT);
    assert_eq!(back.record.report().cost, straight.record.report().cost);
    assert_eq!(back.record, straight.record);
}

#[test]
fn a_record_is_small_and_goes_on_after_it_was_written_and_read() {
    let mut trial = Trial::new();
    trial.rules.identity = "sha256:".repeat(100);
    let mut uneven = |trial: &mut Trial, arm, into_slot: u64| {
        let noise = (trial.now * 7919 % 1013) as f64 / 1013.0;
        trial.replicas(replicas(arm) + (into_slot / 100) as u32);
        trial.rate(Some(10.0 + noise));
        trial.ttft(Some(0.6 + noise / 2.0));
    };
    trial.until(9 * SLOT - 90, &mut uneven);
    let written = serde_json::to_string(&trial.record).unwrap();
    assert!(written.len() < 600, "{}: {written}", written.len());
    let mut resumed = Trial {
        rules: trial.rules.clone(),
        record: serde_json::from_str(&written).unwrap(),
        seen: trial.seen.clone(),
        ..trial
    };
    assert_eq!(resumed.record, trial.record);
    trial.until(12 * SLOT, &mut uneven);
    resumed.until(12 * SLOT, &mut uneven);
    assert_eq!(resumed.record, trial.record);
    let report = trial.record.report();
    assert_eq!(report.attainment.pairs, 6);
    let written = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&written).unwrap(), report);
}

#[test]
fn rules_are_written_in_kebab_case_and_each_has_a_default() {
    let rules: Experiment =
        serde_json::from_str(r#"{"identity": "b", "stop-if": {"attainment-below": 0.9}}"#).unwrap();
    let right = Experiment {
        identity: "b".into(),
        stop_if: StopIf {
            attainment_below: Some(0.9),
            cost_above_ratio: None,
        },
        ..Experiment::default()
    };
    assert_eq!(rules, right);
    assert_eq!((rules.slot_seconds, rules.washout_seconds), (1800.0, 600.0));
    let written = serde_json::to_string(&rules).unwrap();
    assert_eq!(serde_json::from_str::<Experiment>(&written).unwrap(), rules);
    assert_eq!(
        serde_json::to_string(&Arm::Candidate).unwrap(),
        r#""candidate""#
    );
    assert_eq!(Arm::Control.to_string(), "control");
}

const NONSENSE: proptest::num::f64::Any = proptest::num::f64::ANY;

/// Mostly sense, so that experiments get somewhere.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.0..10.0_f64, 1 => any::<f64>(), 1 => NONSENSE]
}

fn seen() -> impl Strategy<Value = PoolSnapshot> {
    let measured = (
        proptest::option::of(number()),
        proptest::option::of(number()),
    );
    (any::<u32>(), number(), measured).prop_map(|(replicas, cost, (rate, ttft))| {
        let mut seen = pool("a", vec![variant("v", 1)]);
        seen.pool.variants[0].current_replicas = replicas;
        seen.pool.variants[0].cost = cost;
        seen.pool.workload.request_rate = rate;
        seen.pool.workload.ttft_at_percentile = ttft;
        seen
    })
}

fn rules() -> impl Strategy<Value = Experiment> {
    let lengths = prop_oneof![8 => Just((4.0, 1.0)), 1 => (NONSENSE, NONSENSE)];
    let ends = (0..100_u32, proptest::option::of(any::<u64>()));
    let stops = (
        proptest::option::of(number()),
        proptest::option::of(number()),
    );
    (any::<u64>(), lengths, ends, stops).prop_map(|(seed, lengths, ends, stops)| Experiment {
        identity: String::new(),
        seed,
        slot_seconds: lengths.0,
        washout_seconds: lengths.1,
        max_slots: ends.0,
        until_ms: ends.1,
        stop_if: StopIf {
            attainment_below: stops.0,
            cost_above_ratio: stops.1,
        },
    })
}

proptest! {
    #[test]
    fn whatever_is_seen_an_experiment_ends_and_its_record_can_be_read_again(
        rules in rules(),
        ticks in proptest::collection::vec((seen(), prop_oneof![9 => 0..2_000_u64, 1 => any::<u64>()]), 1..60),
        period in prop_oneof![4 => Just(1.0), 1 => NONSENSE],
    ) {
        let mut record = Record::default();
        let mut now_ms = 0_u64;
        for (seen, step) in ticks {
            now_ms = now_ms.wrapping_add(step);
            let given = record.tick(&rules, &seen, now_ms, period);
            let is_running = matches!(record.report().phase, Phase::Running { .. });
            prop_assert_eq!(given.is_some(), is_running);
            let written = serde_json::to_string(&record).unwrap();
            let read: Record = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(&read, &record);
        }
        let report = record.report();
        for effect in [report.cost, report.attainment] {
            if let Some([low, high]) = effect.interval {
                prop_assert!(low.is_finite() && high.is_finite() && low <= high);
            }
        }
        let over = record.tick(&rules, &pool("a", vec![variant("v", 1)]), u64::MAX, period);
        prop_assert!(over.is_none() || rules.slot_seconds > 1e17);
    }
}
