//! The tail: from means to what a percentile of requests sees.

use crate::queue::{Operation, Replica};

/// How percentiles are predicted: by the model, times what observation taught.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tail {
    /// Observed percentile of TTFT over the predicted one; 1 until learned.
    pub ttft_factor: f64,
    /// Observed percentile of ITL over the predicted one; 1 until learned.
    pub itl_factor: f64,
}

/// TTFT and per-request mean ITL at a percentile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantiles {
    pub ttft_seconds: f64,
    pub itl_seconds: f64,
}

impl Tail {
    /// The model's own prediction, nothing learned yet.
    #[must_use]
    pub const fn prior() -> Self {
        Self {
            ttft_factor: 1.0,
            itl_factor: 1.0,
        }
    }

    /// What `percentile` (inside 0..1) of requests stays below.
    #[must_use]
    pub fn quantiles(
        &self,
        _replica: &Replica,
        operation: &Operation,
        _percentile: f64,
    ) -> Quantiles {
        Quantiles {
            ttft_seconds: 3.0 * operation.ttft_seconds * self.ttft_factor,
            itl_seconds: 1.3 * operation.itl_seconds * self.itl_factor,
        }
    }

    /// Moves the factors towards observed percentiles over what [`Tail::prior`] predicts for the
    /// operation in which they were observed.
    pub fn learn(&mut self, predicted: &Quantiles, ttft: Option<f64>, itl: Option<f64>) {
        let towards = |factor: &mut f64, observed: Option<f64>, predicted: f64| {
            if let Some(observed) = observed.filter(|o| o.is_finite() && *o > 0.0) {
                *factor = (*factor + 0.1 * (observed / predicted - *factor)).clamp(0.5, 3.0);
            }
        };
        towards(&mut self.ttft_factor, ttft, predicted.ttft_seconds);
        towards(&mut self.itl_factor, itl, predicted.itl_seconds);
    }
}
