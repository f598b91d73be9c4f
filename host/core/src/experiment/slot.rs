//! What is measured of one slot: its load, what it cost, and how much of the load met the objective.

use serde::{Deserialize, Serialize};
use trimtab_contract::Pool;

/// Sums over the time of a slot that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 6]", into = "[f64; 6]")]
pub(super) struct Sums {
    seconds: f64,
    /// Cost per hour, times seconds.
    cost: f64,
    requests: f64,
    /// Seconds of the intervals in which it was known whether the objective was met.
    judged_seconds: f64,
    judged_requests: f64,
    met_requests: f64,
}

/// What a slot showed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Shown {
    /// Requests per second.
    pub(super) rate: f64,
    /// Per hour.
    pub(super) cost: f64,
    /// Share of requests.
    pub(super) attainment: Option<f64>,
}

impl Sums {
    /// Takes up an interval of this length, at whose end the pool was seen like this. Where the
    /// request rate is not known, or the cost is no number, nothing was seen.
    pub(super) fn add(&mut self, seconds: f64, pool: &Pool) {
        let Some(rate) = pool.workload.request_rate.filter(|rate| *rate >= 0.0) else {
            return;
        };
        let mut next = *self;
        next.seconds += seconds;
        next.cost += cost_per_hour(pool) * seconds;
        next.requests += rate * seconds;
        if let Some(attains) = attains(pool) {
            next.judged_seconds += seconds;
            next.judged_requests += rate * seconds;
            next.met_requests += if attains { rate * seconds } else { 0.0 };
        }
        if <[f64; 6]>::from(next).iter().all(|sum| sum.is_finite()) {
            *self = next;
        }
    }

    /// `None` where less than this time was seen.
    pub(super) fn shown(&self, least_seconds: f64) -> Option<Shown> {
        if self.seconds <= 0.0 || self.seconds < least_seconds {
            return None;
        }
        let shown = Shown {
            rate: self.requests / self.seconds,
            cost: self.cost / self.seconds,
            attainment: self.attainment(least_seconds),
        };
        Some(shown).filter(|shown| shown.rate.is_finite() && shown.cost.is_finite())
    }

    /// `None` where less than this time was judged, or there were no requests.
    pub(super) fn attainment(&self, least_seconds: f64) -> Option<f64> {
        let enough = self.judged_requests > 0.0 && self.judged_seconds >= least_seconds;
        enough.then(|| self.met_requests / self.judged_requests)
    }
}

/// Of all replicas that exist, whether they serve or not.
fn cost_per_hour(pool: &Pool) -> f64 {
    let costs = pool
        .variants
        .iter()
        .map(|variant| f64::from(variant.current_replicas) * variant.cost);
    costs.sum()
}

/// Whether each bound that is set is met; `None` where none is set or one was not measured.
fn attains(pool: &Pool) -> Option<bool> {
    let (objective, workload) = (&pool.objective, &pool.workload);
    let bounds = [
        (objective.ttft, workload.ttft_at_percentile),
        (objective.itl, workload.itl_at_percentile),
    ];
    let mut attained = None;
    for (bound, measured) in bounds {
        if let Some(bound) = bound {
            let measured = measured.filter(|seconds| !seconds.is_nan())?;
            attained = Some(attained.unwrap_or(true) && measured <= bound);
        }
    }
    attained
}

impl From<[f64; 6]> for Sums {
    fn from(sums: [f64; 6]) -> Self {
        let [
            seconds,
            cost,
            requests,
            judged_seconds,
            judged_requests,
            met_requests,
        ] = sums;
        Self {
            seconds,
            cost,
            requests,
            judged_seconds,
            judged_requests,
            met_requests,
        }
    }
}

impl From<Sums> for [f64; 6] {
    fn from(of: Sums) -> Self {
        [
            of.seconds,
            of.cost,
            of.requests,
            of.judged_seconds,
            of.judged_requests,
            of.met_requests,
        ]
    }
}
