//! The tail: what share of requests a bound leaves out, and what a percentile of them sees.
//!
//! Predicted by the model from the spread of lengths (see `first_token` and
//! `gaps`), then stretched by what observation taught.

use crate::distribution::Mixture;
use crate::gaps::Gaps;
use crate::queue::{Operation, Replica};
use crate::search::{Bracket, Enough};
use crate::waiting::Waiting;

/// How observed percentiles compare with predicted ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tail {
    /// Observed percentile of TTFT over the predicted one; 1 until learned.
    pub ttft_factor: f64,
    /// Observed percentile of ITL over the predicted one; 1 until learned.
    pub itl_factor: f64,
}

/// TTFT, and a request's mean ITL, at a percentile of requests. In seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantiles {
    pub ttft_seconds: f64,
    pub itl_seconds: f64,
}

/// Factors are kept within this; what lies beyond says that the model is wrong, not its tail.
const FACTORS: (f64, f64) = (0.5, 3.0);

/// Share of an observation's surprise that a factor takes over.
const LEARNED_SHARE: f64 = 0.1;

impl Tail {
    /// The model's own prediction, nothing learned yet.
    #[must_use]
    pub const fn prior() -> Self {
        Self {
            ttft_factor: 1.0,
            itl_factor: 1.0,
        }
    }

    /// What the share `percentile` (inside 0..1) of requests stays below, in an operation of this
    /// replica.
    #[must_use]
    pub fn quantiles(
        &self,
        replica: &Replica,
        operation: &Operation,
        percentile: f64,
    ) -> Quantiles {
        Tails::new(replica, operation.rate).quantiles(self, percentile)
    }

    /// Moves the factors towards observed percentiles over what [`Tail::prior`] predicts for the
    /// rate at which they were observed.
    pub fn learn(&mut self, predicted: &Quantiles, ttft: Option<f64>, itl: Option<f64>) {
        learn_factor(&mut self.ttft_factor, ttft, predicted.ttft_seconds);
        learn_factor(&mut self.itl_factor, itl, predicted.itl_seconds);
    }
}

fn learn_factor(factor: &mut f64, observed: Option<f64>, predicted: f64) {
    let Some(ratio) = observed.map(|seconds| seconds / predicted) else {
        return;
    };
    if ratio.is_finite() && ratio > 0.0 {
        let (least, most) = FACTORS;
        let ratio = ratio.clamp(least, most);
        *factor = (*factor + LEARNED_SHARE * (ratio - *factor)).clamp(least, most);
    }
}

/// The distributions of TTFT and of the mean gap at one rate.
pub(crate) struct Tails {
    first: Mixture,
    /// Mean of `first`.
    prompt_seconds: f64,
    waiting: Waiting,
    gaps: Option<Gaps>,
    /// Mean gap, where a percentile search starts.
    gap: f64,
}

impl Tails {
    pub(crate) fn new(replica: &Replica, rate: f64) -> Self {
        let state = replica.state(rate);
        let work = replica.work();
        let first = state.first.distribution(work);
        let gaps = (work.gaps > 0.0).then(|| Gaps::new(work, &state.steady, replica.batch()));
        Self {
            first,
            prompt_seconds: state.first.mean,
            waiting: state.waiting,
            gaps,
            gap: state.steady.gap,
        }
    }

    /// Share of requests whose first token comes later than this.
    pub(crate) fn ttft_above(&self, seconds: f64) -> f64 {
        let waited = (seconds - self.prompt_seconds).max(0.0);
        let by_waiting = self.waiting.above(waited);
        let otherwise = (1.0 - self.waiting.chance) * self.first.above(seconds);
        let of_waiting = (self.waiting.chance - by_waiting) * self.first.above(seconds);
        (by_waiting + otherwise + of_waiting).min(1.0)
    }

    /// Share of requests whose mean gap is longer than this.
    pub(crate) fn itl_above(&self, seconds: f64) -> f64 {
        self.gaps.as_ref().map_or(0.0, |gaps| gaps.above(seconds))
    }

    /// Share of requests that are turned away or preempted.
    pub(crate) fn failed(&self) -> f64 {
        self.waiting.refused.max(self.waiting.preempted)
    }

    /// What the share `percentile` stays below; the mean gap where no request has one.
    pub(crate) fn quantiles(&self, tail: &Tail, percentile: f64) -> Quantiles {
        let percentile = percentile.clamp(1e-6, 1.0 - 1e-6);
        let ttft = quantile(self.prompt_seconds, percentile, |x| self.ttft_above(x));
        let itl = match &self.gaps {
            Some(gaps) => quantile(self.gap, percentile, |x| gaps.above(x)),
            None => self.gap,
        };
        Quantiles {
            ttft_seconds: tail.ttft_factor * ttft,
            itl_seconds: tail.itl_factor * itl,
        }
    }
}

/// A percentile is told to within a hundredth of what lies beyond it, or a thousandth of itself.
const NEAR: Enough = Enough {
    below: 0.01,
    width: 1e-3,
};

/// Where `above` falls to `1 − percentile`, searched from the mean on.
fn quantile(mean: f64, percentile: f64, above: impl Fn(f64) -> f64) -> f64 {
    // In logarithms the tail is nearly straight.
    let surplus = |x: f64| (above(x).max(1e-12) / (1.0 - percentile)).ln();
    let at = |x: f64| (x, surplus(x));
    let mut near = at(mean);
    let upwards = near.1 > 0.0;
    for _ in 0..40 {
        let far = at(if upwards { 1.8 * near.0 } else { near.0 / 1.8 });
        if (far.1 > 0.0) != upwards {
            let bracket = Bracket {
                low: near,
                high: far,
            };
            return bracket.crossing(NEAR, surplus);
        }
        near = far;
    }
    near.0
}
