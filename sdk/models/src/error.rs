//! What the models refuse, and why.

use std::fmt;

/// Why a model has no answer. The caller decides; nothing here panics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ModelError {
    /// A parameter is not a finite number in the range that it must lie in.
    Invalid { what: &'static str, value: f64 },
    /// No steady state at this rate: it is not positive, or more than the replica can serve.
    RateOutOfRange { rate: f64, max: f64 },
    /// The target cannot be met even by a replica that serves one request at a time.
    TargetUnreachable {
        what: &'static str,
        target: f64,
        best: f64,
    },
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { what, value } => write!(f, "{what} is out of range: {value}"),
            Self::RateOutOfRange { rate, max } => {
                write!(f, "rate {rate} requests/s is outside of 0 to {max}")
            }
            Self::TargetUnreachable { what, target, best } => {
                write!(
                    f,
                    "{what} of {target} s cannot be met, the best is {best} s"
                )
            }
        }
    }
}

impl std::error::Error for ModelError {}

/// `value` if it is finite and not negative.
pub(crate) fn not_negative(what: &'static str, value: f64) -> Result<f64, ModelError> {
    if value.is_finite() && value >= 0.0 {
        Ok(value)
    } else {
        Err(ModelError::Invalid { what, value })
    }
}

/// `value` if it is finite and greater than zero.
pub(crate) fn positive(what: &'static str, value: f64) -> Result<f64, ModelError> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(ModelError::Invalid { what, value })
    }
}
