//! How an engine's times and lengths are distributed, in vLLM's buckets, from the engine's start.

use super::Engine;
use super::sequence::Waiting;
use super::stride::Stride;
use crate::measure::histogram::{
    Histogram, ITL_BOUNDS, REQUEST_BOUNDS, TTFT_BOUNDS, length_bounds,
};

/// Times are in seconds, lengths in tokens. Requests count when they finish.
#[derive(Clone, Debug, PartialEq)]
pub struct Distributions {
    /// From arrival at the engine to the first token.
    pub ttft: Histogram,
    /// Between successive tokens of one request; one entry for each token but the first.
    pub itl: Histogram,
    /// Over requests: the mean time between a request's tokens.
    pub request_itl: Histogram,
    /// From arrival at the engine to the last token.
    pub end_to_end: Histogram,
    /// From arrival at the engine to the first place in the batch.
    pub queue_time: Histogram,
    pub input_tokens: Histogram,
    pub output_tokens: Histogram,
}

impl Distributions {
    /// `longest` is the model's longest request, where the engine was told.
    pub(super) fn new(longest: Option<u32>) -> Self {
        Self {
            ttft: Histogram::new(TTFT_BOUNDS),
            itl: Histogram::new(ITL_BOUNDS),
            request_itl: Histogram::new(ITL_BOUNDS),
            end_to_end: Histogram::new(REQUEST_BOUNDS),
            queue_time: Histogram::new(REQUEST_BOUNDS),
            input_tokens: Histogram::new(length_bounds(longest)),
            output_tokens: Histogram::new(length_bounds(longest)),
        }
    }

    /// The first iterations of a stride ended, each with a token of every sequence that answers.
    /// Their lengths differ by what one token more takes, so all count as long as their mean.
    pub(super) fn iterations(&mut self, stride: &Stride, ended: u64, answering: u64) {
        if ended > 0 && answering > 0 {
            let mean = (stride.boundary(ended) - stride.start) / ended as f64;
            self.itl.observe_many(mean, ended * answering);
        }
    }

    pub(super) fn admitted(&mut self, now: f64, entry: &Waiting<'_>) {
        if entry.produced == 0 {
            self.queue_time.observe(now - entry.since);
        }
    }

    pub(super) fn request(&mut self, seconds: f64, input_tokens: u64, output_tokens: u64) {
        self.end_to_end.observe(seconds);
        self.input_tokens.observe(input_tokens as f64);
        self.output_tokens.observe(output_tokens as f64);
    }
}

impl Engine<'_> {
    /// From now on the distributions of times and lengths are kept too.
    pub(crate) fn keep_distributions(&mut self) {
        self.distributions = Some(Box::new(Distributions::new(self.limits.configured_longest)));
    }

    /// A request that ended here had this mean time between its tokens.
    pub(crate) fn note_request_itl(&mut self, seconds: f64) {
        self.observe(|distributions| distributions.request_itl.observe(seconds));
    }

    /// The distributions that a scrape at `now` reads, where they are kept.
    pub(crate) fn distributions(&self, now: f64) -> Option<Distributions> {
        let mut distributions = self.distributions.as_deref()?.clone();
        if let Some(stride) = &self.stride {
            distributions.iterations(stride, stride.ended_by(now), self.answering);
        }
        Some(distributions)
    }

    pub(super) fn observe(&mut self, note: impl FnOnce(&mut Distributions)) {
        if let Some(distributions) = &mut self.distributions {
            note(distributions);
        }
    }
}
