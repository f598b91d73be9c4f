//! WVA's model of a replica (its `pkg/analyzer`, version of 2026-02-19): a state-dependent M/M/1/K
//! queue. Kept to compare with, vector by vector; what sizes and tracks is [`crate::queue`].
//!
//! With `I` and `O` the mean lengths, an iteration of `n` requests lasts
//! `α + n·(β·(I+O)/(O+1) + γ·(I+O/2))`. A request takes one iteration for its prompt, longer by
//! `(β+γ)·I`, and `O` for its answer, longer by `β + γ·(I+O/2)`. Any unit of time; rates are its
//! inverse.

use crate::chain::{self, Chain};
use crate::error::{ModelError, within};
use crate::iteration::{Iteration, Lengths};

/// Share of the largest service rate that the queue is never asked beyond, and WVA's head-room for
/// a throughput target.
const STABILITY: f64 = 0.001;
const THROUGHPUT_HEADROOM: f64 = 0.1;

/// A replica as WVA models it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlainReplica {
    iteration: Iteration,
    input: f64,
    output: f64,
    max_batch: u32,
    capacity: u32,
}

/// WVA's figures at a rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlainOperation {
    pub throughput: f64,
    pub response: f64,
    pub wait: f64,
    pub in_service: f64,
    pub prefill: f64,
    pub itl: f64,
    /// Wait, prefill and one gap.
    pub ttft: f64,
    /// Share of the batch that is taken.
    pub utilisation: f64,
}

/// Bounds on means; `None` is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlainTargets {
    pub ttft: Option<f64>,
    pub itl: Option<f64>,
    /// Tokens per unit of time. WVA does not search for it, it leaves head-room.
    pub tokens: Option<f64>,
}

/// The largest rate for each target, and what the replica does at the least of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlainSized {
    pub rate_for_ttft: f64,
    pub rate_for_itl: f64,
    pub rate_for_tokens: f64,
    pub operation: PlainOperation,
}

impl PlainReplica {
    /// # Errors
    /// [`ModelError::Invalid`] where a parameter is out of range.
    pub fn new(
        iteration: Iteration,
        lengths: Lengths,
        max_batch: u32,
        max_waiting: u32,
    ) -> Result<Self, ModelError> {
        within("iteration base", iteration.base_seconds, 0.0, 1e9)?;
        within(
            "iteration time per token",
            iteration.token_seconds,
            0.0,
            1e9,
        )?;
        within(
            "iteration time per KV token",
            iteration.kv_token_seconds,
            0.0,
            1e9,
        )?;
        within("input tokens", lengths.input_tokens, 0.0, 1e9)?;
        within("output tokens", lengths.output_tokens, 0.0, 1e9)?;
        within("batch", f64::from(max_batch), 1.0, 1e9)?;
        within("waiting requests", f64::from(max_waiting), 0.0, 1e9)?;
        Ok(Self {
            iteration,
            input: lengths.input_tokens,
            output: lengths.output_tokens,
            max_batch,
            capacity: max_batch.saturating_add(max_waiting),
        })
    }

    /// Time of an iteration with so many requests.
    #[must_use]
    pub fn iteration(&self, n: f64) -> f64 {
        let Iteration {
            base_seconds: base,
            token_seconds: token,
            kv_token_seconds: kv,
        } = self.iteration;
        let (input, output) = (self.input, self.output);
        let per_request = token * (input + output) / (output + 1.0) + kv * (input + output / 2.0);
        base + n * per_request
    }

    /// Time of the prompt with so many requests in the batch.
    #[must_use]
    pub fn prefill(&self, n: f64) -> f64 {
        if self.input == 0.0 {
            return 0.0;
        }
        let per_token = self.iteration.token_seconds + self.iteration.kv_token_seconds;
        self.iteration(n) + per_token * self.input
    }

    /// Time of one token of the answer with so many requests in the batch.
    #[must_use]
    pub fn decode(&self, n: f64) -> f64 {
        let held = self.input + self.output / 2.0;
        self.iteration(n) + self.iteration.token_seconds + self.iteration.kv_token_seconds * held
    }

    fn service_rate(&self, n: u32) -> f64 {
        let n = f64::from(n);
        n / (self.prefill(n) + self.output * self.decode(n))
    }

    /// Smallest and largest rate of WVA's searches.
    #[must_use]
    pub fn rates(&self) -> (f64, f64) {
        let least = self.service_rate(1) * STABILITY;
        let most = self.service_rate(self.max_batch) * (1.0 - STABILITY);
        (least, most)
    }

    /// # Errors
    /// [`ModelError::RateOutOfRange`] unless the rate is above 0 and at most the largest,
    /// [`ModelError::Invalid`] where the answer has less than one token.
    pub fn at(&self, rate: f64) -> Result<PlainOperation, ModelError> {
        within("output tokens", self.output, 1.0, 1e9)?;
        let (_, max) = self.rates();
        if !(rate > 0.0 && rate <= max) {
            return Err(ModelError::RateOutOfRange { rate, max });
        }
        let chain = chain::solve(rate, self.max_batch, self.capacity, |n| {
            self.service_rate(n)
        })?;
        Ok(self.operation(&chain))
    }

    fn operation(&self, chain: &Chain) -> PlainOperation {
        let prefill = self.prefill(chain.in_service);
        let itl = (chain.service - prefill) / self.output;
        PlainOperation {
            throughput: chain.throughput,
            response: chain.response,
            wait: chain.wait,
            in_service: chain.in_service,
            prefill,
            itl,
            ttft: chain.wait + prefill + itl,
            utilisation: (chain.in_service / f64::from(self.max_batch)).clamp(0.0, 1.0),
        }
    }

    /// The largest rate that meets targets for means.
    ///
    /// # Errors
    /// [`ModelError::Invalid`] for a target that is not positive,
    /// [`ModelError::TargetUnreachable`] for one below what the least rate gives.
    pub fn size(&self, targets: &PlainTargets) -> Result<PlainSized, ModelError> {
        let (_, most) = self.rates();
        let rate_for_ttft = self.rate_for("TTFT", targets.ttft, |at| at.ttft)?;
        let rate_for_itl = self.rate_for("ITL", targets.itl, |at| at.itl)?;
        let rate_for_tokens = match targets.tokens {
            Some(tokens) => {
                within("throughput target", tokens, f64::MIN_POSITIVE, 1e300)?;
                most * (1.0 - THROUGHPUT_HEADROOM)
            }
            None => most,
        };
        let rate = rate_for_ttft.min(rate_for_itl).min(rate_for_tokens);
        Ok(PlainSized {
            rate_for_ttft,
            rate_for_itl,
            rate_for_tokens,
            operation: self.at(rate)?,
        })
    }

    fn rate_for(
        &self,
        what: &'static str,
        target: Option<f64>,
        value: impl Fn(&PlainOperation) -> f64,
    ) -> Result<f64, ModelError> {
        let (least, most) = self.rates();
        let Some(target) = target else {
            return Ok(most);
        };
        within(what, target, f64::MIN_POSITIVE, 1e300)?;
        let found = bisect(least, most, target, |rate| Ok(value(&self.at(rate)?)))?;
        match found {
            Found::Below { value, .. } => Err(ModelError::TargetUnreachable {
                what,
                target,
                best: value,
            }),
            Found::Inside(rate) | Found::Above { at: rate, .. } => Ok(rate),
        }
    }
}

/// Where a target lies with respect to the values of a function on an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Found {
    Inside(f64),
    /// Below all values: the place of the least and its value.
    Below {
        at: f64,
        value: f64,
    },
    /// Above all values: the place of the greatest and its value.
    Above {
        at: f64,
        value: f64,
    },
}

/// Relative error of the value found.
const TOLERANCE: f64 = 1e-6;

/// Most halvings.
const HALVINGS: u32 = 100;

/// Where a monotone function takes the value `target`, as WVA's binary search does it.
///
/// # Errors
/// [`ModelError::Invalid`] where `least > most`, and what the function gives.
pub fn bisect(
    least: f64,
    most: f64,
    target: f64,
    f: impl Fn(f64) -> Result<f64, ModelError>,
) -> Result<Found, ModelError> {
    within("lower end", least, f64::MIN, most)?;
    let (first, last) = (f(least)?, f(most)?);
    for (x, value) in [(least, first), (most, last)] {
        if within_tolerance(value, target, TOLERANCE) {
            return Ok(Found::Inside(x));
        }
    }
    let rises = first < last;
    let (bottom, top) = if rises {
        ((least, first), (most, last))
    } else {
        ((most, last), (least, first))
    };
    if target < bottom.1 {
        return Ok(Found::Below {
            at: bottom.0,
            value: bottom.1,
        });
    }
    if target > top.1 {
        return Ok(Found::Above {
            at: top.0,
            value: top.1,
        });
    }
    let (mut low, mut high) = (least, most);
    let mut middle = f64::midpoint(low, high);
    for _ in 0..HALVINGS {
        middle = f64::midpoint(low, high);
        let value = f(middle)?;
        if within_tolerance(value, target, TOLERANCE) {
            break;
        }
        if (value < target) == rises {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(Found::Inside(middle))
}

/// Whether `x` is `value` up to a relative `tolerance`; nothing but itself is near zero.
#[must_use]
pub fn within_tolerance(x: f64, value: f64, tolerance: f64) -> bool {
    x == value || value != 0.0 && tolerance >= 0.0 && ((x - value) / value).abs() <= tolerance
}
