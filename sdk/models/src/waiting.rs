//! Waiting for a place in the batch, where sequences, KV cache or the budget of tokens run short.

use crate::distribution::{normal_above, normal_density};
use crate::first_token::FirstToken;
use crate::iteration::Batch;
use crate::steady::Steady;
use crate::work::Work;

/// Share of the KV cache that is planned with. The engine admits a prompt when its blocks are free
/// and does not reserve those of its answer; past this, it preempts and computes prompts again, which
/// feeds on itself.
const KV_SHARE: f64 = 0.9;

/// Share of the largest stable rate that counts as a steady state; closer to it, the time to get
/// there is longer than any load lasts.
const STABLE_SHARE: f64 = 0.995;

/// Who waits and for how long. The number that waits is taken to be exponential up to the most that
/// may wait: beyond the number of places the drift towards less is constant, and so is the noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Waiting {
    /// Chance that an arrival has to wait.
    pub(crate) chance: f64,
    /// Chance that it is turned away, since too many wait.
    pub(crate) refused: f64,
    /// Chance that it is preempted, or delayed by those who are, since the KV cache is full.
    pub(crate) preempted: f64,
    /// Mean wait of those who do.
    pub(crate) mean: f64,
    /// Requests per second that leave while all places are taken.
    drain: f64,
    /// Exponent of the number that waits, per request; negative where the replica keeps up.
    growth: f64,
    most: f64,
}

/// Sequences that can decode at a time at most: with all places taken, with the KV cache full, or
/// with so many decoding that no budget is left for the prompts that arrive.
fn places(work: &Work, batch: &Batch, rate: f64, in_prompts: f64) -> f64 {
    let sequences = f64::from(batch.max_sequences).min(kv_places(work, batch));
    let tokens = f64::from(batch.max_batched_tokens);
    let prompts = rate * work.prompt_tokens;
    let room = tokens * (1.0 - prompts * work.per_token) - prompts * work.base;
    let budget = room / (1.0 + prompts * (work.step - work.per_token)).max(1e-9);
    (sequences - in_prompts).min(budget).max(1.0)
}

/// Sequences that the KV cache holds beside a prompt that has just been admitted.
fn kv_places(work: &Work, batch: &Batch) -> f64 {
    let Some(tokens) = batch.kv_capacity_tokens else {
        return f64::INFINITY;
    };
    let usable = KV_SHARE * tokens as f64;
    let held = work.held_tokens.max(1.0);
    ((usable - work.admitted_tokens) / held).max(usable / (held + work.admitted_tokens))
}

/// Largest rate at which all three limits are kept, to within the share that is stable.
pub(crate) fn max_rate(work: &Work, batch: &Batch) -> f64 {
    let sequences = f64::from(batch.max_sequences).min(kv_places(work, batch));
    // A prompt takes a place for one iteration at least.
    let by_places = work.rate_where(work.gaps + 1.0, sequences);
    let tokens = f64::from(batch.max_batched_tokens);
    let by_budget = work.rate_where(work.gaps + work.prompt_tokens, tokens);
    STABLE_SHARE * by_places.min(by_budget)
}

impl Waiting {
    pub(crate) fn new(work: &Work, state: &Steady, batch: &Batch, first: &FirstToken) -> Self {
        let most = f64::from(batch.max_waiting);
        let in_prompts = state.rate * (first.mean - 0.5 * state.met).max(0.0);
        let places = places(work, batch, state.rate, in_prompts);
        let decoding = state.decoding.max(1e-9);
        let by_cache = kv_places(work, batch) < f64::from(batch.max_sequences);
        let spread = if by_cache {
            (work.held_deviation / work.held_tokens.max(1.0)).powi(2)
        } else {
            0.0
        };
        let variance = state.decoding_variance.max(1e-12) + spread * decoding;
        // Wilson and Hilferty: the cube root of a gamma variable is nearly normal.
        let narrow = variance / (9.0 * decoding * decoding);
        let root = (places / decoding).cbrt();
        let z = (root - 1.0 + narrow) / narrow.sqrt();
        if z > 7.0 || work.gaps <= 0.0 {
            return Self::none();
        }
        let density = normal_density(z) * root / (3.0 * places * narrow.sqrt());
        let drain = places / (work.gaps * full_iteration(work, state, places));
        let growth = (state.rate - drain) / diffusion(state, variance);
        let beyond = Self::beyond(density, 1.0 - normal_above(z), growth, drain, most);
        if by_cache {
            beyond.preempting()
        } else {
            beyond
        }
    }

    /// With the KV cache full, a wait is the least of it: others are preempted, and to compute them
    /// again takes what was short.
    const fn preempting(self) -> Self {
        Self {
            preempted: self.chance,
            ..self
        }
    }

    const fn none() -> Self {
        Self {
            chance: 0.0,
            refused: 0.0,
            preempted: 0.0,
            mean: 0.0,
            drain: 1.0,
            growth: -1.0,
            most: 0.0,
        }
    }

    /// From the density at the number of places and the share below it.
    fn beyond(density: f64, below: f64, growth: f64, drain: f64, most: f64) -> Self {
        // Past 50 the exponential says "all wait" already.
        let growth = if growth * most > 50.0 {
            50.0 / most
        } else {
            growth
        };
        let last = (growth * most).exp();
        let (mass, mean) = if (growth * most).abs() < 1e-6 {
            (density * most, 0.5 * most)
        } else {
            let mean = most * last / (last - 1.0) - 1.0 / growth;
            (density * (last - 1.0) / growth, mean)
        };
        let all = mass + below;
        Self {
            chance: mass / all,
            refused: (density * last / all).min(mass / all),
            preempted: 0.0,
            mean: mean / drain,
            drain,
            growth,
            most,
        }
    }

    /// Share of arrivals that wait longer than this.
    pub(crate) fn above(&self, seconds: f64) -> f64 {
        let ahead = seconds * self.drain;
        if self.chance <= 0.0 || ahead >= self.most {
            return 0.0;
        }
        let last = (self.growth * self.most).exp();
        let share = if (last - 1.0).abs() < 1e-6 {
            1.0 - ahead / self.most
        } else {
            ((self.growth * ahead).exp() - last) / (1.0 - last)
        };
        self.chance * share.clamp(0.0, 1.0)
    }
}

/// Length of the iterations while all places are taken.
fn full_iteration(work: &Work, state: &Steady, places: f64) -> f64 {
    (work.base + work.step * places) / (1.0 - state.prompt_share).max(1e-9)
}

/// Half the variance that the number in the engine gains per second, as the unlimited engine has it:
/// what it has in the steady state times the pace at which it forgets.
fn diffusion(state: &Steady, variance: f64) -> f64 {
    let forgets = state.modes().slow_gap;
    (variance * forgets / state.iteration).max(1e-12)
}
