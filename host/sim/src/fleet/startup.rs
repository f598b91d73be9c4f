//! How long starts take: drawn one after the other, and observed.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

use crate::random::{Purpose, stream};
use crate::spec::Startup;

/// The starts of one variant.
#[derive(Debug)]
pub(crate) struct Starts {
    /// Mean and standard deviation of the logarithm; `None` where a start takes no time.
    log_normal: Option<(f64, f64)>,
    times: ChaCha8Rng,
    phases: ChaCha8Rng,
    observed_seconds: f64,
    observed: u32,
}

impl Starts {
    pub(crate) fn new(seed: u64, pool: usize, variant: usize, startup: Startup) -> Self {
        let variance = (startup.spread * startup.spread).ln_1p();
        let log_normal = (startup.mean_seconds > 0.0)
            .then(|| (startup.mean_seconds.ln() - variance / 2.0, variance.sqrt()));
        Self {
            log_normal,
            times: stream(seed, Purpose::StartUp { pool, variant }),
            phases: stream(seed, Purpose::Scrapes { pool, variant }),
            observed_seconds: 0.0,
            observed: 0,
        }
    }

    /// Seconds that the next start takes.
    pub(crate) fn draw_time(&mut self) -> f64 {
        let normal: f64 = StandardNormal.sample(&mut self.times);
        self.log_normal
            .map_or(0.0, |(mean, deviation)| (mean + deviation * normal).exp())
    }

    /// Where the scrapes of the next replica lie in the period of scrapes, in 0..1.
    pub(crate) fn draw_phase(&mut self) -> f64 {
        self.phases.random()
    }

    pub(crate) fn observe(&mut self, seconds: f64) {
        self.observed_seconds += seconds;
        self.observed += 1;
    }

    /// Mean of the starts seen so far, in seconds.
    pub(crate) fn mean_observed(&self) -> Option<f64> {
        (self.observed > 0).then(|| self.observed_seconds / f64::from(self.observed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_times_have_the_mean_and_spread_asked_for() {
        let mut starts = Starts::new(
            7,
            0,
            0,
            Startup {
                mean_seconds: 120.0,
                spread: 0.25,
            },
        );
        let times: Vec<f64> = (0..20_000).map(|_| starts.draw_time()).collect();
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        let variance =
            times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / times.len() as f64;
        assert!((mean - 120.0).abs() < 1.0, "{mean}");
        assert!((variance.sqrt() / mean - 0.25).abs() < 0.01, "{variance}");
    }

    #[test]
    fn variants_draw_from_streams_of_their_own() {
        let startup = Startup {
            mean_seconds: 120.0,
            spread: 0.25,
        };
        let first = Starts::new(7, 0, 0, startup).draw_time();
        assert_eq!(
            Starts::new(7, 0, 0, startup).draw_time().to_bits(),
            first.to_bits()
        );
        assert_ne!(
            Starts::new(7, 0, 1, startup).draw_time().to_bits(),
            first.to_bits()
        );
        assert_ne!(
            Starts::new(8, 0, 0, startup).draw_time().to_bits(),
            first.to_bits()
        );
    }
}
