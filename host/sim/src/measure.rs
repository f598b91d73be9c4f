//! What a collector would know: scraped samples of replicas and router, and the windows over them.
//!
//! Everything is as late as its last scrape and as coarse as its window. Replicas give vLLM's
//! metrics. The router gives what the endpoint picker sees: the time to first token includes its
//! own queue. The percentile of the time between tokens is over requests (vLLM's
//! `request_time_per_output_token_seconds`), since that is what an objective bounds; the mean is
//! over tokens (`inter_token_latency_seconds`). Requests count when they finish, first tokens when
//! they come. Where the window lacks the samples, there is no value.

pub(crate) mod histogram;
pub(crate) mod samples;
#[cfg(test)]
mod tests;

use trimtab_contract::{Replica as Observed, Workload};

use self::histogram::{Histogram, ITL_BOUNDS, TTFT_BOUNDS};
use self::samples::{ReplicaSamples, Samples};
use crate::engine::{Counters, Reading};
use crate::fleet::Replica;
use crate::spec::{Timing, VariantSpec};

/// Scrapes of one router.
pub(crate) type RouterSamples = Samples<RouterReading>;

/// What the router exports.
#[derive(Clone, Debug)]
pub(crate) struct RouterReading {
    pub(crate) arrived: u64,
    pub(crate) queued_requests: u64,
    pub(crate) queued_bytes: u64,
    pub(crate) finished: u64,
    /// Tokens of the finished requests.
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
    pub(crate) ttft: Histogram,
    /// Over requests: the mean time between a request's tokens.
    pub(crate) itl: Histogram,
}

impl Default for RouterReading {
    fn default() -> Self {
        Self {
            arrived: 0,
            queued_requests: 0,
            queued_bytes: 0,
            finished: 0,
            input_tokens: 0,
            output_tokens: 0,
            ttft: Histogram::new(TTFT_BOUNDS),
            itl: Histogram::new(ITL_BOUNDS),
        }
    }
}

/// One replica as a collector sees it at `now`.
pub(crate) fn observe_replica(
    (now, windows): (f64, &Timing),
    replica: &Replica<'_>,
    variant: &VariantSpec,
) -> Observed {
    let samples = &replica.samples;
    let short = samples.ends(now, windows.window_seconds);
    let long = samples.ends(now, windows.long_window_seconds);
    let largest = |of| largest(samples, now, windows.window_seconds, of);
    let over_short =
        |of: fn(&Counters) -> (f64, u64)| short.and_then(|(first, last, _)| mean(first, last, of));
    let over_long =
        |of: fn(&Counters) -> (f64, u64)| long.and_then(|(first, last, _)| mean(first, last, of));
    Observed {
        variant: replica.variant as u32,
        name: replica.name.clone(),
        instances: 1,
        metrics_age: samples
            .age(now)
            .unwrap_or_else(|| now - replica.serving_since.unwrap_or(now)),
        kv_usage: largest(|reading| reading.kv_usage),
        waiting: largest(|reading| reading.waiting as f64),
        kv_capacity_tokens: samples.age(now).map(|_| variant.kv_capacity_tokens),
        running: samples
            .latest(now, windows.long_window_seconds)
            .map(|reading| reading.running as f64),
        request_rate: short.map(|(first, last, seconds)| {
            (last.counters.finished - first.counters.finished) as f64 / seconds
        }),
        input_tokens: over_long(|counters| (counters.input_tokens as f64, counters.finished)),
        output_tokens: over_long(|counters| (counters.output_tokens as f64, counters.finished)),
        prefix_hit_ratio: over_long(|counters| {
            (counters.prefix_hits as f64, counters.prefix_queries)
        }),
        ttft: over_short(|counters| (counters.ttft_seconds, counters.ttft_count)),
        itl: over_short(|counters| (counters.itl_seconds, counters.itl_count)),
    }
}

/// A pool's workload as a collector sees it at `now`, `percentile` being the objective's.
pub(crate) fn observe_workload<'a, 'b: 'a>(
    (now, windows): (f64, &Timing),
    router: &RouterSamples,
    replicas: impl Iterator<Item = &'a Replica<'b>> + Clone,
    percentile: f64,
) -> Workload {
    let Timing {
        window_seconds: short_window,
        long_window_seconds: long_window,
        ..
    } = *windows;
    let short = router.ends(now, short_window);
    let long = router.ends(now, long_window);
    let latest = router.latest(now, long_window);
    let tokens = |of: fn(&RouterReading) -> u64| {
        long.and_then(|(first, last, _)| {
            ratio(
                (of(last) - of(first)) as f64,
                last.finished - first.finished,
            )
        })
    };
    Workload {
        request_rate: short
            .map(|(first, last, seconds)| (last.arrived - first.arrived) as f64 / seconds),
        input_tokens: tokens(|reading| reading.input_tokens),
        output_tokens: tokens(|reading| reading.output_tokens),
        prefix_hit_ratio: mean_over(now, long_window, replicas.clone(), |counters| {
            (counters.prefix_hits as f64, counters.prefix_queries)
        }),
        queued_requests: latest.map(|reading| reading.queued_requests as f64),
        queued_bytes: latest.map(|reading| reading.queued_bytes as f64),
        ttft_mean: short.and_then(|(first, last, _)| last.ttft.mean_since(&first.ttft)),
        ttft_at_percentile: short
            .and_then(|(first, last, _)| last.ttft.quantile_since(&first.ttft, percentile)),
        itl_mean: mean_over(now, short_window, replicas, |counters| {
            (counters.itl_seconds, counters.itl_count)
        }),
        itl_at_percentile: short
            .and_then(|(first, last, _)| last.itl.quantile_since(&first.itl, percentile)),
    }
}

fn largest(
    samples: &ReplicaSamples,
    now: f64,
    window: f64,
    of: fn(&Reading) -> f64,
) -> Option<f64> {
    samples
        .within(now, window)
        .map(|(_, reading)| of(reading))
        .reduce(f64::max)
}

/// A sum's growth over its count's growth.
fn mean(first: &Reading, last: &Reading, of: fn(&Counters) -> (f64, u64)) -> Option<f64> {
    let (first_sum, first_count) = of(&first.counters);
    let (last_sum, last_count) = of(&last.counters);
    ratio(last_sum - first_sum, last_count - first_count)
}

/// The same with sums and counts of several replicas added.
fn mean_over<'a, 'b: 'a>(
    now: f64,
    window: f64,
    replicas: impl Iterator<Item = &'a Replica<'b>>,
    of: fn(&Counters) -> (f64, u64),
) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0);
    for (first, last, _) in replicas.filter_map(|replica| replica.samples.ends(now, window)) {
        let (first_sum, first_count) = of(&first.counters);
        let (last_sum, last_count) = of(&last.counters);
        sum += last_sum - first_sum;
        count += last_count - first_count;
    }
    ratio(sum, count)
}

fn ratio(sum: f64, count: u64) -> Option<f64> {
    (count > 0).then(|| sum / count as f64)
}
