//! What an observation says of the constants, linearised: the equations of the tracker, and how far
//! each is to be believed.

use std::ops::RangeInclusive;

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
const SECONDS: RangeInclusive<f64> = 1e-6..=1e5;
const REQUESTS: RangeInclusive<f64> = 1e-3..=1e12;
const RATES: RangeInclusive<f64> = 1e-6..=1e6;

pub(super) fn iteration_of(state: &Vector3) -> Iteration {
    let [base_seconds, token_seconds, kv_token_seconds] = *state;
    Iteration {
        base_seconds,
        token_seconds,
        kv_token_seconds,
    }
}

fn work_of(state: &Vector3, observation: &Observation) -> Work {
    Work::new(observation.role, &iteration_of(state), &observation.lengths)
}

/// The state, or what it must at most be, scaled as a whole, for the engine to have kept up.
pub(super) fn feasible(state: &Vector3, observation: &Observation) -> Vector3 {
    let busy = observation.rate * work_of(state, observation).total();
    if busy > MOST_BUSY {
        state.map(|value| value * MOST_BUSY / busy)
    } else {
        *state
    }
}

/// What the observation says, each linearised at `state`; the gap first.
pub(super) fn readings(state: &Vector3, observation: &Observation) -> Vec<Reading> {
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
pub(super) fn error_of(state: &Vector3, covariance: &Matrix3, observation: &Observation) -> f64 {
    let work = work_of(state, observation);
    let iteration = work.base / (1.0 - (observation.rate * work.total()).min(MOST_BUSY));
    let gradient = balance(&work, observation, iteration);
    let variance = matrix::dot(&gradient, &matrix::apply(covariance, &gradient));
    variance.max(0.0).sqrt() / iteration
}
