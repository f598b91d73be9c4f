//! What a run leaves: totals for the summary, series for the report, decisions for the record.

use std::collections::BTreeMap;

use serde::Serialize;
use trimtab_core::decision::PoolDecision;

use crate::tried::Tried;

/// Everything that a run left.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub requests: RequestCounts,
    /// Share of all that arrived that met TTFT and ITL; what did not finish counts as missed.
    /// `None` where nothing arrived.
    pub attainment: Option<f64>,
    pub ttft_seconds: Percentiles,
    /// Over requests: the mean time between a request's output tokens.
    pub itl_seconds: Percentiles,
    /// In the operator's currency, over the whole run.
    pub cost: f64,
    pub gpu_hours: BTreeMap<String, f64>,
    /// Steps of the desired counts, up or down, one for each variant and tick that changed.
    pub replica_changes: u64,
    pub ticks: u64,
    pub policy_faults: u64,
    pub pools: Vec<PoolSeries>,
    /// Objectives that a search for a plan did not meet; empty for runs that nobody searched for.
    pub out_of_reach: Vec<OutOfReach>,
    /// One for each pool and tick, in order of time; empty for baselines.
    pub decisions: Vec<PoolDecision>,
    /// What was tried beside; empty for baselines.
    pub tried: Tried,
}

/// A pool's objective that no plan found meets.
#[derive(Clone, Debug, PartialEq)]
pub struct OutOfReach {
    pub pool: String,
    /// Shares of the pool's requests: what the objective wants, and what the plan attained.
    pub wanted: f64,
    pub attained: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestCounts {
    pub arrived: u64,
    pub served: u64,
    pub dropped: u64,
    pub unfinished: u64,
}

/// `None` where nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
}

/// Series of one pool, one sample for each tick.
#[derive(Clone, Debug, Default)]
pub struct PoolSeries {
    pub pool: String,
    pub variants: Vec<VariantSeries>,
    pub samples: Vec<PoolSample>,
    /// As [`Outcome::attainment`], of this pool.
    pub attainment: Option<f64>,
}

/// What a pool was like in the tick's interval that ends at `at_seconds`.
#[derive(Clone, Debug, Default)]
pub struct PoolSample {
    pub at_seconds: f64,
    /// Arrivals per second.
    pub arrival_rate: f64,
    /// Of requests whose first token (TTFT) or last token (ITL) fell in the interval.
    pub ttft_seconds: Percentiles,
    pub itl_seconds: Percentiles,
    /// Requests in the router's queue and waiting in engines.
    pub queued: f64,
    pub cost_per_hour: f64,
    /// Of requests that arrived in the interval and have finished: how many met the objective.
    pub met: u64,
    pub missed: u64,
}

/// Counts of one variant, one for each of the pool's samples.
#[derive(Clone, Debug, Default)]
pub struct VariantSeries {
    pub variant: String,
    pub asked: Vec<u32>,
    pub serving: Vec<u32>,
}
