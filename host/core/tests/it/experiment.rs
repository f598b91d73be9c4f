//! Experiments tick by tick: what counts for which arm.

mod ends;
mod robust;

use trimtab_core::experiment::{Arm, Effect, Experiment, Phase, Record, arm};
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
    trial.saving_until(SLOT - PERIOD);
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
