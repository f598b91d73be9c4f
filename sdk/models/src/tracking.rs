//! Follows the three constants of a replica's iteration from observed TTFT and ITL: an extended
//! Kalman filter over [base, token, KV token].
//!
//! The mean gap is read through the balance that holds whatever the constants are: of a mean
//! iteration `D`, `α` is its base and `rate · work · D` what arrived meanwhile. With `D` as measured
//! that is linear in the constants, defined where a wrong guess would have no steady state, and does
//! not magnify noise near saturation as the prediction `α / (1 − rate · work)` does. TTFT is read
//! through the corrected model at that `D`; it tells the cost of prompts from that of the base.
//!
//! At one steady load the three are not separately observable. The state is drawn back to the prior,
//! slowly, and its uncertainty with it: what is observed holds against that, what is not returns.

use crate::filter::{self, Reading};
use crate::first_token::FirstToken;
use crate::gaps::mean_gap;
use crate::iteration::{Batch, Iteration, Lengths, Role};
use crate::matrix::{self, Matrix3, Vector3};
use crate::queue::Replica;
use crate::steady::Steady;
use crate::waiting::Waiting;
use crate::work::Work;

/// Means over a window, of one replica or averaged over the replicas of a variant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    pub role: Role,
    /// Requests finished per second and replica.
    pub rate: f64,
    /// Requests that the means are taken over, of all replicas together; says how far to trust them.
    pub requests: f64,
    pub lengths: Lengths,
    pub batch: Batch,
    pub ttft_seconds: Option<f64>,
    /// Mean over tokens.
    pub itl_seconds: Option<f64>,
    /// Mean requests in the running batch of a replica, where it was measured.
    pub running: Option<f64>,
}

/// What became of an observation. `nis` is the normalised innovation squared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    Accepted {
        nis: f64,
    },
    /// Too far from what the parameters allow; they stay as they were.
    Rejected {
        nis: f64,
    },
    /// Nothing measured, or not in a state that the model knows.
    Unusable,
}

/// How far to trust the tracked parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confidence {
    /// Observations accepted so far.
    pub accepted: u32,
    /// Relative standard deviation of the time of one iteration at the last observed load.
    pub relative_error: f64,
}

/// The filter. Plain values: store all of them to go on where it stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tracker {
    /// Seconds: base, token, KV token.
    pub state: Vector3,
    /// Row-major.
    pub covariance: Matrix3,
    /// Where it started; pulls back what is not observed.
    pub prior: Vector3,
    pub accepted: u32,
    pub rejected_in_a_row: u32,
    pub relative_error: f64,
}

/// Relative standard deviations of a prior: of all constants together, since what a data sheet says
/// is missed by one efficiency, and of each on its own.
const COMMON_ERROR: f64 = 0.4;
const OWN_ERROR: f64 = 0.5;

/// Share of the way to the prior that each observation gives back; half of it in six hours of ticks.
const PULL: f64 = 3e-5;

/// Bounds of the state, as multiples of the prior.
const BOUNDS: (f64, f64) = (0.1, 10.0);

/// 97.5 % quantiles of χ² with one and with two degrees of freedom; more surprise is not believed.
const GATES: [f64; 2] = [5.024, 7.378];

/// So many observations in a row that are not believed say that the world has changed.
const REJECTIONS: u32 = 3;

/// What the covariance is then multiplied with.
const INFLATION: f64 = 4.0;

/// Relative errors of the model itself, on gap and first token.
const ITL_ERROR: f64 = 0.05;
const TTFT_ERROR: f64 = 0.08;

/// Relative standard deviation of the work of one request, and of its time to first token.
const WORK_SPREAD: f64 = 0.8;
const TTFT_SPREAD: f64 = 0.8;

/// TTFT is not read where more than this share of requests wait for a place.
const MOST_WAITING: f64 = 0.05;

/// Busier than this the engine is not taken to have been, since it finished what arrived.
const MOST_BUSY: f64 = 0.97;

/// Measurements outside of these are no measurements.
const SECONDS: std::ops::RangeInclusive<f64> = 1e-6..=1e5;
const REQUESTS: std::ops::RangeInclusive<f64> = 1e-3..=1e12;
const RATES: std::ops::RangeInclusive<f64> = 1e-6..=1e6;

impl Tracker {
    /// Starts from constants that are known to within a factor of two or so.
    #[must_use]
    pub fn new(prior: Iteration) -> Self {
        let state = [
            prior.base_seconds,
            prior.token_seconds,
            prior.kv_token_seconds,
        ];
        Self {
            state,
            covariance: uncertainty(&state),
            prior: state,
            accepted: 0,
            rejected_in_a_row: 0,
            relative_error: COMMON_ERROR.hypot(OWN_ERROR),
        }
    }

    /// The constants as tracked.
    #[must_use]
    pub fn iteration(&self) -> Iteration {
        iteration_of(&self.state)
    }

    #[must_use]
    pub fn confidence(&self) -> Confidence {
        Confidence {
            accepted: self.accepted,
            relative_error: self.relative_error,
        }
    }

    /// Learns from one observation.
    pub fn update(&mut self, observation: &Observation) -> Verdict {
        let (state, covariance) = self.predicted();
        let state = bounded(&feasible(&state, observation), &self.prior);
        let readings = readings(&state, observation);
        let Some(gate) = readings.len().checked_sub(1).and_then(|at| GATES.get(at)) else {
            return Verdict::Unusable;
        };
        let mut updated = filter::update(&state, &covariance, &readings);
        if updated.surprise >= *gate && readings.len() > 1 {
            // The gap tells more than the first token, which is the first to be disturbed.
            let alone = filter::update(&state, &covariance, readings.get(..1).unwrap_or_default());
            if alone.surprise < GATES[0] {
                updated = alone;
            }
        }
        let nis = updated.surprise;
        if !nis.is_finite() || nis >= *gate {
            self.reject();
            return Verdict::Rejected { nis };
        }
        self.state = bounded(&updated.state, &self.prior);
        self.covariance = updated.covariance;
        self.accepted = self.accepted.saturating_add(1);
        self.rejected_in_a_row = 0;
        self.relative_error = error_of(&self.state, &self.covariance, observation);
        Verdict::Accepted { nis }
    }

    /// State and covariance before the observation: a little nearer to the prior.
    fn predicted(&self) -> (Vector3, Matrix3) {
        let kept = 1.0 - PULL;
        let prior = uncertainty(&self.prior);
        let (old, new) = (kept * kept, 1.0 - kept * kept);
        (
            matrix::combine(kept, &self.state, PULL, &self.prior),
            matrix::combine(old, &self.covariance, new, &prior),
        )
    }

    fn reject(&mut self) {
        self.rejected_in_a_row = self.rejected_in_a_row.saturating_add(1);
        if self.rejected_in_a_row.is_multiple_of(REJECTIONS) {
            let most = uncertainty(&self.prior);
            let inflated = self.covariance.map(|value| INFLATION * value);
            self.covariance = if matrix::trace(&inflated) < matrix::trace(&most) {
                inflated
            } else {
                most.map(|value| INFLATION * value)
            };
        }
    }
}

fn iteration_of(state: &Vector3) -> Iteration {
    let [base_seconds, token_seconds, kv_token_seconds] = *state;
    Iteration {
        base_seconds,
        token_seconds,
        kv_token_seconds,
    }
}

/// Covariance of what is as uncertain as a prior.
fn uncertainty(state: &Vector3) -> Matrix3 {
    let common = matrix::outer(state, state).map(|value| value * COMMON_ERROR.powi(2));
    let own = matrix::diagonal(state.map(|value| (OWN_ERROR * value).powi(2)));
    matrix::combine(1.0, &common, 1.0, &own)
}

fn bounded(state: &Vector3, prior: &Vector3) -> Vector3 {
    let (least, most) = BOUNDS;
    matrix::between(state, &prior.map(|x| least * x), &prior.map(|x| most * x))
}

fn work_of(state: &Vector3, observation: &Observation) -> Work {
    Work::new(observation.role, &iteration_of(state), &observation.lengths)
}

/// The state, or what it must at most be, scaled as a whole, for the engine to have kept up.
fn feasible(state: &Vector3, observation: &Observation) -> Vector3 {
    let busy = observation.rate * work_of(state, observation).total();
    if busy > MOST_BUSY {
        state.map(|value| value * MOST_BUSY / busy)
    } else {
        *state
    }
}

/// What the observation says, each linearised at `state`; the gap first.
fn readings(state: &Vector3, observation: &Observation) -> Vec<Reading> {
    let valid = Replica::in_role(
        observation.role,
        iteration_of(state),
        observation.lengths,
        observation.batch,
    );
    let measured = |value: Option<f64>| value.filter(|seconds| SECONDS.contains(seconds));
    let counted = REQUESTS.contains(&observation.requests);
    if valid.is_err() || !counted || !RATES.contains(&observation.rate) {
        return Vec::new();
    }
    let itl = measured(observation.itl_seconds)
        .filter(|_| observation.role != Role::Prefill && observation.lengths.output_tokens > 1.0);
    let iteration = itl.map(|itl| mean_iteration(state, observation, itl));
    let gap = iteration.map(|iteration| gap_reading(state, observation, iteration));
    let first = measured(observation.ttft_seconds)
        .filter(|_| observation.role != Role::Decode)
        .and_then(|ttft| first_token_reading(state, observation, iteration, ttft));
    gap.into_iter().chain(first).collect()
}

/// Mean iteration behind a mean gap, which is longer: long iterations carry more sequences.
fn mean_iteration(state: &Vector3, observation: &Observation, itl: f64) -> f64 {
    let work = work_of(state, observation);
    let steady = Steady::with_iteration(&work, observation.rate, itl);
    itl * (itl / mean_gap(&work, &steady, &observation.batch)).clamp(0.5, 1.0)
}

/// The balance of a mean iteration.
fn gap_reading(state: &Vector3, observation: &Observation, iteration: f64) -> Reading {
    let work = work_of(state, observation);
    let gradient = balance(&work, observation, iteration);
    let predicted = matrix::dot(&gradient, state);
    let busy = 1.0 - work.base / predicted;
    let sampled = WORK_SPREAD * busy / observation.requests.sqrt();
    let steady = iteration * ITL_ERROR.hypot(sampled);
    let unsteady = work.step * miscount(&work, observation, iteration);
    Reading {
        gradient,
        surprise: iteration - predicted,
        noise: steady.powi(2) + unsteady.powi(2),
    }
}

/// How often each constant occurs in a mean iteration: the base once, and the computed and the held
/// tokens of all that arrived in one, over their whole stay.
fn balance(work: &Work, observation: &Observation, iteration: f64) -> Vector3 {
    let arrived = observation.rate * iteration;
    [
        1.0,
        arrived * (work.prompt_tokens + work.gaps),
        arrived * (work.prompt_held + work.gaps * work.held_tokens),
    ]
}

/// Sequences by which the count of those that run differs from what Little's law says. They agree in
/// the steady state, up to chance; in between, the balance does not hold.
fn miscount(work: &Work, observation: &Observation, iteration: f64) -> f64 {
    let Some(running) = observation.running.filter(|running| *running > 0.0) else {
        return 0.0;
    };
    let in_prompts = observation.rate * observation.ttft_seconds.unwrap_or(0.0);
    let by_law = observation.rate * iteration * work.gaps + in_prompts;
    (running - by_law).abs()
}

/// TTFT as the model has it; nothing where requests wait for places, or where it has no answer.
fn first_token_reading(
    state: &Vector3,
    observation: &Observation,
    iteration: Option<f64>,
    ttft: f64,
) -> Option<Reading> {
    let predict = |state: &Vector3| {
        let work = work_of(state, observation);
        let rate = observation.rate;
        if rate * work.total() >= 1.0 {
            return None;
        }
        let steady = match iteration {
            Some(iteration) => Steady::with_iteration(&work, rate, iteration),
            None => Steady::at(&work, rate),
        };
        let first = FirstToken::new(&work, &steady, &observation.batch);
        let waiting = Waiting::new(&work, &steady, &observation.batch, &first);
        (waiting.chance < MOST_WAITING).then_some(first.mean)
    };
    let predicted = predict(state)?;
    let sampled = TTFT_SPREAD / observation.requests.sqrt();
    Some(Reading {
        gradient: filter::gradient(state, predict)?,
        surprise: ttft - predicted,
        noise: (predicted * TTFT_ERROR.hypot(sampled)).powi(2),
    })
}

/// Relative standard deviation of the time of an iteration at the observed load.
fn error_of(state: &Vector3, covariance: &Matrix3, observation: &Observation) -> f64 {
    let work = work_of(state, observation);
    let iteration = work.base / (1.0 - (observation.rate * work.total()).min(MOST_BUSY));
    let gradient = balance(&work, observation, iteration);
    let variance = matrix::dot(&gradient, &matrix::apply(covariance, &gradient));
    variance.max(0.0).sqrt() / iteration
}
