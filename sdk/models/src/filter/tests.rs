//! The extended Kalman filter against the published step.

use super::*;
use crate::iteration::{Iteration, Lengths};
use crate::matrix::diagonal;
use crate::plain::PlainReplica;

/// Wait and prefill, and mean gap, of WVA's model at 5 requests a second, in milliseconds.
fn plain(state: &Vector3) -> Option<[f64; 2]> {
    let iteration = Iteration {
        base_seconds: state[0],
        token_seconds: state[1],
        kv_token_seconds: state[2],
    };
    let replica = PlainReplica::new(iteration, Lengths::new(1024.0, 256.0), 64, 640).ok()?;
    let at = replica.at(5.0 / 1000.0).ok()?;
    Some([at.wait + at.prefill, at.itl])
}

#[track_caller]
fn close(value: f64, expected: f64, tolerance: f64) {
    assert!(
        (value / expected - 1.0).abs() < tolerance,
        "{value}, expected {expected}"
    );
}

/// Vector 18 of WVA's tuner: one step from a prior, with its predictions, gradients and gate.
#[test]
fn step_agrees_with_the_published_vector() {
    let state: Vector3 = [8.0, 0.02, 0.0002];
    let process = diagonal(state.map(|x| (0.1 * x).powi(2)));
    let covariance = std::array::from_fn(|i| process[i] + process[i]);
    let predicted = plain(&state).unwrap();
    close(predicted[0], 35.061_134_3, 1e-4);
    close(predicted[1], 14.958_037_4, 1e-4);

    let expected = [
        [1.736_307, 1_198.425_3, 41_368.48],
        [1.736_307, 180.423_26, 42_653.56],
    ];
    let readings = [(0, 60.0, 234.277_384), (1, 15.0, 14.642_337)].map(|(at, observed, noise)| {
        let gradient = gradient(&state, |x| Some(plain(x)?[at])).unwrap();
        for (slope, expected) in gradient.iter().zip(expected[at]) {
            close(*slope, expected, 1e-2);
        }
        Reading {
            gradient,
            surprise: observed - predicted[at],
            noise,
        }
    });
    let updated = update(&state, &covariance, &readings);
    close(updated.state[0], 8.150_298_7, 1e-3);
    close(updated.state[1], 0.020_914_22, 1e-3);
    close(updated.state[2], 0.000_202_204_53, 1e-3);
    close(updated.surprise, 2.499_259_9, 1e-3);
}

#[test]
fn order_of_readings_does_not_matter() {
    let state = [1.0, 2.0, 3.0];
    let covariance = diagonal([1.0, 4.0, 9.0]);
    let first = Reading {
        gradient: [1.0, 0.5, 0.0],
        surprise: 0.7,
        noise: 0.3,
    };
    let second = Reading {
        gradient: [0.0, 1.0, -1.0],
        surprise: -0.4,
        noise: 0.1,
    };
    let one = update(&state, &covariance, &[first, second]);
    let other = update(&state, &covariance, &[second, first]);
    for (a, b) in one.state.iter().zip(other.state) {
        assert!((a - b).abs() < 1e-12);
    }
    assert!((one.surprise - other.surprise).abs() < 1e-12);
}

#[test]
fn sure_reading_is_taken_over_entirely() {
    let covariance = diagonal([1.0, 1.0, 1.0]);
    let reading = Reading {
        gradient: [0.0, 1.0, 0.0],
        surprise: 5.0,
        noise: 1e-12,
    };
    let updated = update(&[0.0; 3], &covariance, &[reading]);
    assert!((updated.state[1] - 5.0).abs() < 1e-9);
    assert!(updated.covariance[4] < 1e-9);
    assert_eq!(updated.covariance[0], 1.0);
}
