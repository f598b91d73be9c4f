//! The mean gap between the tokens of one request, and how it varies between requests.
//!
//! A request of `G` gaps averages over `G` iterations. Their lengths are correlated (the recursion
//! of [`crate::steady`] has a fast and a slow mode), and those right after the own prompt are longer:
//! the own prompt held up others, who now come.

use crate::distribution::Mixture;
use crate::first_token::prompt_budget;
use crate::iteration::Batch;
use crate::steady::Steady;
use crate::work::Work;

/// The modes of the recursion: each decays by a factor per iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Modes {
    slow: f64,
    fast: f64,
    /// 1 − slow, without cancellation.
    pub(crate) slow_gap: f64,
    fast_gap: f64,
}

impl Steady {
    pub(crate) fn modes(&self) -> Modes {
        let (stay, prompts, decodes) = (self.persistence, self.prompt_share, self.decode_share);
        // Two modes that fall together are kept apart by what does not show.
        let root = ((stay - prompts).powi(2) + 4.0 * decodes).sqrt().max(1e-6);
        let slow = 0.5 * (stay + prompts + root);
        let fast_gap = 0.5 * (2.0 - stay - prompts + root);
        // The product of the gaps is the determinant of what is left.
        let slow_gap = ((1.0 - stay) * (1.0 - prompts) - decodes) / fast_gap;
        Modes {
            slow,
            fast: 1.0 - fast_gap,
            slow_gap: slow_gap.max(1e-12),
            fast_gap,
        }
    }
}

/// Nodes and weights of Gauss and Hermite for a standard normal variable.
const NODES: [(f64, f64); 5] = [
    (-2.856_970_013_872_805_7, 0.011_257_411_327_720_69),
    (-1.355_626_179_974_266, 0.222_075_922_005_612_64),
    (0.0, 0.533_333_333_333_333_3),
    (1.355_626_179_974_266, 0.222_075_922_005_612_64),
    (2.856_970_013_872_805_7, 0.011_257_411_327_720_69),
];

/// Past this exponent the exponential is nothing, for shares of requests.
const NEVER: f64 = 16.0;

/// Distribution of a request's mean gap, over requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Gaps {
    /// By length of the answer: share of requests, and their distribution.
    by_length: [(f64, Mixture); NODES.len()],
    /// No iteration is shorter than the one or longer than the other.
    floor: f64,
    ceiling: f64,
}

impl Gaps {
    pub(crate) fn new(work: &Work, state: &Steady, batch: &Batch) -> Self {
        let ceiling = longest_iteration(work, state, batch);
        let window = Window::new(work, state);
        let spread = (1.0 + work.output_spread.powi(2)).ln();
        let median = (work.gaps + 1.0).ln() - 0.5 * spread;
        let one = |steps: f64| {
            let (mean, variance) = window.moments(work, state, steps);
            let mean = limited_mean(mean, state.iteration, ceiling);
            let most = ((ceiling - mean) * (mean - work.base)).max(f64::MIN_POSITIVE);
            // A variable in an interval has no more variance than this; near it, less.
            let variance = variance * most / (variance + most);
            Mixture::new(
                work.base,
                (mean, variance),
                (
                    work.base + state.decode_time + work.step,
                    state.decode_time_variance,
                ),
                undisturbed_share(work, state, steps),
            )
        };
        let by_length = if spread <= 0.0 {
            let all = one(work.gaps.max(1.0));
            NODES.map(|(z, _)| (if z == 0.0 { 1.0 } else { 0.0 }, all))
        } else {
            NODES.map(|(z, weight)| {
                let steps = (median + spread.sqrt() * z).exp() - 1.0;
                // Who gets a single token has no gap to judge.
                let judged = if steps < 0.5 { 0.0 } else { weight };
                (judged, one(steps.max(1.0)))
            })
        };
        Self {
            by_length,
            floor: work.base,
            ceiling,
        }
    }

    /// Share of requests whose mean gap is longer than this.
    pub(crate) fn above(&self, seconds: f64) -> f64 {
        if seconds <= self.floor {
            return 1.0;
        }
        if seconds >= self.ceiling {
            return 0.0;
        }
        let logarithm = (seconds - self.floor).ln();
        self.by_length
            .iter()
            .filter(|(weight, _)| *weight > 0.0)
            .map(|(weight, gap)| weight * gap.above_logarithm(logarithm))
            .sum()
    }
}

/// Mean gap as the tokens see it.
pub(crate) fn mean_gap(work: &Work, state: &Steady, batch: &Batch) -> f64 {
    limited_mean(
        state.gap,
        state.iteration,
        longest_iteration(work, state, batch),
    )
}

/// An iteration with all that may decode and a full budget of prompt tokens.
fn longest_iteration(work: &Work, state: &Steady, batch: &Batch) -> f64 {
    let decode_time = state.decode_time + 2.0 * state.decode_time_variance.max(0.0).sqrt();
    let prompts = if work.prompt_tokens > 0.0 {
        work.per_token * prompt_budget(state, batch)
    } else {
        0.0
    };
    (work.base + decode_time + prompts).max(state.iteration * 1.001)
}

/// What a mean becomes when the budget spreads long prompts over several iterations: the excess over
/// the mean iteration cannot pass what the longest leaves.
fn limited_mean(mean: f64, iteration: f64, longest: f64) -> f64 {
    let excess = (mean - iteration).max(0.0);
    let room = (longest - iteration).max(f64::MIN_POSITIVE);
    iteration + excess * room / (excess + room)
}

/// What does not depend on the length of the answer.
struct Window {
    modes: Modes,
    /// Logarithms of the modes' factors.
    slow_decay: f64,
    fast_decay: f64,
    /// Parts of the variance of an iteration that decay with either mode.
    slow_variance: f64,
    fast_variance: f64,
    /// Excess of the own iteration over the mean.
    own_excess: f64,
}

impl Window {
    fn new(work: &Work, state: &Steady) -> Self {
        let modes = state.modes();
        let next = state.decode_time_covariance + state.prompt_share * state.iteration_variance;
        let (slow_variance, fast_variance) = modes.split(state.iteration_variance, next);
        Self {
            modes,
            slow_decay: (-modes.slow_gap).ln_1p(),
            fast_decay: (-modes.fast_gap).ln_1p(),
            slow_variance,
            fast_variance,
            own_excess: work.prompt + next / state.iteration,
        }
    }

    /// Mean and variance of the mean gap of a request with so many gaps.
    fn moments(&self, work: &Work, state: &Steady, steps: f64) -> (f64, f64) {
        let Modes {
            slow,
            fast,
            slow_gap,
            fast_gap,
        } = self.modes;
        let slow = Average::new(slow, slow_gap, self.slow_decay, steps);
        let fast = Average::new(fast, fast_gap, self.fast_decay, steps);
        // Effect on the average of so much decode time and so long an iteration at the start.
        let effect = |decode_time: f64, iteration: f64| {
            let next = decode_time + state.prompt_share * iteration;
            let (by_slow, by_fast) = self.modes.split(iteration, next);
            by_slow * slow.of_start + by_fast * fast.of_start
        };
        // A request arrives in a long iteration rather than in a short one.
        let met = (self.slow_variance * self.modes.slow * slow.of_start
            + self.fast_variance * self.modes.fast * fast.of_start)
            / state.iteration;
        let own = effect(work.step, work.prompt);
        // Its KV cache has arrived in the middle of an iteration, and the first gap includes the rest.
        let joining = if work.prompt_tokens > 0.0 {
            0.0
        } else {
            0.5 * state.met / steps
        };
        let mean = state.iteration + own + met + joining;

        let lasting = self.slow_variance * slow.of_pairs + self.fast_variance * fast.of_pairs;
        let own_length = effect(work.step_deviation, work.prompt_deviation);
        let met_length = effect(state.decode_share, state.prompt_share);
        // The longer the iterations, the more arrive in them: noise on top of the steady state's.
        let more = state.rate * (self.own_excess + steps * (own + met));
        let of_each = (work.prompt / steps + own).powi(2)
            + (work.prompt_deviation / steps + own_length).powi(2);
        let variance = lasting
            + own_length * own_length
            + met_length * met_length * state.met_excess()
            + more * of_each;
        (mean, variance.max(0.0))
    }
}

impl Modes {
    /// The parts of a decaying quantity in either mode, from its value now and one iteration later.
    fn split(&self, now: f64, next: f64) -> (f64, f64) {
        let by_slow = (next - self.fast * now) / (self.slow - self.fast);
        (by_slow, now - by_slow)
    }
}

/// Chance that no prompt arrives from the own one on until the last gap but one. With short answers
/// few requests meet one, and those few are held up long.
fn undisturbed_share(work: &Work, state: &Steady, steps: f64) -> f64 {
    let without = work.base + state.decode_time;
    let prompts = state.rate * (work.prompt + steps * without);
    if prompts > NEVER {
        0.0
    } else {
        (-prompts).exp()
    }
}

/// Averages over a window of iterations of what decays by `factor` each.
struct Average {
    /// Of the decay itself, from the first iteration on.
    of_start: f64,
    /// Of the correlation between all pairs of iterations.
    of_pairs: f64,
}

impl Average {
    fn new(factor: f64, gap: f64, decay: f64, steps: f64) -> Self {
        let lasting = gap * steps;
        if lasting < 1e-4 {
            return Self {
                of_start: factor * (1.0 - 0.5 * lasting),
                of_pairs: 1.0 - lasting / 3.0,
            };
        }
        let left = if factor > 0.0 && lasting < NEVER {
            (steps * decay).exp()
        } else {
            0.0
        };
        let of_start = factor * (1.0 - left) / lasting;
        let pairs = factor / gap * (1.0 - (1.0 - left) / lasting);
        Self {
            of_start,
            of_pairs: (1.0 + 2.0 * pairs) / steps,
        }
    }
}
