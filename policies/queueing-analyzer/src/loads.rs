//! What the replicas of each variant report, added up.

use trimtab_models::pooling;
use trimtab_sdk::{Pool, Replica};

use crate::sum::{COARSE, FINE, Mean, Total};

/// Measurements older than this say nothing of now: four scrapes of 15 s, and one of slack.
const MAX_AGE_SECONDS: f64 = 75.0;

/// Weight of a replica that finished nothing in the last minute: next to none, but where no replica
/// did, all count alike.
const LEAST_WEIGHT: f64 = 1.0 / 1024.0;

/// What the replicas of one variant report. Nothing that is missing is counted as zero.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    /// Replicas that serve, as the host counts them.
    pub(crate) ready: u32,
    /// Replicas with measurements that are fresh enough.
    pub(crate) fresh: u32,
    /// Requests finished per second.
    pub(crate) rate: Total<FINE>,
    pub(crate) running: Total<FINE>,
    pub(crate) running_squares: Total<FINE>,
    pub(crate) waiting: Total<FINE>,
    pub(crate) kv_usage: Total<FINE>,
    pub(crate) kv_squares: Total<FINE>,
    pub(crate) kv_capacity: Total<COARSE>,
    pub(crate) instances: Total<FINE>,
    pub(crate) input_tokens: Mean<COARSE>,
    pub(crate) output_tokens: Mean<COARSE>,
    pub(crate) prefix_hits: Mean<FINE>,
    pub(crate) ttft: Mean<FINE>,
    pub(crate) itl: Mean<FINE>,
    pub(crate) hottest: Extremes,
}

/// The replicas that carry the most and the least.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extremes {
    pub(crate) most_waiting: f64,
    pub(crate) least_waiting: f64,
    pub(crate) most_kv: f64,
    pub(crate) least_kv: f64,
}

/// Adds up what the replicas report, by variant in the pool's order.
pub(crate) fn by_variant(pool: &Pool, replicas: &[Replica]) -> Vec<Load> {
    let mut loads: Vec<Load> = pool
        .variants
        .iter()
        .map(|variant| Load {
            ready: variant.ready_replicas,
            ..Load::default()
        })
        .collect();
    for replica in replicas.iter().filter(|replica| is_fresh(replica)) {
        // A replica of a variant that does not exist belongs to nobody.
        if let Some(load) = usize::try_from(replica.variant)
            .ok()
            .and_then(|at| loads.get_mut(at))
        {
            load.add(replica);
        }
    }
    loads
}

/// Whether the replica's measurements speak of now.
pub(crate) fn is_fresh(replica: &Replica) -> bool {
    replica.metrics_age <= MAX_AGE_SECONDS
}

/// No rate, latency or number of tokens is larger; what is, is not one.
const MOST_PLAUSIBLE: f64 = 1e12;

/// A measurement that makes sense: a gauge below zero or not a number is as good as missing.
pub(crate) fn measured(value: Option<f64>) -> Option<f64> {
    value.filter(|value| (0.0..MOST_PLAUSIBLE).contains(value))
}

/// The same for what cannot be zero where it was measured at all, such as a latency.
pub(crate) fn positive(value: Option<f64>) -> Option<f64> {
    measured(value).filter(|value| *value > 0.0)
}

impl Load {
    fn add(&mut self, replica: &Replica) {
        let rate = measured(replica.request_rate);
        let weight = rate.unwrap_or_default() + LEAST_WEIGHT;
        self.rate.add(rate);
        let running = measured(replica.running);
        self.running.add(running);
        self.running_squares
            .add(running.map(|running| running * running));
        self.waiting.add(measured(replica.waiting));
        let kv_usage = share(replica.kv_usage);
        self.kv_usage.add(kv_usage);
        self.kv_squares.add(kv_usage.map(|usage| usage * usage));
        self.kv_capacity.add(positive(
            replica.kv_capacity_tokens.map(|tokens| tokens as f64),
        ));
        self.instances
            .add(Some(f64::from(replica.instances.max(1))));
        self.input_tokens
            .add(positive(replica.input_tokens), weight);
        self.output_tokens
            .add(positive(replica.output_tokens), weight);
        self.prefix_hits
            .add(share(replica.prefix_hit_ratio), weight);
        self.ttft.add(positive(replica.ttft), weight);
        self.itl.add(positive(replica.itl), weight);
        self.hottest.add(self.fresh == 0, replica);
        self.fresh += 1;
    }

    /// Requests that the whole variant finishes per second.
    pub(crate) fn total_rate(&self) -> Option<f64> {
        self.rate.of_all(self.ready)
    }

    /// How evenly load is spread over the replicas; see [`pooling::balance`]. Routers even out the
    /// requests that run or the tokens that they hold: what is more even shows it.
    pub(crate) fn balance(&self) -> Option<f64> {
        let running = self.running.mean()?;
        let n = f64::from(self.fresh);
        let even = |mean: Option<f64>, squares: Option<f64>| {
            let (mean, squares) = (positive(mean)?, squares?);
            let variance = (squares / (mean * mean) - 1.0).max(0.0) * n / (n - 1.0);
            // As if all requests held the same.
            pooling::balance(self.fresh, running, variance * running * running)
        };
        let by_running = even(self.running.mean(), self.running_squares.mean());
        let by_tokens = even(self.kv_usage.mean(), self.kv_squares.mean());
        by_running.into_iter().chain(by_tokens).reduce(f64::max)
    }

    /// Whether any replica has anything to do.
    pub(crate) fn is_busy(&self) -> bool {
        let above_zero = |value: Option<f64>| value.is_some_and(|value| value > 0.0);
        above_zero(self.rate.mean())
            || above_zero(self.running.mean())
            || above_zero(self.waiting.mean())
            || above_zero(self.kv_usage.mean())
    }

    /// Whether one replica drowns while another has room.
    pub(crate) fn is_lopsided(&self) -> bool {
        let Extremes {
            most_waiting,
            least_waiting,
            most_kv,
            least_kv,
        } = self.hottest;
        self.fresh > 1
            && most_waiting >= 20.0
            && most_waiting > 10.0 * (least_waiting + 1.0)
            && most_kv > 2.0 * least_kv
    }
}

impl Extremes {
    fn add(&mut self, first: bool, replica: &Replica) {
        let waiting = measured(replica.waiting).unwrap_or_default();
        let kv = share(replica.kv_usage).unwrap_or_default();
        self.most_waiting = self.most_waiting.max(waiting);
        self.most_kv = self.most_kv.max(kv);
        self.least_waiting = if first {
            waiting
        } else {
            self.least_waiting.min(waiting)
        };
        self.least_kv = if first { kv } else { self.least_kv.min(kv) };
    }
}

impl std::fmt::Display for Extremes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "imbalance, not capacity: one replica has {:.0} waiting and {:.0} % of its KV cache \
             in use, another {:.0} and {:.0} %",
            self.most_waiting,
            100.0 * self.most_kv,
            self.least_waiting,
            100.0 * self.least_kv
        )
    }
}

fn share(value: Option<f64>) -> Option<f64> {
    measured(value).map(|value| value.min(1.0))
}
