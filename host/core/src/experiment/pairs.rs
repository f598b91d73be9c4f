//! Running sums over pairs of slots, and what they say of the difference between the arms.
//!
//! The difference of a pair is made of the arms' effect and of the load that changed between its
//! slots. The second part is taken out by regression on the pair's difference in request rate: the
//! estimate is the line's value where the rates are equal. What arrives does not depend on the arm,
//! so this takes noise out and brings no bias in, and the draw of signs holds for what remains.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::report::Effect;

/// Half of the 5 % that a 95 % interval leaves out lies beyond each of its ends.
const UPPER: f64 = 0.975;

/// Student's t changes by less than 0.02 % beyond this many degrees of freedom.
const MOST_FREEDOM: u32 = 10_000;

/// Rates that differ by a smaller share are equal: sums of equal rates are not exact.
const EQUAL_RATES: f64 = 1e-9;

/// One slot of a pair.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    pub(super) rate: f64,
    pub(super) value: f64,
}

/// All complete pairs of one figure: how many, means, and sums of products of deviations from them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "(u32, [f64; 6])", into = "(u32, [f64; 6])")]
pub(super) struct Pairs {
    count: u32,
    control: f64,
    candidate: f64,
    /// Of the differences in rate.
    rate: f64,
    values_squared: f64,
    rates_squared: f64,
    rates_by_values: f64,
}

impl Pairs {
    /// Takes up a pair, by Welford's method: sums of squares would lose what is small beside the
    /// mean. A pair too large for the sums is left out.
    pub(super) fn add(&mut self, control: Side, candidate: Side) {
        let count = self.count.saturating_add(1);
        let n = f64::from(count);
        let value = candidate.value - control.value;
        let rate = rate_difference(control.rate, candidate.rate);
        let mut next = Self {
            count,
            control: self.control + (control.value - self.control) / n,
            candidate: self.candidate + (candidate.value - self.candidate) / n,
            rate: self.rate + (rate - self.rate) / n,
            ..*self
        };
        let (value_before, value_after) = (value - self.value(), value - next.value());
        let (rate_before, rate_after) = (rate - self.rate, rate - next.rate);
        next.values_squared += value_before * value_after;
        next.rates_squared += rate_before * rate_after;
        next.rates_by_values += rate_before * value_after;
        let (_, sums) = next.into();
        if sums.iter().all(|sum| sum.is_finite()) {
            *self = next;
        }
    }

    /// Mean of the differences.
    fn value(&self) -> f64 {
        self.candidate - self.control
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Means of control and candidate.
    pub(super) fn means(&self) -> Option<(f64, f64)> {
        (self.count > 0).then_some((self.control, self.candidate))
    }

    /// Two degrees of freedom go to the line.
    pub(super) fn effect(&self) -> Effect {
        let freedom = self.count.checked_sub(2).filter(|freedom| *freedom > 0);
        let found = freedom.and_then(|freedom| {
            let (estimate, error) = self.line(freedom);
            let margin = quantile(freedom)? * error;
            let is_number = margin.is_finite() && estimate.is_finite();
            is_number.then_some((estimate, error, margin))
        });
        Effect {
            pairs: self.count,
            estimate: found.map(|(estimate, _, _)| estimate),
            standard_error: found.map(|(_, error, _)| error),
            degrees_of_freedom: found.and(freedom),
            interval: found.map(|(estimate, _, margin)| [estimate - margin, estimate + margin]),
        }
    }

    /// The regression line where rates are equal, and its standard error there.
    fn line(&self, freedom: u32) -> (f64, f64) {
        let (slope, leverage) = if self.rates_squared > 0.0 {
            (
                self.rates_by_values / self.rates_squared,
                self.rate * self.rate / self.rates_squared,
            )
        } else {
            (0.0, 0.0)
        };
        let left = (self.values_squared - slope * self.rates_by_values).max(0.0);
        let variance = left / f64::from(freedom);
        let error = (variance * (1.0 / f64::from(self.count) + leverage)).sqrt();
        (self.value() - slope * self.rate, error)
    }
}

fn rate_difference(control: f64, candidate: f64) -> f64 {
    let difference = candidate - control;
    if difference.abs() <= EQUAL_RATES * (candidate + control) {
        0.0
    } else {
        difference
    }
}

/// Student's t with this many degrees of freedom is smaller with probability [`UPPER`].
fn quantile(freedom: u32) -> Option<f64> {
    let freedom = f64::from(freedom.min(MOST_FREEDOM));
    let students = StudentsT::new(0.0, 1.0, freedom).ok()?;
    Some(students.inverse_cdf(UPPER))
}

impl From<(u32, [f64; 6])> for Pairs {
    fn from((count, sums): (u32, [f64; 6])) -> Self {
        let [
            control,
            candidate,
            rate,
            values_squared,
            rates_squared,
            rates_by_values,
        ] = sums;
        Self {
            count,
            control,
            candidate,
            rate,
            values_squared,
            rates_squared,
            rates_by_values,
        }
    }
}

impl From<Pairs> for (u32, [f64; 6]) {
    fn from(of: Pairs) -> Self {
        let sums = [
            of.control,
            of.candidate,
            of.rate,
            of.values_squared,
            of.rates_squared,
            of.rates_by_values,
        ];
        (of.count, sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs of control and candidate, each as rate and value.
    fn of(pairs: &[[(f64, f64); 2]]) -> Pairs {
        let mut sums = Pairs::default();
        for pair in pairs {
            let [control, candidate] = pair.map(|(rate, value)| Side { rate, value });
            sums.add(control, candidate);
        }
        sums
    }

    fn assert_near(found: f64, right: f64, tolerance: f64) {
        assert!((found - right).abs() <= tolerance, "{found}, not {right}");
    }

    #[test]
    fn the_quantile_is_that_of_the_tables() {
        for (freedom, right) in [
            (1, 12.706_205),
            (2, 4.302_653),
            (3, 3.182_446),
            (4, 2.776_445),
            (5, 2.570_582),
            (10, 2.228_139),
            (30, 2.042_272),
            (47, 2.011_741),
            (100, 1.983_972),
            (1000, 1.962_339),
            (MOST_FREEDOM, 1.960_201),
            (u32::MAX, 1.960_201),
        ] {
            assert_near(quantile(freedom).unwrap(), right, 1e-6);
        }
    }

    #[test]
    fn the_quantile_falls_with_every_degree_of_freedom() {
        let quantiles: Vec<f64> = (1..=500).filter_map(quantile).collect();
        assert_eq!(quantiles.len(), 500);
        assert!(quantiles.is_sorted_by(|fewer, more| fewer > more));
    }

    /// Differences −2, −3, −1, −4 and 0: mean −2, squared deviations 0 + 1 + 1 + 4 + 4 = 10.
    /// Rates are equal, so no slope: variance 10 / 3, standard error √(10 / 3 / 5) = 0.816497;
    /// 3.182446 of that are 2.598457.
    #[test]
    fn where_rates_are_equal_the_effect_is_the_mean_difference() {
        let sums = of(&[
            [(5.0, 10.0), (5.0, 8.0)],
            [(6.0, 12.0), (6.0, 9.0)],
            [(5.0, 9.0), (5.0, 8.0)],
            [(7.0, 14.0), (7.0, 10.0)],
            [(5.0, 10.0), (5.0, 10.0)],
        ]);
        assert_eq!(sums.means(), Some((11.0, 9.0)));
        let effect = sums.effect();
        assert_eq!((effect.pairs, effect.degrees_of_freedom), (5, Some(3)));
        assert_near(effect.estimate.unwrap(), -2.0, 1e-12);
        assert_near(effect.standard_error.unwrap(), 0.816_497, 1e-6);
        let [low, high] = effect.interval.unwrap();
        assert_near(low, -4.598_457, 1e-5);
        assert_near(high, 0.598_457, 1e-5);
    }

    /// Rates differ by x = −2, −1, 0, 1 and 7 (mean 1), costs by y = −4, −4, −1, 0 and 9 (mean 0).
    /// Σ(x − 1)² = 9 + 4 + 1 + 0 + 36 = 50; Σ(x − 1)y = 12 + 8 + 1 + 0 + 54 = 75; Σy² = 16 + 16 +
    /// 1 + 0 + 81 = 114. Slope 75 / 50 = 1.5, so the line is at −1.5 where x = 0. What is left is
    /// 114 − 1.5 · 75 = 1.5, its variance 1.5 / 3 = 0.5, and the standard error at x = 0 is
    /// √(0.5 · (1 / 5 + 1 / 50)) = √0.11 = 0.331662; 3.182446 of that are 1.055498.
    #[test]
    fn what_the_load_did_is_taken_out() {
        let sums = of(&[
            [(10.0, 20.0), (8.0, 16.0)],
            [(10.0, 20.0), (9.0, 16.0)],
            [(10.0, 20.0), (10.0, 19.0)],
            [(10.0, 20.0), (11.0, 20.0)],
            [(10.0, 20.0), (17.0, 29.0)],
        ]);
        let effect = sums.effect();
        assert_near(effect.estimate.unwrap(), -1.5, 1e-12);
        assert_near(effect.standard_error.unwrap(), 0.11_f64.sqrt(), 1e-12);
        let [low, high] = effect.interval.unwrap();
        assert_near(low, -2.555_498, 1e-5);
        assert_near(high, -0.444_502, 1e-5);
    }

    #[test]
    fn two_pairs_have_means_and_no_effect() {
        let two = of(&[[(1.0, 3.0), (2.0, 2.0)], [(1.0, 5.0), (2.0, 6.0)]]);
        assert_eq!(two.means(), Some((4.0, 4.0)));
        let effect = two.effect();
        let nothing = Effect {
            pairs: 2,
            ..Effect::default()
        };
        assert_eq!(effect, nothing);
        assert_eq!(Pairs::default().means(), None);
    }

    #[test]
    fn small_differences_of_large_costs_keep_their_spread() {
        let pair = |by: f64| [(1.0, 1e9), (1.0, 1e9 + by)];
        let sums = of(&[pair(1.0), pair(2.0), pair(3.0)]);
        let error = sums.effect().standard_error.unwrap();
        assert_near(error, (2.0_f64 / 3.0).sqrt(), 1e-6);
    }

    #[test]
    fn rounding_in_equal_rates_is_no_difference() {
        let pair = |by: f64, value: f64| [(1.0, 5.0), (1.0 + by, value)];
        let exact = of(&[pair(0.0, 6.0), pair(0.0, 7.0), pair(0.0, 9.0)]);
        let rounded = of(&[pair(1e-15, 6.0), pair(2e-15, 7.0), pair(1e-15, 9.0)]);
        assert_eq!(rounded, exact);
    }

    #[test]
    fn a_pair_too_large_for_the_sums_is_left_out() {
        let mut sums = of(&[[(1.0, 1.0), (1.0, 2.0)]]);
        let before = sums;
        let side = |value: f64| Side { rate: 1.0, value };
        sums.add(side(0.0), side(1e200));
        sums.add(side(-1e308), side(1e308));
        assert_eq!(sums, before);
    }
}
