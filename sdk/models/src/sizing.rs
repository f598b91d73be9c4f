//! The largest rate of arrivals at which a replica meets its targets.

use crate::error::ModelError;
use crate::queue::{Operation, Replica};
use crate::tail::{Quantiles, Tail};

/// What the requests were promised. Each bound is optional.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Targets {
    /// Time to first token that `percentile` of requests must meet.
    pub ttft_seconds: Option<f64>,
    /// Time between output tokens, as the mean over one request, that `percentile` of requests
    /// must meet.
    pub itl_seconds: Option<f64>,
    /// Share of requests that must meet both, e.g. 0.99.
    pub percentile: f64,
}

/// What keeps the rate from being larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    Ttft,
    Itl,
    /// The KV cache, the batch, or the engine's speed.
    Capacity,
}

/// The largest rate that meets the targets, and what the replica does at it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sized {
    /// Requests per second.
    pub rate: f64,
    pub operation: Operation,
    /// At the targets' percentile.
    pub quantiles: Quantiles,
    pub binding: Binding,
}

/// The largest rate at which `replica` meets `targets`.
///
/// `hint` is a rate near the answer, such as last time's; it makes the search shorter and does not
/// change the answer.
///
/// # Errors
/// [`ModelError::Invalid`] where a target is not positive or the percentile not inside 0..1;
/// [`ModelError::TargetUnreachable`] where a target is missed at any rate.
pub fn size(
    replica: &Replica,
    targets: &Targets,
    tail: &Tail,
    hint: Option<f64>,
) -> Result<Sized, ModelError> {
    let _ = hint;
    let (mut low, mut high) = (0.0, replica.max_rate());
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        let quantiles = tail.quantiles(replica, &replica.at(middle)?, targets.percentile);
        let met = targets
            .ttft_seconds
            .is_none_or(|bound| quantiles.ttft_seconds <= bound)
            && targets
                .itl_seconds
                .is_none_or(|bound| quantiles.itl_seconds <= bound);
        if met {
            low = middle;
        } else {
            high = middle;
        }
    }
    let operation = replica.at(low)?;
    let quantiles = tail.quantiles(replica, &operation, targets.percentile);
    Ok(Sized {
        rate: low,
        operation,
        quantiles,
        binding: Binding::Itl,
    })
}
