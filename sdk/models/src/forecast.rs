//! Where a load is going: level and trend, followed through the noise of counting, and how sure
//! that is. A damped local linear trend, filtered as Kalman does.

mod record;

pub use record::Record;

/// Share of the level by which its trend, taken over a minute, may wander in a minute.
///
/// Tried in a simulated fleet with a start-up of two minutes, on a real conversation trace (rates by
/// the minute from 3.2 to 8.5 a second) and on a daily cycle: a third of this follows ramps too late.
const TREND_WANDER: f64 = 0.045;

/// The same of the trend at the start, of which nothing is known.
const FIRST_TREND: f64 = 0.06;

/// Share of the level by which it may jump in a minute beside its trend.
const LEVEL_WANDER: f64 = 0.005;

/// Seconds in which a trend loses all but 1/e of itself: real ramps end.
const DAMPING_SECONDS: f64 = 800.0;

/// Squared deviations from what was expected beyond which the load has jumped and the past says
/// nothing of it any more; in a steady load one in 10⁶ observations.
const JUMP: f64 = 24.0;

/// Level and trend of a load. Plain values: store all of them to go on where it stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecaster {
    pub level: f64,
    /// Change of the level per second.
    pub trend: f64,
    /// Variance of the level, covariance, variance of the trend.
    pub covariance: [f64; 3],
}

/// An expected load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    pub mean: f64,
    /// Standard deviation of what is expected; not of what a window would count.
    pub deviation: f64,
}

impl Forecaster {
    /// Starts at a first observation with its standard deviation, without a trend.
    #[must_use]
    pub fn new(observed: f64, deviation: f64) -> Self {
        Self {
            level: observed,
            trend: 0.0,
            covariance: [
                deviation * deviation,
                0.0,
                per_minute(FIRST_TREND, observed),
            ],
        }
    }

    /// Takes an observation and its standard deviation, `seconds` after the last one. Observations
    /// whose windows overlap tell less than they seem to: give a deviation that is larger for it.
    pub fn observe(&mut self, observed: f64, deviation: f64, seconds: f64) {
        let usable = [observed, deviation, seconds]
            .iter()
            .all(|value| value.is_finite());
        if !usable || seconds <= 0.0 {
            return;
        }
        let expected = self.advanced(seconds, observed);
        let error = observed - expected.level;
        let [level, both, trend] = expected.covariance;
        let spread = level + deviation * deviation;
        if spread <= 0.0 || error * error > JUMP * spread {
            *self = Self::new(observed, deviation);
            return;
        }
        let gain = [level / spread, both / spread];
        let [level_gain, trend_gain] = gain;
        *self = Self {
            level: (expected.level + level_gain * error).max(0.0),
            trend: expected.trend + trend_gain * error,
            covariance: [
                level - level_gain * level,
                both - level_gain * both,
                trend - trend_gain * both,
            ],
        };
    }

    /// Counts loads in another unit.
    pub fn scale(&mut self, factor: f64) {
        self.level *= factor;
        self.trend *= factor;
        for entry in &mut self.covariance {
            *entry *= factor * factor;
        }
    }

    /// The load expected `seconds` after the last observation. Never below zero.
    #[must_use]
    pub fn ahead(&self, seconds: f64) -> Forecast {
        let reach = reach(seconds.max(0.0));
        let [level, both, trend] = self.covariance;
        let variance = level + 2.0 * reach * both + reach * reach * trend;
        Forecast {
            mean: (self.level + reach * self.trend).max(0.0),
            deviation: variance.max(0.0).sqrt(),
        }
    }

    /// What is expected before the observation is taken.
    fn advanced(&self, seconds: f64, observed: f64) -> Self {
        let kept = (-seconds / DAMPING_SECONDS).exp();
        let reach = reach(seconds);
        let [level, both, trend] = self.covariance;
        // A load that comes from nothing wanders by what it becomes.
        let scale = self.level.max(observed);
        let trend_noise = per_minute(TREND_WANDER, scale) * seconds / 60.0;
        let level_noise = (LEVEL_WANDER * scale).powi(2) * seconds / 60.0;
        Self {
            level: self.level + reach * self.trend,
            trend: kept * self.trend,
            covariance: [
                level
                    + reach * (2.0 * both + reach * trend)
                    + level_noise
                    + trend_noise * seconds * seconds / 3.0,
                kept * (both + reach * trend) + trend_noise * seconds / 2.0,
                kept * kept * trend + trend_noise,
            ],
        }
    }
}

/// Variance of a trend, per second squared, whose deviation over a minute is a share of the level.
fn per_minute(share: f64, level: f64) -> f64 {
    (share / 60.0 * level).powi(2)
}

/// Seconds of an undamped trend that a damped one reaches in `seconds`.
fn reach(seconds: f64) -> f64 {
    DAMPING_SECONDS * (1.0 - (-seconds / DAMPING_SECONDS).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Noise of a mean over a minute of Poisson arrivals, from a small fixed generator.
    struct Noise(u64);

    impl Noise {
        fn uniform(&mut self) -> f64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (self.0 >> 11) as f64 / (1_u64 << 53) as f64
        }

        fn counted(&mut self, rate: f64) -> f64 {
            let normal = (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0;
            (rate + normal * (rate / 60.0).sqrt()).max(0.0)
        }
    }

    /// Follows `rate(seconds)` for `seconds` and gives the filter and the largest forecast
    /// relative to the truth at that time, of the second half.
    fn follow(
        rate: impl Fn(f64) -> f64,
        seconds: u32,
        noise: &mut Noise,
    ) -> (Forecaster, Vec<f64>) {
        let deviation = |rate: f64| 2.0 * (rate / 60.0).sqrt();
        let first = rate(0.0);
        let mut forecaster = Forecaster::new(first, deviation(first));
        let mut ratios = Vec::new();
        for at in (15..=seconds).step_by(15) {
            let now = f64::from(at);
            let observed = noise.counted(rate(now));
            forecaster.observe(observed, deviation(observed), 15.0);
            if at > seconds / 2 {
                ratios.push(forecaster.ahead(150.0).mean / rate(now + 150.0));
            }
        }
        (forecaster, ratios)
    }

    #[test]
    fn a_ramp_is_seen_ahead() {
        let (_, ratios) = follow(|at| 50.0 + 0.05 * at, 1200, &mut Noise(7));
        let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
        assert!(
            (0.97..1.03).contains(&mean),
            "{mean}: without a forecast it would be 0.92"
        );
    }

    #[test]
    fn noise_is_no_trend() {
        for (rate, slack) in [(100.0, 0.15), (10.0, 0.3), (1.0, 0.7)] {
            let (forecaster, ratios) = follow(|_| rate, 7200, &mut Noise(11));
            let most = ratios.iter().copied().fold(0.0, f64::max);
            assert!(
                most < 1.0 + slack,
                "{rate} requests/s were forecast as {most} times that"
            );
            let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
            assert!(
                (0.97..1.03).contains(&mean),
                "{rate} requests/s were {mean} in the mean"
            );
            let deviation = forecaster.ahead(150.0).deviation / rate;
            assert!(
                deviation < slack,
                "{rate} requests/s are uncertain by {deviation}"
            );
        }
    }

    #[test]
    fn a_jump_is_taken_at_once() {
        let rate = |at: f64| if at < 600.0 { 2.0 } else { 15.0 };
        let (forecaster, _) = follow(rate, 615, &mut Noise(3));
        assert!((forecaster.level - 15.0).abs() < 2.0, "{forecaster:?}");
    }

    #[test]
    fn a_daily_cycle_is_followed_up_and_down() {
        let rate = |at: f64| 55.0 * (1.0 - 0.6 * (at / 7200.0 * std::f64::consts::TAU).cos());
        let (_, ratios) = follow(rate, 7200, &mut Noise(5));
        let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
        assert!((0.97..1.03).contains(&mean), "{mean}");
    }

    proptest! {
        #[test]
        fn any_history_gives_a_number(
            observations in prop::collection::vec((0.0..1e6_f64, 0.0..1e3_f64, 0.0..1e4_f64), 1..40),
            ahead in 0.0..1e5_f64,
        ) {
            let mut forecaster = Forecaster::new(0.0, 0.0);
            for (observed, deviation, seconds) in observations {
                forecaster.observe(observed, deviation, seconds);
            }
            let forecast = forecaster.ahead(ahead);
            prop_assert!(forecast.mean.is_finite() && forecast.mean >= 0.0, "{forecaster:?}");
            prop_assert!(forecast.deviation.is_finite(), "{forecaster:?}");
        }
    }

    #[test]
    fn another_unit_changes_no_share() {
        let (forecaster, _) = follow(|second| 40.0 + 0.05 * second, 900, &mut Noise(1));
        let mut scaled = forecaster;
        scaled.scale(2.5);
        let (before, after) = (forecaster.ahead(120.0), scaled.ahead(120.0));
        assert!((after.mean / before.mean - 2.5).abs() < 1e-9);
        assert!((after.deviation / before.deviation - 2.5).abs() < 1e-9);
    }
}
