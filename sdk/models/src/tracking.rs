//! Follows the three constants of a replica's iteration from observed TTFT and ITL.

use crate::iteration::{Batch, Iteration, Lengths, Role};
use crate::matrix::{self, Matrix3, Vector3};

/// Means over a window, of one replica or averaged over the replicas of a variant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    pub role: Role,
    /// Requests per second and replica.
    pub rate: f64,
    /// Requests that the means are taken over, of all replicas together; says how far to trust them.
    pub requests: f64,
    pub lengths: Lengths,
    pub batch: Batch,
    pub ttft_seconds: Option<f64>,
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

/// An extended Kalman filter over [base, token, KV token]. Plain values: store all of them to go on
/// where it stopped.
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

impl Tracker {
    /// Starts from constants that are known to within a factor of two or so.
    #[must_use]
    pub fn new(prior: Iteration) -> Self {
        let state = [
            prior.base_seconds,
            prior.token_seconds,
            prior.kv_token_seconds,
        ];
        let covariance = matrix::diagonal(state.map(|x| (0.5 * x).powi(2)));
        Self {
            state,
            covariance,
            prior: state,
            accepted: 0,
            rejected_in_a_row: 0,
            relative_error: 0.5,
        }
    }

    /// The constants as tracked.
    #[must_use]
    pub fn iteration(&self) -> Iteration {
        let [base_seconds, token_seconds, kv_token_seconds] = self.state;
        Iteration {
            base_seconds,
            token_seconds,
            kv_token_seconds,
        }
    }

    /// Learns from one observation.
    pub fn update(&mut self, _observation: &Observation) -> Verdict {
        Verdict::Unusable
    }

    #[must_use]
    pub fn confidence(&self) -> Confidence {
        Confidence {
            accepted: self.accepted,
            relative_error: self.relative_error,
        }
    }
}
