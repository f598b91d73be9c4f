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

use crate::filter;
use crate::iteration::Iteration;
use crate::matrix::{self, Matrix3, Vector3};

mod readings;

pub use readings::Observation;
use readings::{error_of, feasible, iteration_of, readings};

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

/// Share of the way to the prior that each observation gives back: half of it in four days of ticks,
/// and an uncertainty of half a per cent a tick.
const PULL: f64 = 3e-5;

/// Bounds of the state, as multiples of the prior.
const BOUNDS: (f64, f64) = (0.1, 10.0);

/// 97.5 % quantiles of χ² with one and with two degrees of freedom; more surprise is not believed.
const GATES: [f64; 2] = [5.024, 7.378];

/// So many observations in a row that are not believed say that the world has changed.
const REJECTIONS: u32 = 3;

/// What the covariance is then multiplied with.
const INFLATION: f64 = 4.0;

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
