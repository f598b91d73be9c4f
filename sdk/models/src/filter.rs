//! One step of an extended Kalman filter with three states, for any number of independent readings.

use crate::matrix::{Matrix3, Vector3, apply, combine, dot, moved, outer};

/// A reading that is compared with what the state predicts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading {
    /// Change of the prediction with each state.
    pub(crate) gradient: Vector3,
    /// What was read, less what was predicted.
    pub(crate) surprise: f64,
    /// Variance of the reading's error.
    pub(crate) noise: f64,
}

/// State and covariance after an update, and the normalised innovation squared: how surprising the
/// readings were altogether, in variances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Updated {
    pub(crate) state: Vector3,
    pub(crate) covariance: Matrix3,
    pub(crate) surprise: f64,
}

/// Takes the readings in one after the other, all linearised at `state`: the same as all at once.
pub(crate) fn update(state: &Vector3, covariance: &Matrix3, readings: &[Reading]) -> Updated {
    let start = Updated {
        state: *state,
        covariance: *covariance,
        surprise: 0.0,
    };
    readings.iter().fold(start, |so_far, reading| {
        let moved = combine(1.0, &so_far.state, -1.0, state);
        let surprise = reading.surprise - dot(&reading.gradient, &moved);
        let spread = apply(&so_far.covariance, &reading.gradient);
        let variance = dot(&reading.gradient, &spread) + reading.noise;
        let taken = outer(&spread, &spread);
        Updated {
            state: combine(1.0, &so_far.state, surprise / variance, &spread),
            covariance: combine(1.0, &so_far.covariance, -1.0 / variance, &taken),
            surprise: so_far.surprise + surprise * surprise / variance,
        }
    })
}

/// Change of `f` with each state, by central differences over a hundredth of it.
pub(crate) fn gradient(state: &Vector3, f: impl Fn(&Vector3) -> Option<f64>) -> Option<Vector3> {
    let mut gradient = [0.0; 3];
    for (at, (slope, value)) in gradient.iter_mut().zip(state).enumerate() {
        let step = if *value == 0.0 {
            0.01
        } else {
            0.01 * value.abs()
        };
        let above = f(&moved(state, at, step))?;
        let below = f(&moved(state, at, -step))?;
        *slope = (above - below) / (2.0 * step);
    }
    Some(gradient)
}

#[cfg(test)]
mod tests;
