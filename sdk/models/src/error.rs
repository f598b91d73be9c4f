//! What the models refuse, and why.

use std::fmt;

/// Why a model has no answer. The caller decides; nothing here panics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ModelError {
    /// A parameter is not a number in the range in which the models hold.
    Invalid {
        what: &'static str,
        value: f64,
        least: f64,
        most: f64,
    },
    /// No steady state at this rate: it is not positive, or more than the replica can serve.
    RateOutOfRange { rate: f64, max: f64 },
    /// The target is missed however little arrives.
    TargetUnreachable {
        what: &'static str,
        target: f64,
        best: f64,
    },
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid {
                what,
                value,
                least,
                most,
            } => write!(f, "{what} must be {least:e} to {most:e}, is {value}"),
            Self::RateOutOfRange { rate, max } => {
                write!(
                    f,
                    "rate must be above 0 and at most {max} requests/s, is {rate}"
                )
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

/// `value` if it lies in `least..=most`; a NaN lies nowhere.
pub(crate) fn within(
    what: &'static str,
    value: f64,
    least: f64,
    most: f64,
) -> Result<f64, ModelError> {
    if value >= least && value <= most {
        Ok(value)
    } else {
        Err(ModelError::Invalid {
            what,
            value,
            least,
            most,
        })
    }
}
