//! What is remembered of a pool's experiment from tick to tick, and what a tick does to it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::pairs::{Pairs, Side};
use super::report::{ArmReport, Phase, Report};
use super::slot::{Shown, Sums};
use super::{Arm, Experiment, StopIf, arm, split_mix};
use crate::snapshot::{Mode, PoolSnapshot};

/// Ticks that lie more than this many periods apart leave a gap: nobody saw what was between.
const GAP_PERIODS: f64 = 3.0;

/// Share of a slot's time after the washout that must have been seen for the slot to count.
const COMPLETE_SHARE: f64 = 0.5;

/// Share of it that must have been measured before its attainment can end the experiment.
const JUDGED_SHARE: f64 = 0.25;

/// Pairs before costs can end the experiment.
const JUDGED_PAIRS: u32 = 4;

/// An experiment's past: of bounded size, however long it runs. Every number in it is finite, so that
/// what was written can be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Record {
    /// `None` before the first tick.
    began: Option<Began>,
    /// The latest tick.
    last_ms: u64,
    running: Slot,
    /// What the first slot of the running pair showed.
    first: Option<Shown>,
    /// Complete slots of control and candidate.
    slots: [u32; 2],
    cost: Pairs,
    attainment: Pairs,
    ended: Option<Ended>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Began {
    at_ms: u64,
    /// Of the rules that make it this experiment and no other.
    fingerprint: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Slot {
    number: u64,
    arm: Arm,
    washing_out: bool,
    sums: Sums,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Ended {
    Done,
    Stopped { arm: Arm, breach: Breach },
}

/// The guard rail that ended an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Breach {
    Attainment { slot: u64, was: f64, least: f64 },
    CostRatio { was: f64, most: f64 },
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attainment { slot, was, least } => {
                write!(f, "attainment {was:.4} in slot {slot} is below {least}")
            }
            Self::CostRatio { was, most } => {
                write!(f, "cost is {was:.4} of the control's, above {most}")
            }
        }
    }
}

/// The rules in milliseconds, once they are known to make sense.
#[derive(Clone, Copy)]
struct Timing {
    began_ms: u64,
    slot_ms: u64,
    washout_ms: u64,
    /// Even.
    slots: u64,
    until_ms: u64,
}

impl Record {
    /// To be called once a tick, before the policies are chosen. What passed since the last tick
    /// is accounted to the arm that was in force, as `seen` shows it at its end; then the arm is
    /// given that is in force from now on. `None` where no experiment runs (it is over, or its
    /// rules make no sense): the pool's own policies go on.
    ///
    /// `period_seconds` is the time that lies between two ticks by plan. What passed while the
    /// pool's mode kept decisions from being published is no arm's doing and counts for nothing.
    #[must_use]
    pub fn tick(
        &mut self,
        rules: &Experiment,
        seen: &PoolSnapshot,
        now_ms: u64,
        period_seconds: f64,
    ) -> Option<Arm> {
        let Some(timing) = self.begin(rules, now_ms) else {
            *self = Self::default();
            return None;
        };
        if self.ended.is_none() {
            self.account(timing, seen, now_ms, period_seconds);
            self.ended = self
                .attainment_breach(&rules.stop_if, timing)
                .or_else(|| self.turn(rules.seed, timing, now_ms))
                .or_else(|| self.cost_breach(&rules.stop_if));
        }
        self.ended.is_none().then_some(self.running.arm)
    }

    /// How far it is and what it found.
    #[must_use]
    pub fn report(&self) -> Report {
        let (cost, attainment) = (self.cost, self.attainment);
        let (control_cost, candidate_cost) = cost.means().unzip();
        let (control_attainment, candidate_attainment) = attainment.means().unzip();
        let [control, candidate] = self.slots;
        Report {
            phase: self.phase(),
            control: ArmReport {
                slots: control,
                cost_per_hour: control_cost,
                attainment: control_attainment,
            },
            candidate: ArmReport {
                slots: candidate,
                cost_per_hour: candidate_cost,
                attainment: candidate_attainment,
            },
            cost: cost.effect(),
            attainment: attainment.effect(),
        }
    }

    fn phase(&self) -> Phase {
        match self.ended {
            Some(Ended::Done) => Phase::Done,
            Some(Ended::Stopped { arm, breach }) => Phase::Stopped {
                arm,
                why: breach.to_string(),
            },
            None if self.began.is_none() => Phase::Waiting,
            None => Phase::Running {
                slot: self.running.number,
                arm: self.running.arm,
                washing_out: self.running.washing_out,
            },
        }
    }

    /// Takes up the experiment that `rules` describe, anew where it is another than before.
    fn begin(&mut self, rules: &Experiment, now_ms: u64) -> Option<Timing> {
        let (slot_ms, washout_ms) = lengths(rules)?;
        let fingerprint = fingerprint(rules);
        let began = match self.began.filter(|began| began.fingerprint == fingerprint) {
            Some(began) => began,
            None => {
                let began = Began {
                    at_ms: now_ms,
                    fingerprint,
                };
                *self = Self {
                    began: Some(began),
                    last_ms: now_ms,
                    ..Self::default()
                };
                began
            }
        };
        Some(Timing {
            began_ms: began.at_ms,
            slot_ms,
            washout_ms,
            slots: u64::from(rules.max_slots / 2) * 2,
            until_ms: rules.until_ms.unwrap_or(u64::MAX),
        })
    }

    /// A clock that was set back shows no time until it has caught up, so that no time counts
    /// twice.
    fn account(&mut self, timing: Timing, seen: &PoolSnapshot, now_ms: u64, period_seconds: f64) {
        let from_ms = self.last_ms;
        self.last_ms = from_ms.max(now_ms);
        let passed = seconds(now_ms.saturating_sub(from_ms));
        let is_gap = passed > GAP_PERIODS * period_seconds || period_seconds.is_nan();
        if is_gap || seen.rules.mode != Mode::Enforce {
            return;
        }
        let counted = timing.counted_seconds(self.running.number, from_ms, now_ms);
        if counted > 0.0 {
            self.running.sums.add(counted, &seen.pool);
        }
    }

    /// Goes on to the slot of now, if that is a later one.
    fn turn(&mut self, seed: u64, timing: Timing, now_ms: u64) -> Option<Ended> {
        let number = timing.slot(now_ms).max(self.running.number);
        let is_over = number >= timing.slots || now_ms >= timing.until_ms;
        if number > self.running.number || is_over {
            self.close(timing);
            if number / 2 != self.running.number / 2 {
                self.first = None;
            }
            self.running.sums = Sums::default();
        }
        if is_over {
            return Some(Ended::Done);
        }
        self.running.number = number;
        self.running.arm = arm(seed, number);
        self.running.washing_out = now_ms < timing.counts_from(number);
        None
    }

    /// A slot that was not seen for long enough takes its pair with it.
    fn close(&mut self, timing: Timing) {
        let Slot {
            number, arm, sums, ..
        } = self.running;
        let shown = sums.shown(COMPLETE_SHARE * timing.slot_seconds());
        let [control, candidate] = &mut self.slots;
        let slots = match arm {
            Arm::Control => control,
            Arm::Candidate => candidate,
        };
        *slots = slots.saturating_add(u32::from(shown.is_some()));
        if number.is_multiple_of(2) {
            self.first = shown;
        } else if let (Some(first), Some(shown)) = (self.first.take(), shown) {
            match arm {
                Arm::Candidate => self.pair(first, shown),
                Arm::Control => self.pair(shown, first),
            }
        }
    }

    fn pair(&mut self, control: Shown, candidate: Shown) {
        let side = |of: Shown, value: f64| Side {
            rate: of.rate,
            value,
        };
        self.cost
            .add(side(control, control.cost), side(candidate, candidate.cost));
        if let (Some(of_control), Some(of_candidate)) = (control.attainment, candidate.attainment) {
            self.attainment
                .add(side(control, of_control), side(candidate, of_candidate));
        }
    }

    fn attainment_breach(&self, rules: &StopIf, timing: Timing) -> Option<Ended> {
        let least = rules.attainment_below.filter(|least| least.is_finite())?;
        let running = &self.running;
        let was = running
            .sums
            .attainment(JUDGED_SHARE * timing.slot_seconds())?;
        let breach = Breach::Attainment {
            slot: running.number,
            was,
            least,
        };
        let arm = running.arm;
        (was < least).then_some(Ended::Stopped { arm, breach })
    }

    fn cost_breach(&self, rules: &StopIf) -> Option<Ended> {
        let most = rules.cost_above_ratio.filter(|most| most.is_finite())?;
        let (control, candidate) = self.cost.means()?;
        let was = candidate / control;
        let is_judged = self.cost.count() >= JUDGED_PAIRS && was.is_finite();
        let breach = Breach::CostRatio { was, most };
        let arm = Arm::Candidate;
        (is_judged && was > most).then_some(Ended::Stopped { arm, breach })
    }
}

impl Timing {
    /// The slot that this instant lies in.
    fn slot(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.began_ms) / self.slot_ms
    }

    fn starts_at(&self, slot: u64) -> u64 {
        self.began_ms
            .saturating_add(slot.saturating_mul(self.slot_ms))
    }

    fn counts_from(&self, slot: u64) -> u64 {
        self.starts_at(slot).saturating_add(self.washout_ms)
    }

    /// How much of the time between two instants counts for this slot.
    fn counted_seconds(&self, slot: u64, from_ms: u64, to_ms: u64) -> f64 {
        let from_ms = from_ms.max(self.counts_from(slot));
        let ends_at = self.starts_at(slot.saturating_add(1)).min(self.until_ms);
        seconds(to_ms.min(ends_at).saturating_sub(from_ms))
    }

    /// Those of a slot that count.
    fn slot_seconds(&self) -> f64 {
        seconds(self.slot_ms - self.washout_ms)
    }
}

/// Slot and washout in milliseconds; `None` where they make no sense.
fn lengths(rules: &Experiment) -> Option<(u64, u64)> {
    let (slot, washout) = (rules.slot_seconds, rules.washout_seconds);
    let is_sense = slot.is_finite() && washout >= 0.0 && washout < slot;
    let (slot_ms, washout_ms) = ((slot * 1000.0) as u64, (washout * 1000.0) as u64);
    (is_sense && washout_ms < slot_ms).then_some((slot_ms, washout_ms))
}

/// Of all that makes an experiment another one. Its size does not depend on the identity's.
fn fingerprint(rules: &Experiment) -> u64 {
    let lengths = [rules.slot_seconds, rules.washout_seconds].map(f64::to_bits);
    let numbers = lengths.into_iter().chain([rules.seed]);
    let bytes = rules.identity.bytes().map(u64::from);
    numbers
        .chain(bytes)
        .fold(0, |hash, next| split_mix(hash ^ next, 0))
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}
