//! What arrives at one pool: the spec's arrivals at their times, or, once a rate is set, requests at
//! random.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::Exp1;

use crate::generate::Lengths;
use crate::spec::Arrival;

#[derive(Debug)]
pub(super) struct Load {
    /// When the next request comes, in seconds.
    pub(super) next: Option<f64>,
    /// Requests per second; `None` while the spec's arrivals play.
    rate: Option<f64>,
    input: Lengths,
    output: Lengths,
    random: ChaCha8Rng,
}

impl Load {
    /// Lengths are at first those of the spec's arrivals, as far as a log-normal has them.
    pub(super) fn new(seed: u64, pool: usize, arrivals: &[Arrival]) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(pool as u64);
        Self {
            next: None,
            rate: None,
            input: Lengths::of(arrivals.iter().map(|arrival| arrival.input_tokens)),
            output: Lengths::of(arrivals.iter().map(|arrival| arrival.output_tokens)),
            random,
        }
    }

    /// What was still to come is not. A rate that is no number above 0 is none.
    pub(super) fn set_rate(&mut self, now: f64, rate: f64) {
        self.rate = Some(rate);
        self.next = self.draw_next(now, rate);
    }

    pub(super) fn set_lengths(&mut self, input: Lengths, output: Lengths) {
        (self.input, self.output) = (input, output);
    }

    /// A request that comes now, after which the next one is expected; `None` where it is the
    /// spec's turn.
    pub(super) fn draw(&mut self, now: f64) -> Option<Arrival> {
        let rate = self.rate?;
        self.next = self.draw_next(now, rate);
        Some(Arrival {
            at_seconds: now,
            input_tokens: self.input.draw(&mut self.random),
            output_tokens: self.output.draw(&mut self.random),
            prefix_blocks: Box::default(),
        })
    }

    fn draw_next(&mut self, now: f64, rate: f64) -> Option<f64> {
        let gap = self.random.sample::<f64, _>(Exp1) / rate;
        (rate > 0.0 && gap.is_finite()).then_some(now + gap)
    }
}
