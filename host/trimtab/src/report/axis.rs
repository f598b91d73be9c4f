//! One axis of a plot: its range, its marks, and how its values read.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

use crate::figures;

/// What the values of an axis are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Whole things: replicas, requests.
    Count,
    /// Anything that is read as a plain number.
    Quantity,
    /// Durations in seconds.
    Seconds,
    /// Ratios in 0..=1.
    Share,
}

/// A range with its marks, either evenly spread or logarithmic.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    ticks: Vec<f64>,
}

impl Axis {
    /// From zero to at least `high`, in steps of 1, 2 or 5 times a power of ten.
    pub(crate) fn from_zero(high: f64, unit: Unit) -> Self {
        let high = if high > 0.0 { high } else { 1.0 };
        let least = if unit == Unit::Count {
            1.0
        } else {
            f64::MIN_POSITIVE
        };
        let step = nice_step(high / 4.0).max(least);
        let steps = (high / step - 1e-9).ceil().max(1.0);
        Self {
            low: 0.0,
            high: steps * step,
            logarithmic: false,
            ticks: ticks(0.0, step, steps),
        }
    }

    /// Shares from a little below `low` to 1.
    pub(crate) fn up_to_one(low: f64) -> Self {
        let step = nice_step((1.0 - low).max(0.01) / 4.0);
        let steps = ((1.0 - low) / step).ceil().clamp(1.0, (1.0 / step).round());
        let low = 1.0 - steps * step;
        Self {
            low,
            high: 1.0,
            logarithmic: false,
            ticks: ticks(low, step, steps),
        }
    }

    /// Powers of ten, with twos and fives between where there is room. Both bounds are positive.
    pub(crate) fn logarithmic(low: f64, high: f64) -> Self {
        let candidates: Vec<f64> = (-9_i32..=9)
            .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)))
            .collect();
        let low = candidates
            .iter()
            .rfind(|mark| **mark <= low * 1.001)
            .copied()
            .unwrap_or(1e-9);
        let high = candidates
            .iter()
            .find(|mark| **mark >= high * 0.999)
            .copied()
            .unwrap_or(1e10);
        let within = |mark: &&f64| **mark >= low && **mark <= high;
        let mut ticks: Vec<f64> = candidates.iter().filter(within).copied().collect();
        if ticks.len() > 7 {
            ticks.retain(|mark| (mark.log10() - mark.log10().round()).abs() < 1e-9);
        }
        Self {
            low,
            high: high.max(low * 2.0),
            logarithmic: true,
            ticks,
        }
    }

    /// The time of a run, from its start to `duration` seconds.
    pub(crate) fn time(duration: f64) -> Self {
        /// Steps in which people count time, in seconds.
        const STEPS: [f64; 18] = [
            1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1200.0, 1800.0, 3600.0, 7200.0,
            10_800.0, 14_400.0, 21_600.0, 43_200.0, 86_400.0,
        ];
        let duration = duration.max(1.0);
        let step = STEPS.into_iter().find(|step| duration / step <= 8.0);
        let step = step.unwrap_or_else(|| nice_step(duration / 86_400.0 / 8.0).max(1.0) * 86_400.0);
        let steps = (duration / step).floor();
        Self {
            low: 0.0,
            high: duration,
            logarithmic: false,
            ticks: ticks(0.0, step, steps),
        }
    }

    pub(crate) fn low(&self) -> f64 {
        self.low
    }

    pub(crate) fn high(&self) -> f64 {
        self.high
    }

    /// How a mark of the time axis reads, all of an axis in one unit.
    pub(crate) fn time_label(&self, seconds: f64) -> String {
        let step = self.ticks.get(1).copied().unwrap_or(self.high);
        let (unit, name) = if step >= 3600.0 || (step >= 1800.0 && self.high > 10_800.0) {
            (3600.0, "h")
        } else if step >= 60.0 {
            (60.0, "min")
        } else {
            (1.0, "s")
        };
        format!("{} {name}", figures::quantity(seconds / unit))
    }

    fn fraction(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        if self.logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }
}

impl Unit {
    pub(crate) fn label(self, value: f64) -> String {
        match self {
            Self::Count | Self::Quantity => figures::quantity(value),
            Self::Seconds if value == 0.0 => "0".to_owned(),
            Self::Seconds => figures::seconds(Some(value)),
            Self::Share => format!("{} %", figures::percentile(value)),
        }
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        let place = f64::from(first) + self.fraction(*value) * f64::from(last - first);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a place between two pixels"
        )]
        let pixel = place.round() as i32;
        pixel
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // Lines between the marks would be noise.
        if hint.weight().allow_light_points() {
            Vec::new()
        } else {
            self.ticks.clone()
        }
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

/// The next of 1, 2, 5, 10, 20, … that is not below `step`.
fn nice_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|candidate| *candidate >= step * 0.999_999)
        .unwrap_or(step)
}

fn ticks(from: f64, step: f64, steps: f64) -> Vec<f64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few marks"
    )]
    let steps = steps.clamp(0.0, 100.0) as u32;
    (0..=steps)
        .map(|mark| from + f64::from(mark) * step)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_marked_in_whole_steps() {
        assert_eq!(Axis::from_zero(1.0, Unit::Count).ticks, [0.0, 1.0]);
        assert_eq!(
            Axis::from_zero(17.0, Unit::Count).ticks,
            [0.0, 5.0, 10.0, 15.0, 20.0]
        );
    }

    #[test]
    fn an_empty_plot_still_has_an_axis() {
        let axis = Axis::from_zero(0.0, Unit::Quantity);
        assert!(axis.high > axis.low && axis.ticks.len() > 1);
    }

    #[test]
    fn time_is_marked_as_people_count_it() {
        let hour = Axis::time(3600.0);
        assert_eq!(hour.time_label(hour.ticks[1]), "10 min");
        let day = Axis::time(86_400.0);
        assert_eq!(day.time_label(day.ticks[1]), "3 h");
        let week = Axis::time(604_800.0);
        assert_eq!(week.time_label(week.ticks[1]), "24 h");
    }

    #[test]
    fn decades_are_equally_far_apart() {
        let axis = Axis::logarithmic(0.01, 100.0);
        assert_eq!(axis.ticks, [0.01, 0.1, 1.0, 10.0, 100.0]);
        assert_eq!(axis.map(&0.01, (0, 400)), 0);
        assert_eq!(axis.map(&0.1, (0, 400)), 100);
        assert_eq!(axis.map(&100.0, (0, 400)), 400);
    }

    #[test]
    fn shares_end_at_one() {
        let axis = Axis::up_to_one(0.93);
        assert!((axis.ticks.last().unwrap() - 1.0).abs() < 1e-9 && axis.low <= 0.93);
        assert!(Axis::up_to_one(1.0).low < 1.0);
        assert!(Axis::up_to_one(0.0).low.abs() < 1e-9);
    }
}
