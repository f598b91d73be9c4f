//! What one request asks of the engine, in seconds of its time.
//!
//! An iteration lasts `α + Σ` over what it carries: a prompt adds its computed tokens and the tokens
//! it then holds, once; a sequence that decodes adds one token and all that it holds, each time.

use crate::iteration::{Iteration, Lengths, Role};

/// What requests of one kind ask. Means over requests, and standard deviations between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Work {
    /// α: an iteration that carries nothing.
    pub(crate) base: f64,
    /// Time of the whole prompt, whatever iterations it is spread over.
    pub(crate) prompt: f64,
    pub(crate) prompt_deviation: f64,
    /// Time of one decoding step.
    pub(crate) step: f64,
    /// Between requests: those with long prompts hold more.
    pub(crate) step_deviation: f64,
    /// Decoding steps of one request: the first token comes with the prompt.
    pub(crate) gaps: f64,
    /// Standard deviation over mean of the answer's length.
    pub(crate) output_spread: f64,
    /// Prompt tokens to compute, and those that the prompt holds while it is computed.
    pub(crate) prompt_tokens: f64,
    pub(crate) prompt_held: f64,
    /// Second and third moment of the prompt's length, over the same power of its mean.
    pub(crate) prompt_moments: (f64, f64),
    /// Tokens that a decoding sequence holds, over time and over sequences.
    pub(crate) held_tokens: f64,
    pub(crate) held_deviation: f64,
    /// Tokens of a prompt that waits for its blocks: long ones wait more often.
    pub(crate) admitted_tokens: f64,
    /// Time that one more token of a prompt takes.
    pub(crate) per_token: f64,
}

impl Work {
    pub(crate) fn new(role: Role, iteration: &Iteration, lengths: &Lengths) -> Self {
        let computes = role != Role::Decode;
        let decodes = role != Role::Prefill;
        let Iteration {
            base_seconds: base,
            token_seconds: token,
            kv_token_seconds: kv,
        } = *iteration;
        let input = lengths.input_tokens;
        let gaps = if decodes {
            (lengths.output_tokens - 1.0).max(0.0)
        } else {
            0.0
        };
        let prompt_tokens = if computes {
            (input - lengths.cached_tokens).max(1.0)
        } else {
            0.0
        };
        let prompt = if computes {
            token * prompt_tokens + kv * input
        } else {
            0.0
        };
        let spread = lengths.spread.input;
        // A moment of decoding finds long answers more often than short ones.
        let produced = 0.5 * lengths.output_tokens * (1.0 + lengths.spread.output.powi(2));
        let held_tokens = input + produced;
        let second = 1.0 + spread * spread;
        Self {
            base,
            prompt,
            prompt_deviation: spread * prompt,
            step: token + kv * held_tokens,
            step_deviation: kv * spread * input,
            gaps,
            output_spread: lengths.spread.output,
            prompt_tokens,
            prompt_held: if computes { input } else { 0.0 },
            prompt_moments: (second, second.powi(3)),
            held_tokens,
            held_deviation: (spread * input).hypot(0.6 * produced),
            admitted_tokens: input * second,
            per_token: token + kv,
        }
    }

    /// Engine time of one request beyond the base of its iterations.
    pub(crate) fn total(&self) -> f64 {
        self.prompt + self.gaps * self.step
    }

    /// The rate at which `load(rate)`, which is `per_request · rate · iteration(rate)` with
    /// `iteration = α / (1 − rate · total)`, reaches `most`.
    pub(crate) fn rate_where(&self, per_request: f64, most: f64) -> f64 {
        most / (per_request * self.base + most * self.total())
    }
}
