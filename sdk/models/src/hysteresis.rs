//! Memory of what was needed lately: supply is not given up that was needed a moment ago.

/// Share of a value from which on another counts as the same.
const SAME: f64 = 0.98;

/// The largest of the values of a recent span of time. Plain values: store them to go on where it
/// stopped.
///
/// Only what may still become the largest is kept, so a day of ticks leaves a handful of samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecentMaximum {
    /// Instants in milliseconds with their values, oldest first, values strictly falling.
    pub samples: Vec<(u64, f64)>,
}

impl RecentMaximum {
    /// Takes `value` at the instant `now`, forgets what is older than `window` (both in
    /// milliseconds), and gives the largest value left. A value that is not finite is not taken.
    pub fn push(&mut self, now: u64, window: u64, value: f64) -> Option<f64> {
        let oldest = now.saturating_sub(window);
        // Samples from the future are left over from a clock that was set back.
        self.samples.retain(|(at, kept)| {
            (oldest..=now).contains(at) && (!value.is_finite() || *kept > value)
        });
        match self.samples.last_mut() {
            // Nearly the same: kept longer instead of twice, so that a slow fall stays short too.
            Some((at, kept)) if value >= SAME * *kept => *at = now,
            _ if value.is_finite() => self.samples.push((now, value)),
            _ => {}
        }
        self.largest()
    }

    /// The largest value kept.
    #[must_use]
    pub fn largest(&self) -> Option<f64> {
        self.samples.first().map(|(_, value)| *value)
    }

    /// Counts all that was pushed in another unit.
    pub fn scale(&mut self, factor: f64) {
        for (_, value) in &mut self.samples {
            *value *= factor;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_counts_until_the_window_has_passed() {
        let mut recent = RecentMaximum::default();
        assert_eq!(recent.push(0, 300, 5.0), Some(5.0));
        assert_eq!(recent.push(100, 300, 9.0), Some(9.0));
        assert_eq!(recent.push(200, 300, 3.0), Some(9.0));
        assert_eq!(recent.push(400, 300, 2.0), Some(9.0));
        assert_eq!(recent.push(401, 300, 1.0), Some(3.0));
    }

    #[test]
    fn a_slow_fall_keeps_few_samples_and_forgets_nothing_early() {
        let mut recent = RecentMaximum::default();
        for second in 0..1_800_u32 {
            let value = 1_000.0 - 0.5 * f64::from(second);
            let most = recent.push(u64::from(second), 300, value).unwrap();
            let truth = value + 0.5 * f64::from(second.min(300));
            assert!(
                (truth..1.021 * truth).contains(&most),
                "{truth} became {most}"
            );
        }
        assert!(recent.samples.len() < 80, "{}", recent.samples.len());
    }

    #[test]
    fn another_unit_keeps_the_instants() {
        let mut recent = RecentMaximum::default();
        recent.push(0, 300, 9.0);
        recent.push(100, 300, 5.0);
        recent.scale(0.5);
        assert_eq!(recent.samples, [(0, 4.5), (100, 2.5)]);
    }

    #[test]
    fn growth_keeps_a_single_sample() {
        let mut recent = RecentMaximum::default();
        for second in 0..1_000_u32 {
            recent.push(u64::from(second), 300, f64::from(second));
        }
        assert_eq!(recent.samples, [(999, 999.0)]);
    }

    #[test]
    fn a_clock_set_back_forgets_the_future() {
        let mut recent = RecentMaximum::default();
        recent.push(1_000, 300, 9.0);
        assert_eq!(recent.push(500, 300, 1.0), Some(1.0));
    }

    #[test]
    fn what_is_not_a_number_is_not_taken() {
        let mut recent = RecentMaximum::default();
        recent.push(0, 300, 2.0);
        assert_eq!(recent.push(1, 300, f64::NAN), Some(2.0));
        assert_eq!(recent.push(2, 300, f64::INFINITY), Some(2.0));
    }
}
