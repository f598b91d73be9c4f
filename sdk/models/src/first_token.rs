//! From a place in the batch to the first token.

use crate::distribution::{LogNormal, Mixture};
use crate::iteration::Batch;
use crate::steady::Steady;
use crate::work::Work;

/// Time to first token of who need not wait for a place: mean and variance, of all and of those who
/// meet no other prompt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FirstToken {
    pub(crate) mean: f64,
    pub(crate) variance: f64,
    alone: Alone,
}

/// Those who meet no other prompt, in the iteration that runs or in the next.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Alone {
    share: f64,
    mean: f64,
    variance: f64,
}

impl FirstToken {
    /// What is met where no budget of tokens binds, moved towards the queue of prompts that forms
    /// where it does, by the chance that it does.
    pub(crate) fn new(work: &Work, state: &Steady, batch: &Batch) -> Self {
        let budget = prompt_budget(state, batch);
        let alone = Alone::new(work, state, budget);
        let free = Self::without_budget(work, state, alone);
        let crowded = exceeding_chance(work, state, budget);
        if crowded < 1e-9 {
            return free;
        }
        let queued = Self::through_budget(work, state, budget, alone);
        let alone = Alone {
            share: alone.share * (1.0 - crowded),
            ..alone
        };
        Self {
            mean: free.mean + crowded * (queued.mean - free.mean).max(0.0),
            variance: free.variance + crowded * (queued.variance - free.variance).max(0.0),
            alone,
        }
    }

    /// The distribution: those who are alone, and the others so that mean and variance of all come
    /// out. One distribution for all would miss that at little load a few wait long.
    pub(crate) fn distribution(&self, work: &Work) -> Mixture {
        Mixture::new(
            work.base,
            (self.mean, self.variance),
            (self.alone.mean, self.alone.variance),
            self.alone.share,
        )
    }

    /// The rest of the iteration that runs, then one iteration with the own prompt and those of all
    /// who arrived in the same one.
    fn without_budget(work: &Work, state: &Steady, alone: Alone) -> Self {
        let share = state.prompt_share;
        let next = work.base
            + state.decode_time
            + state.decode_time_covariance / state.iteration
            + share * state.met
            + work.prompt;
        let of_met = (1.0 / 3.0 + share + share * share) * state.met_square
            - ((0.5 + share) * state.met).powi(2);
        let of_others = state.rate * work.prompt.powi(2) * work.prompt_moments.0 * state.met;
        let of_decoding =
            state.decode_time_variance + 2.0 * (0.5 + share) * state.decode_time_covariance;
        Self {
            // Whoever finds the engine idle does not wait for the end of an empty iteration.
            mean: 0.5 * state.met + next - 0.5 * state.idle * work.base,
            variance: of_met.max(0.0)
                + of_others
                + work.prompt_deviation.powi(2)
                + of_decoding.max(0.0),
            alone,
        }
    }

    /// A queue of prompts (M/G/1) served a full budget at a time, plus half an iteration before the
    /// first and half after the last.
    fn through_budget(work: &Work, state: &Steady, budget: f64, alone: Alone) -> Self {
        let (second, third) = work.prompt_moments;
        let overhead = (work.base + state.decode_time) / budget;
        let service = work.prompt + work.prompt_tokens * overhead;
        // Beyond this it is the number of places that limits, see `waiting`.
        let busy = (state.rate * service).min(0.98);
        let wait = busy * service * second / (2.0 * (1.0 - busy));
        let wait_variance = wait * wait + busy * service * service * third / (3.0 * (1.0 - busy));
        let full = work.base + state.decode_time + work.per_token * budget;
        let edges = state.met.min(full);
        Self {
            mean: wait + service + edges - 0.5 * state.idle * work.base,
            variance: wait_variance + service * service * (second - 1.0) + edges * edges / 6.0,
            alone,
        }
    }
}

impl Alone {
    fn new(work: &Work, state: &Steady, budget: f64) -> Self {
        let without = work.base + state.decode_time;
        // Prompts that share an iteration, given that it has one.
        let arrivals = (state.rate * state.met).max(1e-9);
        let sharing = arrivals / -(-arrivals).exp_m1();
        let with_prompts = state.prompt_share + state.rate / sharing * without;
        let share = (1.0 - with_prompts.min(1.0)) * (-state.rate * without).exp();
        let more_iterations = (work.prompt_tokens / budget - 0.5).max(0.0);
        Self {
            share,
            mean: work.prompt + without * (1.5 + more_iterations) - 0.5 * state.idle * work.base,
            variance: work.prompt_deviation.powi(2)
                + state.decode_time_variance
                + without * without / 12.0,
        }
    }
}

/// Prompt tokens that an iteration has room for beside those of the sequences that decode.
pub(crate) fn prompt_budget(state: &Steady, batch: &Batch) -> f64 {
    (f64::from(batch.max_batched_tokens) - state.decoding).max(1.0)
}

/// Chance that the own prompt and those that arrived with it do not fit into one iteration.
fn exceeding_chance(work: &Work, state: &Steady, budget: f64) -> f64 {
    let tokens = work.prompt_tokens;
    if tokens <= 0.0 {
        return 0.0;
    }
    let others = state.rate * state.met;
    let second = work.prompt_moments.0;
    let mean = tokens * (1.0 + others);
    let variance = tokens * tokens * (second - 1.0 + others * second);
    LogNormal::with_moments(0.0, mean, variance).above(budget)
}
