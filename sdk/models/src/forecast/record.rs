//! What expectations turned out to be worth: how far loads came out above them.

/// Expectations that are not due yet, and the shortfall of those that were. Plain values: store them
/// to go on where it stopped.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Instants in milliseconds at which expectations are due, with the expectations, oldest first.
    pub pending: Vec<(u64, f64)>,
    /// Mean square of the share by which a load came out above what was expected; zero where below.
    pub mean_square: f64,
}

/// Share of a new shortfall that is taken over: what surprised is remembered for a quarter of an
/// hour.
const GAIN: f64 = 0.03;

/// Milliseconds between expectations that are kept; those in between say the same.
const SPACING: u64 = 30_000;

/// A shortfall counts no more than this: the load doubled.
const MOST: f64 = 1.0;

impl Record {
    /// Starts with a relative error taken for granted.
    #[must_use]
    pub fn new(error: f64) -> Self {
        Self {
            pending: Vec::new(),
            mean_square: 0.5 * error * error,
        }
    }

    /// Compares what is observed `now` with what was expected of it.
    pub fn check(&mut self, now: u64, observed: f64) {
        let due = self.pending.iter().take_while(|(at, _)| *at <= now).count();
        let last = self.pending.drain(..due).next_back();
        let Some((_, expected)) = last.filter(|_| observed.is_finite()) else {
            return;
        };
        let shortfall = ((observed - expected) / expected.max(0.1 * observed)).clamp(0.0, MOST);
        if shortfall.is_finite() {
            self.mean_square += GAIN * (shortfall * shortfall - self.mean_square);
        }
    }

    /// Keeps what is expected of the instant at which it is `due`.
    pub fn keep(&mut self, due: u64, expected: f64) {
        // What lies further ahead was kept with a longer horizon, or by a clock that was set back.
        self.pending.retain(|(at, _)| *at < due);
        let last = self.pending.last();
        let spaced = last.is_none_or(|(last, _)| due.saturating_sub(*last) >= SPACING);
        if spaced && expected.is_finite() {
            self.pending.push((due, expected));
        }
    }

    /// Counts loads in another unit.
    pub fn scale(&mut self, factor: f64) {
        for (_, expected) in &mut self.pending {
            *expected *= factor;
        }
    }

    /// Relative error to be prepared for: the standard deviation of errors that were as often below
    /// as above.
    #[must_use]
    pub fn error(&self) -> f64 {
        (2.0 * self.mean_square).max(0.0).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks of 15 s with a horizon of two minutes: 100 is expected, and loads are as `load` says.
    fn after(ticks: u32, load: impl Fn(u32) -> f64) -> Record {
        let mut record = Record::new(0.12);
        for tick in 0..ticks {
            let now = u64::from(tick) * 15_000;
            record.check(now, load(tick));
            record.keep(now + 120_000, 100.0);
        }
        record
    }

    #[test]
    fn good_expectations_make_the_error_small() {
        let error = after(480, |_| 99.0).error();
        assert!(error < 0.01, "{error}");
    }

    #[test]
    fn a_load_that_surprises_makes_it_large() {
        let error = after(240, |tick| if tick % 8 < 4 { 120.0 } else { 80.0 }).error();
        assert!((0.15..0.25).contains(&error), "{error}");
    }

    #[test]
    fn only_what_is_due_is_compared() {
        let record = after(8, |_| 1e6);
        assert_eq!(record.error(), Record::new(0.12).error());
        assert_eq!(record.pending.len(), 4, "{record:?}");
    }

    #[test]
    fn nothing_grows_with_time() {
        assert!(after(10_000, |_| 100.0).pending.len() <= 5);
    }

    #[test]
    fn another_unit_is_compared_with_its_like() {
        let mut record = Record::new(0.0);
        record.keep(1_000, 100.0);
        record.scale(2.0);
        record.check(1_000, 200.0);
        assert!(record.error() < 1e-9, "{}", record.error());
    }
}
