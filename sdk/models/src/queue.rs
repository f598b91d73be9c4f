//! A replica in its steady state at a rate of arrivals.

use crate::error::{ModelError, not_negative, positive};
use crate::iteration::{Batch, Iteration, Lengths, Role};

/// One replica that serves requests of one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replica {
    pub(crate) role: Role,
    pub(crate) iteration: Iteration,
    pub(crate) lengths: Lengths,
    pub(crate) batch: Batch,
}

/// What a replica does at a rate. Times are means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Operation {
    /// Requests finished per second.
    pub throughput: f64,
    /// From arrival to the last token.
    pub response_seconds: f64,
    /// Before a place in the batch is free.
    pub wait_seconds: f64,
    /// Requests in the batch.
    pub concurrency: f64,
    /// From the place in the batch to the first token.
    pub prefill_seconds: f64,
    /// Between two output tokens.
    pub itl_seconds: f64,
    /// From arrival to the first token.
    pub ttft_seconds: f64,
    /// Share of the batch's places that are taken.
    pub utilisation: f64,
}

impl Replica {
    /// A replica that does whole requests.
    ///
    /// # Errors
    /// [`ModelError::Invalid`] where a parameter is not finite or out of its range.
    pub fn new(iteration: Iteration, lengths: Lengths, batch: Batch) -> Result<Self, ModelError> {
        Self::in_role(Role::Both, iteration, lengths, batch)
    }

    /// A replica that does the part of a request that `role` says.
    ///
    /// # Errors
    /// [`ModelError::Invalid`] where a parameter is not finite or out of its range.
    pub fn in_role(
        role: Role,
        iteration: Iteration,
        lengths: Lengths,
        batch: Batch,
    ) -> Result<Self, ModelError> {
        positive("iteration base", iteration.base_seconds)?;
        not_negative("iteration time per token", iteration.token_seconds)?;
        not_negative("iteration time per KV token", iteration.kv_token_seconds)?;
        not_negative("input tokens", lengths.input_tokens)?;
        not_negative("cached input tokens", lengths.cached_tokens)?;
        positive("output tokens", lengths.output_tokens)?;
        positive("sequences of a batch", f64::from(batch.max_sequences))?;
        positive("tokens of a batch", f64::from(batch.max_batched_tokens))?;
        Ok(Self {
            role,
            iteration,
            lengths,
            batch,
        })
    }

    /// Largest rate, in requests per second, that has a steady state.
    #[must_use]
    pub fn max_rate(&self) -> f64 {
        1.0 / self.work()
    }

    /// The steady state at `rate` requests per second.
    ///
    /// # Errors
    /// [`ModelError::RateOutOfRange`] unless `0 < rate ≤ max_rate`.
    pub fn at(&self, rate: f64) -> Result<Operation, ModelError> {
        let max = self.max_rate();
        if !(rate > 0.0 && rate < max) {
            return Err(ModelError::RateOutOfRange { rate, max });
        }
        let gaps = self.lengths.output_tokens - 1.0;
        let itl = self.iteration.base_seconds / (1.0 - rate * self.work());
        let prefill = itl + self.iteration.token_seconds * self.lengths.input_tokens;
        let concurrency = rate * (gaps * itl + prefill);
        Ok(Operation {
            throughput: rate,
            response_seconds: prefill + gaps * itl,
            wait_seconds: 0.0,
            concurrency,
            prefill_seconds: prefill,
            itl_seconds: itl,
            ttft_seconds: prefill,
            utilisation: concurrency / f64::from(self.batch.max_sequences),
        })
    }

    /// Time of the engine that one request takes beyond the base of its iterations.
    fn work(&self) -> f64 {
        let Lengths {
            input_tokens,
            output_tokens,
            cached_tokens,
            ..
        } = self.lengths;
        let computed = input_tokens - cached_tokens + output_tokens;
        let held = (input_tokens + output_tokens / 2.0) * output_tokens;
        self.iteration.token_seconds * computed + self.iteration.kv_token_seconds * held
    }
}
