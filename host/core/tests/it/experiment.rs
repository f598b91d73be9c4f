//! Experiments tick by tick: what counts for which arm, and when they end.

use proptest::prelude::*;
use trimtab_core::experiment::{Arm, Effect, Experiment, Phase, Record, StopIf, arm};
use trimtab_core::snapshot::{Mode, PoolSnapshot};

use crate::fleet::{NOW_MS, pool, variant};

const PERIOD: u64 = 30;
const SLOT: u64 = 600;
const WASHOUT: u64 = 120;

/// An experiment on a pool with a rate of one request per second and a bound on TTFT.
struct Trial {
    rules: Experiment,
    record: Record,
    seen: PoolSnapshot,
    /// Seconds since the beginning of the last tick, and what it answered.
    now: u64,
    arm: Option<Arm>,
}

impl Trial {
    fn new() -> Self {
        let mut trial = Self {
            rules: Experiment {
                identity: "candidate".into(),
                slot_seconds: SLOT as f64,
                washout_seconds: WASHOUT as f64,
                max_slots: 12,
                ..Experiment::default()
            },
            record: Record::default(),
            seen: pool("a", vec![variant("v", 10)]),
            now: 0,
            arm: None,
        };
        trial.ttft(Some(0.5));
        trial
    }

    fn replicas(&mut self, count: u32) {
        self.seen.pool.variants[0].current_replicas = count;
    }

    fn rate(&mut self, rate: Option<f64>) {
        self.seen.pool.workload.request_rate = rate;
    }

    fn ttft(&mut self, ttft: Option<f64>) {
        self.seen.pool.workload.ttft_at_percentile = ttft;
    }

    /// A tick at this many seconds.
    fn at(&mut self, seconds: u64) -> Option<Arm> {
        let now_ms = NOW_MS + seconds * 1000;
        let arm = self
            .record
            .tick(&self.rules, &self.seen, now_ms, PERIOD as f64);
        (self.now, self.arm) = (seconds, arm);
        arm
    }

    /// Ticks up to this many seconds. `world` is told the arm that was in force until each tick,
    /// and for how long.
    fn until(&mut self, seconds: u64, mut world: impl FnMut(&mut Self, Arm, u64)) {
        if self.arm.is_none() {
            self.at(self.now);
        }
        while self.now < seconds {
            let into_slot = (self.now % SLOT) + PERIOD;
            if let Some(arm) = self.arm {
                world(self, arm, into_slot);
            }
            self.at(self.now + PERIOD);
        }
    }

    /// The same, with eight replicas for the candidate and ten for the control.
    fn saving_until(&mut self, seconds: u64) {
        self.until(seconds, |trial, arm, _| trial.replicas(replicas(arm)));
    }

    fn first_arm(&self) -> Arm {
        arm(self.rules.seed, 0)
    }

    fn pairs(&self) -> u32 {
        self.record.report().cost.pairs
    }

    fn slots(&self) -> (u32, u32) {
        let report = self.record.report();
        (report.control.slots, report.candidate.slots)
    }
}

fn replicas(arm: Arm) -> u32 {
    match arm {
        Arm::Control => 10,
        Arm::Candidate => 8,
    }
}

#[test]
fn each_arm_gets_the_cost_of_its_own_slots_after_the_washout() {
    let mut trial = Trial::new();
    trial.until(12 * SLOT, |trial, arm, into_slot| {
        let washing_out = into_slot <= WASHOUT;
        trial.replicas(if washing_out { 90 } else { replicas(arm) });
    });
    let report = trial.record.report();
    assert_eq!(report.phase, Phase::Done);
    assert_eq!(report.control.cost_per_hour, Some(10.0));
    assert_eq!(report.candidate.cost_per_hour, Some(8.0));
    assert_eq!(trial.slots(), (6, 6));
    let right = Effect {
        pairs: 6,
        estimate: Some(-2.0),
        standard_error: Some(0.0),
        degrees_of_freedom: Some(4),
        interval: Some([-2.0, -2.0]),
    };
    assert_eq!(report.cost, right);
}

#[test]
fn the_arm_in_force_is_the_drawn_one_of_each_slot() {
    let mut trial = Trial::new();
    for slot in 0..12 {
        for second in [0, PERIOD, SLOT - PERIOD] {
            let given = trial.at(slot * SLOT + second);
            assert_eq!(given, Some(arm(trial.rules.seed, slot)));
            let running = Phase::Running {
                slot,
                arm: arm(trial.rules.seed, slot),
                washing_out: second < WASHOUT,
            };
            assert_eq!(trial.record.report().phase, running);
        }
    }
    assert_eq!(trial.at(12 * SLOT), None);
}

#[test]
fn an_interval_is_cut_at_the_washout_and_at_the_end_of_the_slot() {
    let mut trial = Trial::new();
    let first = trial.first_arm();
    // From 120 to 150 s, 390 s and from 540 to 600 s count.
    for (second, count) in [(0, 90), (70, 90), (150, 20)] {
        trial.replicas(count);
        trial.at(second);
    }
    for second in (210..=540).step_by(30) {
        trial.replicas(10);
        trial.at(second);
    }
    trial.replicas(30);
    trial.at(625);
    for second in (650..=1200).step_by(50) {
        trial.at(second);
    }
    let report = trial.record.report();
    let found = match first {
        Arm::Control => report.control,
        Arm::Candidate => report.candidate,
    };
    let right = (30.0 * 20.0 + 390.0 * 10.0 + 60.0 * 30.0) / 480.0;
    assert_eq!(found.cost_per_hour, Some(right));
}

#[test]
fn a_slot_of_which_less_than_half_was_seen_takes_its_pair_with_it() {
    // Of 480 s that count, 240 are seen in the one case and 210 in the other.
    for (seen_until, pairs) in [(WASHOUT + 240, 2), (WASHOUT + 210, 1)] {
        let mut trial = Trial::new();
        trial.saving_until(SLOT + seen_until);
        trial.now = 2 * SLOT;
        trial.at(2 * SLOT);
        trial.saving_until(4 * SLOT);
        assert_eq!(trial.pairs(), pairs, "seen until {seen_until} s");
        let (control, candidate) = trial.slots();
        assert_eq!(control + candidate, pairs + 2);
    }
}

#[test]
fn ticks_more_than_three_periods_apart_leave_a_gap() {
    for (apart, pairs) in [(3 * PERIOD, 1), (3 * PERIOD + 1, 0)] {
        let mut trial = Trial::new();
        for second in (0..=2 * SLOT + apart).step_by(apart as usize) {
            trial.at(second);
        }
        assert_eq!(trial.pairs(), pairs, "{apart} s apart");
    }
}

#[test]
fn a_pair_is_never_made_of_slots_of_two_pairs() {
    let mut trial = Trial::new();
    trial.saving_until(SLOT);
    trial.now = 3 * SLOT;
    trial.at(3 * SLOT);
    trial.saving_until(4 * SLOT);
    assert_eq!(trial.pairs(), 0);
    trial.saving_until(6 * SLOT);
    assert_eq!(trial.pairs(), 1);
}

#[test]
fn nothing_counts_while_the_request_rate_is_not_known() {
    for rate in [None, Some(f64::NAN), Some(-1.0)] {
        let mut trial = Trial::new();
        trial.rate(rate);
        trial.saving_until(12 * SLOT);
        assert_eq!((trial.pairs(), trial.slots()), (0, (0, 0)), "{rate:?}");
        assert_eq!(trial.record.report().phase, Phase::Done);
    }
}

#[test]
fn nothing_counts_while_decisions_are_not_published() {
    for mode in [Mode::Observe, Mode::Paused] {
        let mut trial = Trial::new();
        trial.seen.rules.mode = mode;
        trial.saving_until(12 * SLOT);
        assert_eq!(trial.pairs(), 0);
    }
}

#[test]
fn attainment_is_the_share_of_requests_in_intervals_that_met_the_bound() {
    let mut trial = Trial::new();
    trial.until(2 * SLOT, |trial, arm, into_slot| {
        // The candidate misses the bound while three times as much arrives: 120 of 480 s.
        let busy = into_slot > WASHOUT && into_slot <= WASHOUT + 120;
        trial.rate(Some(if busy { 3.0 } else { 1.0 }));
        let slow = busy && arm == Arm::Candidate;
        trial.ttft(Some(if slow { 1.1 } else { 1.0 }));
    });
    let report = trial.record.report();
    assert_eq!(report.control.attainment, Some(1.0));
    assert_eq!(report.candidate.attainment, Some(360.0 / 720.0));
    assert_eq!(report.attainment.pairs, 1);
}

#[test]
fn intervals_without_latency_count_neither_as_met_nor_as_missed() {
    let mut trial = Trial::new();
    trial.until(2 * SLOT, |trial, _, into_slot| {
        // Of the first half of what counts nothing is known, of the rest half is met.
        trial.ttft(match into_slot {
            0..=360 => None,
            361..=480 => Some(0.5),
            _ => Some(1.5),
        });
    });
    let report = trial.record.report();
    assert_eq!(report.control.attainment, Some(0.5));
    assert_eq!(report.candidate.attainment, Some(0.5));
}

#[test]
fn a_slot_judged_for_less_than_half_of_its_time_has_a_cost_and_no_attainment() {
    let mut trial = Trial::new();
    trial.until(2 * SLOT, |trial, _, into_slot| {
        trial.ttft((into_slot > 390).then_some(0.5));
    });
    let report = trial.record.report();
    assert_eq!((report.cost.pairs, report.attainment.pairs), (1, 0));
    assert_eq!(report.control.attainment, None);
}

#[test]
fn every_bound_that_is_set_must_be_measured_and_met() {
    let cases = [
        (Some(1.0), Some(0.1), Some(0.5), Some(0.05), Some(1.0)),
        (Some(1.0), Some(0.1), Some(0.5), Some(0.2), Some(0.0)),
        (Some(1.0), Some(0.1), Some(2.0), Some(0.05), Some(0.0)),
        (Some(1.0), Some(0.1), Some(0.5), None, None),
        (Some(1.0), Some(0.1), Some(0.5), Some(f64::NAN), None),
        (Some(1.0), None, Some(0.5), None, Some(1.0)),
        (None, Some(0.1), None, Some(0.2), Some(0.0)),
        (None, None, Some(0.5), Some(0.05), None),
    ];
    for (of_ttft, of_itl, ttft, itl, right) in cases {
        let mut trial = Trial::new();
        trial.seen.pool.objective.ttft = of_ttft;
        trial.seen.pool.objective.itl = of_itl;
        trial.ttft(ttft);
        trial.seen.pool.workload.itl_at_percentile = itl;
        trial.saving_until(2 * SLOT);
        assert_eq!(trial.record.report().control.attainment, right);
        assert_eq!(trial.pairs(), 1);
    }
}

#[test]
fn a_pool_without_requests_has_no_attainment() {
    let mut trial = Trial::new();
    trial.rate(Some(0.0));
    trial.saving_until(2 * SLOT);
    assert_eq!(trial.record.report().control.attainment, None);
    assert_eq!(trial.pairs(), 1);
}

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
    trial.until(WASHOUT + 480 / 4 - PERIOD, |_, _, _| ());
    assert!(trial.arm.is_some());
    assert_eq!(trial.at(WASHOUT + 480 / 4), None);
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
    for second in [0, 30, SLOT + 60, SLOT + 300] {
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
    assert!(written.len() < 800, "{}: {written}", written.len());
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
    assert_eq!(
        serde_json::from_str::<trimtab_core::experiment::Report>(&written).unwrap(),
        report
    );
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

/// Mostly sense, so that experiments get somewhere.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.0..10.0_f64, 1 => any::<f64>(), 1 => Just(1e300)]
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
    let lengths = prop_oneof![8 => Just((4.0, 1.0)), 1 => (any::<f64>(), any::<f64>())];
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
        period in prop_oneof![4 => Just(1.0), 1 => any::<f64>()],
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
