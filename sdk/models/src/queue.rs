//! A replica in its steady state at a rate of arrivals: the model that sizes and tracks.
//!
//! This is not WVA's queue (that one is [`crate::plain`]) but a model of what an engine with
//! continuous batching and chunked prefill does, checked against a simulation of it: see
//! `steady` for the maths and the crate's tests for how far it is off.

use crate::error::{ModelError, within};
use crate::first_token::FirstToken;
use crate::gaps::mean_gap;
use crate::iteration::{Batch, Iteration, Lengths, Role};
use crate::steady::Steady;
use crate::waiting::{Waiting, max_rate};
use crate::work::Work;

/// One replica that serves requests of one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replica {
    role: Role,
    work: Work,
    batch: Batch,
    max_rate: f64,
}

/// What a replica does at a rate. Times are means, over requests or over tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Operation {
    /// Requests that arrive per second.
    pub rate: f64,
    /// Requests finished per second.
    pub throughput: f64,
    /// From arrival to the last token.
    pub response_seconds: f64,
    /// Before a place in the batch is free.
    pub wait_seconds: f64,
    /// Requests in the batch.
    pub concurrency: f64,
    /// From there to the first token: the rest of the running iteration, and those that compute the
    /// prompt. In the decode role, to the first step.
    pub prefill_seconds: f64,
    /// Between two output tokens, over tokens. In the prefill role, what a gap would be.
    pub itl_seconds: f64,
    /// From arrival to the first token: wait and prefill.
    pub ttft_seconds: f64,
    /// Share of the batch's places that are taken.
    pub utilisation: f64,
}

/// Everything that is known of a replica at a rate; what a tail is made of.
pub(crate) struct State {
    pub(crate) steady: Steady,
    pub(crate) first: FirstToken,
    pub(crate) waiting: Waiting,
}

impl Replica {
    /// A replica that does whole requests.
    ///
    /// # Errors
    /// [`ModelError::Invalid`] where a parameter is not finite or out of its range.
    pub fn new(iteration: Iteration, lengths: Lengths, batch: Batch) -> Result<Self, ModelError> {
        Self::in_role(Role::Both, iteration, lengths, batch)
    }

    /// A replica that does the part of a request that `role` says. A prefill replica has no gaps to
    /// judge; a decode replica computes no prompt, its KV tokens arrive, and its requests have got
    /// their first token already.
    ///
    /// # Errors
    /// [`ModelError::Invalid`] where a parameter is not finite or out of its range.
    pub fn in_role(
        role: Role,
        iteration: Iteration,
        lengths: Lengths,
        batch: Batch,
    ) -> Result<Self, ModelError> {
        within(
            "iteration base in seconds",
            iteration.base_seconds,
            1e-9,
            1e6,
        )?;
        within(
            "iteration time per token in seconds",
            iteration.token_seconds,
            0.0,
            1e3,
        )?;
        within(
            "iteration time per KV token in seconds",
            iteration.kv_token_seconds,
            0.0,
            1e3,
        )?;
        within("input tokens", lengths.input_tokens, 0.0, 1e9)?;
        within(
            "cached input tokens",
            lengths.cached_tokens,
            0.0,
            lengths.input_tokens,
        )?;
        within("output tokens", lengths.output_tokens, 1e-9, 1e9)?;
        within("spread of input tokens", lengths.spread.input, 0.0, 10.0)?;
        within("spread of output tokens", lengths.spread.output, 0.0, 10.0)?;
        within(
            "sequences of a batch",
            f64::from(batch.max_sequences),
            1.0,
            1e9,
        )?;
        within(
            "tokens of a batch",
            f64::from(batch.max_batched_tokens),
            1.0,
            1e9,
        )?;
        if let Some(tokens) = batch.kv_capacity_tokens {
            within("KV capacity in tokens", tokens as f64, 1.0, 1e15)?;
        }
        let work = Work::new(role, &iteration, &lengths);
        Ok(Self {
            role,
            work,
            batch,
            max_rate: max_rate(&work, &batch),
        })
    }

    /// Largest rate, in requests per second, that has a steady state within the batch's limits.
    #[must_use]
    pub fn max_rate(&self) -> f64 {
        self.max_rate
    }

    /// The steady state at `rate` requests per second.
    ///
    /// # Errors
    /// [`ModelError::RateOutOfRange`] unless `0 < rate ≤ max_rate`.
    pub fn at(&self, rate: f64) -> Result<Operation, ModelError> {
        let max = self.max_rate;
        if !(rate > 0.0 && rate <= max) {
            return Err(ModelError::RateOutOfRange { rate, max });
        }
        let state = self.state(rate);
        let wait = state.waiting.chance * state.waiting.mean;
        let itl = mean_gap(&self.work, &state.steady, &self.batch);
        let prefill = state.first.mean;
        let decoding = self.work.gaps * itl;
        let throughput = rate * (1.0 - state.waiting.refused);
        let concurrency = throughput * (prefill + decoding);
        Ok(Operation {
            rate,
            throughput,
            response_seconds: wait + prefill + decoding,
            wait_seconds: wait,
            concurrency,
            prefill_seconds: prefill,
            itl_seconds: itl,
            ttft_seconds: wait + prefill,
            utilisation: (concurrency / f64::from(self.batch.max_sequences)).min(1.0),
        })
    }

    /// The state at a rate that is taken to lie within `0 < rate ≤ max_rate`.
    pub(crate) fn state(&self, rate: f64) -> State {
        let rate = rate.max(f64::MIN_POSITIVE.sqrt()).min(self.max_rate);
        let steady = Steady::at(&self.work, rate);
        let first = FirstToken::new(&self.work, &steady, &self.batch);
        let waiting = Waiting::new(&self.work, &steady, &self.batch, &first);
        State {
            steady,
            first,
            waiting,
        }
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn work(&self) -> &Work {
        &self.work
    }

    pub(crate) fn batch(&self) -> &Batch {
        &self.batch
    }
}
