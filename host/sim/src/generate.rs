//! Generated arrivals: a Poisson process whose rate follows a sum of patterns, and log-normal
//! lengths.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Exp1, StandardNormal};

use crate::spec::Arrival;

/// What is generated.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// Rates that add up.
    pub patterns: Vec<Pattern>,
    pub input: Lengths,
    pub output: Lengths,
}

impl Process {
    /// The most that the rates can add up to, in requests per second.
    #[must_use]
    pub fn highest_rate(&self) -> f64 {
        self.patterns.iter().map(Pattern::highest).sum()
    }
}

/// A rate over time. Rates are requests per second.
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    Poisson {
        rate: f64,
    },
    /// On and off in turns, beginning with off; the length of each turn is drawn from an
    /// exponential distribution of the given mean.
    Bursts {
        on_rate: f64,
        off_rate: f64,
        on_seconds: f64,
        off_seconds: f64,
    },
    /// A sine between trough and peak, beginning at the trough.
    DailyCycle {
        trough: f64,
        peak: f64,
        period_seconds: f64,
    },
    /// A straight line from the start of the run until its end.
    Ramp {
        from: f64,
        to: f64,
    },
    /// `rate` from an instant on, for a time.
    Step {
        rate: f64,
        at_seconds: f64,
        for_seconds: f64,
    },
}

/// Log-normal lengths in tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lengths {
    /// Of the distribution before `max` cuts it.
    pub mean: f64,
    /// Standard deviation over mean; 0 gives every request the mean.
    pub cv: f64,
    /// Longer draws become this long.
    pub max: u32,
}

/// Requests from 0 until `duration_seconds`, in order. The same seed gives the same requests.
///
/// Thinning (Lewis and Shedler): candidates come at the highest rate, and each is kept with the
/// share that the rate of its instant has in it. Arrivals and lengths are drawn from streams of
/// their own, so that other lengths do not move the arrivals.
#[must_use]
pub fn generate(process: &Process, duration_seconds: f64, seed: u64) -> Vec<Arrival> {
    let mut kept = stream(seed, 1);
    let mut lengths = stream(seed, 2);
    let mut turns = stream(seed, 3);
    let curves: Vec<Curve<'_>> = process
        .patterns
        .iter()
        .map(|pattern| Curve::new(pattern, duration_seconds, &mut turns))
        .collect();
    let highest = process.highest_rate();
    let mut arrivals = Vec::new();
    for at_seconds in candidates(highest, duration_seconds, stream(seed, 0)) {
        let rate: f64 = curves.iter().map(|curve| curve.rate(at_seconds)).sum();
        if kept.random::<f64>() * highest < rate {
            arrivals.push(Arrival {
                at_seconds,
                input_tokens: process.input.draw(&mut lengths),
                output_tokens: process.output.draw(&mut lengths),
                prefix_blocks: Box::default(),
            });
        }
    }
    arrivals
}

/// Instants of a Poisson process; none at a rate of 0.
fn candidates(rate: f64, until: f64, mut rng: ChaCha8Rng) -> impl Iterator<Item = f64> {
    let mut at = 0.0;
    std::iter::repeat_with(move || {
        at += rng.sample::<f64, _>(Exp1) / rate;
        at
    })
    .take_while(move |at| *at < until)
}

fn stream(seed: u64, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    rng
}

impl Pattern {
    fn highest(&self) -> f64 {
        match *self {
            Self::Poisson { rate } | Self::Step { rate, .. } => rate,
            Self::Bursts {
                on_rate, off_rate, ..
            } => on_rate.max(off_rate),
            Self::DailyCycle { trough, peak, .. } => trough.max(peak),
            Self::Ramp { from, to } => from.max(to),
        }
    }

    /// The same pattern with `factor` times the requests.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        let mut scaled = self.clone();
        match &mut scaled {
            Self::Poisson { rate } | Self::Step { rate, .. } => *rate *= factor,
            Self::Bursts {
                on_rate: one,
                off_rate: other,
                ..
            }
            | Self::DailyCycle {
                trough: one,
                peak: other,
                ..
            }
            | Self::Ramp {
                from: one,
                to: other,
            } => {
                *one *= factor;
                *other *= factor;
            }
        }
        scaled
    }
}

/// A pattern over one run, with what it draws drawn.
struct Curve<'a> {
    pattern: &'a Pattern,
    duration_seconds: f64,
    /// Ends of the turns of [`Pattern::Bursts`], ascending; the first turn is off.
    turns: Vec<f64>,
}

impl<'a> Curve<'a> {
    fn new(pattern: &'a Pattern, duration_seconds: f64, rng: &mut ChaCha8Rng) -> Self {
        let mut turns = Vec::new();
        if let Pattern::Bursts {
            on_seconds,
            off_seconds,
            ..
        } = *pattern
        {
            let mut end = 0.0;
            for mean in [off_seconds, on_seconds].into_iter().cycle() {
                end += rng.sample::<f64, _>(Exp1) * mean;
                turns.push(end);
                if end >= duration_seconds {
                    break;
                }
            }
        }
        Self {
            pattern,
            duration_seconds,
            turns,
        }
    }

    fn rate(&self, at_seconds: f64) -> f64 {
        match *self.pattern {
            Pattern::Poisson { rate } => rate,
            Pattern::Bursts {
                on_rate, off_rate, ..
            } => {
                let ended = self.turns.partition_point(|end| *end <= at_seconds);
                if ended % 2 == 1 { on_rate } else { off_rate }
            }
            Pattern::DailyCycle {
                trough,
                peak,
                period_seconds,
            } => {
                let phase = at_seconds / period_seconds * std::f64::consts::TAU;
                trough + (peak - trough) * 0.5 * (1.0 - phase.cos())
            }
            Pattern::Ramp { from, to } => from + (to - from) * at_seconds / self.duration_seconds,
            Pattern::Step {
                rate,
                at_seconds: start,
                for_seconds,
            } => {
                if (start..start + for_seconds).contains(&at_seconds) {
                    rate
                } else {
                    0.0
                }
            }
        }
    }
}

impl Lengths {
    /// With the mean, spread and maximum of these; 1 where there are none.
    pub(crate) fn of(lengths: impl Iterator<Item = u32>) -> Self {
        let (mut count, mut sum, mut squares, mut max) = (0.0, 0.0, 0.0, 1);
        for length in lengths {
            let tokens = f64::from(length);
            count += 1.0;
            sum += tokens;
            squares += tokens * tokens;
            max = max.max(length);
        }
        if sum <= 0.0 {
            return Self {
                mean: 1.0,
                cv: 0.0,
                max,
            };
        }
        let mean = sum / count;
        let variance = (squares / count - mean * mean).max(0.0);
        Self {
            mean,
            cv: variance.sqrt() / mean,
            max,
        }
    }

    pub(crate) fn draw(&self, rng: &mut ChaCha8Rng) -> u32 {
        // Of a log-normal: variance ln(1 + cv²), mean ln(mean) − variance/2.
        let variance = (1.0 + self.cv * self.cv).ln();
        let normal: f64 = rng.sample(StandardNormal);
        let length = (self.mean.ln() - variance / 2.0 + variance.sqrt() * normal).exp();
        // A float that is too large for the integer becomes its largest.
        (length.round() as u32).clamp(1, self.max.max(1))
    }
}

#[cfg(test)]
mod tests;
