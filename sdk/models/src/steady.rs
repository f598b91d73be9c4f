//! The steady state of continuous batching, to second order.
//!
//! All that arrives during one iteration is computed in the next. So the iterations' lengths `D`
//! excite themselves: with `K` the time of the sequences that decode and Poisson arrivals,
//! `D' = α + K' + Σ prompts that arrived in D`, and `K'` is what is left of `K` plus what arrived.
//! That is linear in the state, hence means and covariances are exact where no limit of the batch
//! binds and answers end with a constant chance per step; other spreads of answers change only how
//! much of the noise enters with the arrivals. An engine that idles is one that runs empty
//! iterations of length α, but for the wait of who arrives in one.
//!
//! `E[D] = α / (1 − rate · work)` is the fluid answer, which Little's law gives too; the gap that a
//! token sees is longer, since long iterations are those with many sequences in them.

use std::f64::consts::SQRT_2;

use crate::distribution::normal_above;
use crate::matrix::solve;
use crate::work::Work;

/// Means, covariances and what follows from them, at one rate. Times in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Steady {
    pub(crate) rate: f64,
    /// Mean length of an iteration, its variance and third cumulant.
    pub(crate) iteration: f64,
    pub(crate) iteration_variance: f64,
    iteration_third: f64,
    /// Mean number of sequences that decode, and its variance.
    pub(crate) decoding: f64,
    pub(crate) decoding_variance: f64,
    /// Mean time that they add to an iteration, its variance, and its covariance with the length of
    /// the iteration before.
    pub(crate) decode_time: f64,
    pub(crate) decode_time_variance: f64,
    pub(crate) decode_time_covariance: f64,
    /// Mean length of an iteration as the tokens see it, before the limits of the batch.
    pub(crate) gap: f64,
    /// First and second moment of the iteration in which a request arrives.
    pub(crate) met: f64,
    pub(crate) met_square: f64,
    /// Share of the engine that prompts take.
    pub(crate) prompt_share: f64,
    /// Decode time that arrivals add to the next iteration, per second of this one.
    pub(crate) decode_share: f64,
    /// Share of sequences that go on decoding from one iteration to the next.
    pub(crate) persistence: f64,
    /// Chance that an arrival finds the engine idle.
    pub(crate) idle: f64,
}

impl Steady {
    /// The state at a rate below `1 / work.total()`.
    pub(crate) fn at(work: &Work, rate: f64) -> Self {
        Self::with_iteration(work, rate, work.base / (1.0 - rate * work.total()))
    }

    /// The same where the mean iteration is known by other means, such as measurement.
    pub(crate) fn with_iteration(work: &Work, rate: f64, iteration: f64) -> Self {
        let flow = Flow::new(work, rate, iteration);
        let [
            decode_time_variance,
            decode_time_covariance,
            iteration_variance,
        ] = flow.times(work);
        let (decoding_variance, gap_covariance) =
            flow.counts(work, decode_time_covariance, iteration_variance);
        let iteration_third = flow.third_cumulant(work, iteration, iteration_variance);
        let decoding = flow.arrivals * work.gaps;
        let longer = if decoding > 0.0 {
            gap_covariance / decoding
        } else {
            0.0
        };
        Self {
            rate,
            iteration,
            iteration_variance,
            iteration_third,
            decoding,
            decoding_variance,
            decode_time: decoding * work.step,
            decode_time_variance,
            decode_time_covariance,
            gap: iteration + longer,
            met: iteration + iteration_variance / iteration,
            met_square: iteration * iteration
                + 3.0 * iteration_variance
                + iteration_third / iteration,
            prompt_share: flow.prompt_share,
            decode_share: flow.decode_share,
            persistence: flow.persistence,
            idle: idle_chance(work, &flow),
        }
    }

    /// By how much the variance of the iteration in which a request arrives exceeds that of any.
    pub(crate) fn met_excess(&self) -> f64 {
        let longer = self.iteration_variance / self.iteration;
        (self.iteration_third / self.iteration - longer * longer).max(0.0)
    }
}

/// The linear recursion `(K, D) → (K', D')`, with what drives it.
struct Flow {
    rate: f64,
    /// Mean number of requests that arrive in one iteration.
    arrivals: f64,
    persistence: f64,
    prompt_share: f64,
    decode_share: f64,
    /// Steps that a request adds to the iteration after its prompt: one, or less on average where
    /// most answers are a single token.
    joining: f64,
    /// How much of the randomness in the number that decodes comes with arrivals, the rest being
    /// that of departures: √2 where all answers are equally long, 1 where they end by chance.
    at_arrival: f64,
}

impl Flow {
    fn new(work: &Work, rate: f64, iteration: f64) -> Self {
        let joining = work.gaps.min(1.0);
        Self {
            rate,
            arrivals: rate * iteration,
            persistence: if work.gaps > 1.0 {
                1.0 - 1.0 / work.gaps
            } else {
                0.0
            },
            prompt_share: rate * work.prompt,
            decode_share: rate * work.step * joining,
            joining,
            at_arrival: (2.0 * survival_square(work.output_spread)).sqrt(),
        }
    }

    /// Variance of `K`, its covariance with the `D` before, and the variance of `D`.
    fn times(&self, work: &Work) -> [f64; 3] {
        let (stay, prompts, decodes) = (self.persistence, self.prompt_share, self.decode_share);
        let step = work.step * self.joining;
        let step_deviation = work.step_deviation * self.joining;
        let step_square = step * step + step_deviation * step_deviation;
        let prompt_square = work.prompt * work.prompt + work.prompt_deviation.powi(2);
        let both = step * work.prompt + step_deviation * work.prompt_deviation;
        solve(
            [
                [1.0 - stay * stay, -2.0 * stay * decodes, -decodes * decodes],
                [-stay, 1.0 - stay * prompts - decodes, -decodes * prompts],
                [-1.0, -2.0 * prompts, 1.0 - prompts * prompts],
            ],
            [
                2.0 * self.arrivals * step_square,
                self.at_arrival * self.arrivals * both,
                self.arrivals * prompt_square,
            ],
        )
    }

    /// Variance of the number of sequences that decode, and its covariance with `D`.
    fn counts(&self, work: &Work, covariance: f64, variance: f64) -> (f64, f64) {
        let (stay, prompts, decodes) = (self.persistence, self.prompt_share, self.decode_share);
        let coming = self.rate * self.joining;
        let step = work.step * self.joining;
        let noise = 2.0 * self.arrivals * self.joining;
        let with_times = stay * coming * covariance + coming * decodes * variance + noise * step;
        let with_iteration = coming * covariance
            + coming * prompts * variance
            + self.at_arrival * self.arrivals * self.joining * work.prompt;
        let leave = 1.0 - stay * stay;
        let keep = 1.0 - stay * prompts;
        let determinant = leave * keep - stay * stay * decodes;
        let times = (with_times * keep + stay * decodes * with_iteration) / determinant;
        let iterations = (leave * with_iteration + stay * with_times) / determinant;
        let count = (2.0 * stay * coming * iterations + coming * coming * variance + noise) / leave;
        (count, times + prompts * iterations)
    }

    /// Third cumulant of `D` from the prompts, whose lengths are skewed.
    fn third_cumulant(&self, work: &Work, iteration: f64, variance: f64) -> f64 {
        let (second, third) = work.prompt_moments;
        let by_square = self.rate * work.prompt.powi(2) * second;
        let by_cube = self.rate * work.prompt.powi(3) * third;
        (3.0 * self.prompt_share * by_square * variance + by_cube * iteration)
            / (1.0 - self.prompt_share.powi(3))
    }
}

/// `Σ S² / Σ S` of the share `S` of answers that are longer than so many steps, for log-normal
/// lengths of this spread: 1 where all are equal, ½ where they end by chance.
fn survival_square(spread: f64) -> f64 {
    let scale = (1.0 + spread * spread).ln().sqrt();
    2.0 * normal_above(scale / SQRT_2)
}

/// Chance that nothing is in the engine: that of an empty system with processor sharing, whose
/// speed depends on the number present as that of the engine does.
fn idle_chance(work: &Work, flow: &Flow) -> f64 {
    let left = 1.0 - flow.prompt_share;
    let decoding = flow.decode_share * work.gaps.max(1.0) / left;
    let empty = if decoding > 1e-9 {
        let exponent = work.base / work.step + 1.0;
        ((1.0 - decoding).ln() * exponent).exp()
    } else {
        (-flow.rate * work.gaps * work.base / left).exp()
    };
    empty * left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iteration::{Iteration, Lengths, Role, Spread};

    fn steady(load: f64, spread: Spread) -> (Work, Steady) {
        let iteration = Iteration {
            base_seconds: 0.006,
            token_seconds: 32e-6,
            kv_token_seconds: 0.05e-6,
        };
        let lengths = Lengths::new(1155.0, 211.0).with_spread(spread);
        let work = Work::new(Role::Both, &iteration, &lengths);
        let state = Steady::at(&work, load / work.total());
        (work, state)
    }

    #[test]
    fn little_load_leaves_the_engine_as_if_alone() {
        let (work, state) = steady(1e-6, Spread::NONE);
        assert!((state.iteration / work.base - 1.0).abs() < 1e-5);
        // One sequence alone sees α and its own step.
        assert!((state.gap / (work.base + work.step) - 1.0).abs() < 1e-3);
        assert!(state.idle > 0.999);
    }

    #[test]
    fn gap_exceeds_the_fluid_answer_more_the_busier() {
        let mut last = 0.0;
        for load in [0.2, 0.4, 0.6, 0.8, 0.9] {
            let (work, state) = steady(load, Spread::CONVERSATION);
            let fluid = work.base / (1.0 - load);
            assert!((state.iteration / fluid - 1.0).abs() < 1e-9);
            let excess = state.gap - fluid;
            assert!(excess > last, "{excess} at load {load}");
            last = excess;
        }
    }

    #[test]
    fn equally_long_answers_survive_entirely() {
        assert!((survival_square(0.0) - 1.0).abs() < 1e-6);
        assert!(survival_square(0.8) > survival_square(2.0));
    }
}
