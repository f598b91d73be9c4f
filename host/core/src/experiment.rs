//! Switchback experiments: two arms take turns on one pool, and what each one costs and attains is
//! compared.
//!
//! A control loop has memory, so requests cannot be split between two policies; time can. It is cut
//! into slots of one arm each, and the first seconds of each slot, the washout, count for nothing.
//! Slots come in pairs, one of each arm, in an order that is drawn for each pair.
//!
//! Intervals hold whatever the load does. Where the arms are alike, what each slot of a pair would
//! show is the same in either order: the draw only decides the sign of the pair's difference. Signs
//! are drawn independently, so differences have mean zero and are uncorrelated however much their
//! sizes follow each other, and their spread over pairs gives the standard error of their mean. No
//! model of the load's autocorrelation is needed. What the load itself changed between the slots of
//! a pair is taken out by regression on the request rate; its slope hardly depends on the signs.
//! Where the arms differ, effects that vary from pair to pair only widen the interval, and so do
//! figures that seldom move, such as an attainment of nearly always 1.
//!
//! Three things can spoil it: a washout shorter than the memory of the loop draws the arms
//! together; fewer than about ten pairs leave the normal approximation behind Student's t to luck;
//! and an experiment that was stopped for its own results has an interval that leans towards the
//! reason for the stop.
//!
//! The bench `experiment` prints how all this comes out over simulated pools.

mod pairs;
mod record;
mod report;
mod slot;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use record::Record;
pub use report::{ArmReport, Effect, Phase, Report};

/// One of the two that are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// The pool's own policies.
    #[default]
    Control,
    /// What might replace them.
    Candidate,
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Control => "control",
            Self::Candidate => "candidate",
        })
    }
}

/// The operator's rules for one experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Experiment {
    /// What is compared with what, e.g. the digests and settings of both arms. Another identity is
    /// another experiment: all begins anew.
    pub identity: String,
    /// What the order in each pair is drawn from. Pools with the same seed switch together, so give
    /// each its own where their results are to be independent.
    pub seed: u64,
    /// Length of a slot.
    pub slot_seconds: f64,
    /// The beginning of each slot that counts for nothing; less than the slot.
    pub washout_seconds: f64,
    /// Slots after which the experiment is over; of an odd number the last is not run.
    pub max_slots: u32,
    /// Instant at which it is over, if that comes first, in milliseconds since the Unix epoch.
    pub until_ms: Option<u64>,
    pub stop_if: StopIf,
}

impl Default for Experiment {
    fn default() -> Self {
        Self {
            identity: String::new(),
            seed: 0,
            slot_seconds: 1800.0,
            // Start-up of a replica, the five minutes of a usual stabilisation window, and slack.
            washout_seconds: 600.0,
            // Two days: each hour is seen twice. One day finds a saving of a tenth as surely, but
            // leaves too few breaches of a lax objective to measure attainment by.
            max_slots: 96,
            until_ms: None,
            stop_if: StopIf::default(),
        }
    }
}

/// Guard rails: what ends an experiment before its time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct StopIf {
    /// Attainment of the running slot, from 0 to 1, below which it is over, whichever the arm. It
    /// is looked at once a quarter of the slot's time after the washout was measured.
    pub attainment_below: Option<f64>,
    /// Mean cost of the candidate over that of the control above which it is over. It is looked at
    /// once there are four pairs.
    pub cost_above_ratio: Option<f64>,
}

/// The arm of a slot: the same for the same seed on every machine and in every version.
#[must_use]
pub fn arm(seed: u64, slot: u64) -> Arm {
    let candidate_first = split_mix(seed, slot / 2) >> 63 == 1;
    if slot.is_multiple_of(2) == candidate_first {
        Arm::Candidate
    } else {
        Arm::Control
    }
}

/// Number `index` of the numbers that the SplitMix64 generator gives for `seed`.
fn split_mix(seed: u64, index: u64) -> u64 {
    let step = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut mixed = seed.wrapping_add(step);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_in_a_pair_never_changes_between_versions() {
        let orders = |seed: u64| -> String {
            let slots = (0..16).map(|slot| match arm(seed, slot) {
                Arm::Control => 'a',
                Arm::Candidate => 'b',
            });
            slots.collect()
        };
        assert_eq!(orders(0), "baababbaabababba");
        assert_eq!(orders(1), "bababaababbababa");
        assert_eq!(orders(u64::MAX), "babaababbababaab");
    }

    #[test]
    fn the_generator_gives_the_published_numbers() {
        let numbers: Vec<u64> = (0..3).map(|index| split_mix(1_234_567, index)).collect();
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn each_pair_has_both_arms() {
        for seed in 0..50 {
            for pair in (0..50).chain([u64::MAX / 2]) {
                assert_ne!(arm(seed, 2 * pair), arm(seed, 2 * pair + 1));
            }
        }
    }

    #[test]
    fn either_arm_comes_first_in_half_of_the_pairs_whatever_came_before() {
        let first = |pair: u64| arm(7, 2 * pair) == Arm::Candidate;
        let share = |of: &dyn Fn(u64) -> bool| (0..10_000).filter(|p| of(*p)).count();
        // Five standard deviations of a fair coin are 250.
        assert!(share(&first).abs_diff(5000) < 250);
        assert!(share(&|pair| first(pair) == first(pair + 1)).abs_diff(5000) < 250);
        assert!(share(&|seed| arm(seed, 0) == Arm::Candidate).abs_diff(5000) < 250);
    }
}
