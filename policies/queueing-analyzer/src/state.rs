//! What the analyzer remembers of a pool from call to call. A handful of numbers for each variant,
//! nothing that grows with time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trimtab_models::forecast::{Forecaster, Record};
use trimtab_models::hysteresis::RecentMaximum;
use trimtab_models::{Iteration, Tail, Tracker};
use trimtab_sdk::Role;

use crate::servers::Server;

/// Changes whenever the fields below change their meaning.
pub(crate) const FORMAT: &str = "queueing-analyzer/1";

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct State {
    /// Instant of the first call that is remembered, in milliseconds.
    pub(crate) since: Option<u64>,
    /// Instant of the last call.
    pub(crate) at: Option<u64>,
    pub(crate) lengths: Option<Profile>,
    /// By variant.
    pub(crate) settled: BTreeMap<String, Settled>,
    /// Constants of an iteration, by [`Server::key`].
    pub(crate) trackers: BTreeMap<String, Tracked>,
    /// Last answer of the sizing, by variant; where the next search starts.
    pub(crate) hints: BTreeMap<String, f64>,
    pub(crate) tail: TailFactors,
    /// How evenly the router spreads the load, from 0 to 1; see [`trimtab_models::pooling`].
    pub(crate) balance: f64,
    /// Share of the model's capacities that measurement has left standing.
    pub(crate) correction: Option<f64>,
    /// Instant since which fewer requests are said to arrive than replicas finish.
    pub(crate) disagreeing_since: Option<u64>,
    /// The load in work, see [`Profile::work`].
    pub(crate) forecaster: Option<Followed>,
    pub(crate) record: Option<Kept>,
    /// Floors of the last half hour in work.
    pub(crate) floors: Floors,
    /// Seconds for which supply is kept beyond the settings' window, since it was missed before.
    pub(crate) patience: f64,
    /// The same in tokens of the KV cache.
    pub(crate) token_floors: Floors,
    /// Tokens in use at which replicas were seen to be full, by accelerator and length of answers.
    pub(crate) knees: BTreeMap<String, Vec<f64>>,
}

impl State {
    /// The constants of an iteration as tracked, else as they start.
    pub(crate) fn iteration(&self, server: &Server<'_>) -> Iteration {
        self.trackers
            .get(&server.key)
            .map_or(server.start, |tracked| tracked.0.iteration())
    }

    pub(crate) fn tail(&self) -> Tail {
        Tail {
            ttft_factor: self.tail.ttft,
            itl_factor: self.tail.itl,
        }
    }

    /// Seconds that are remembered.
    pub(crate) fn age(&self, now: u64) -> f64 {
        self.since
            .map_or(0.0, |since| now.saturating_sub(since) as f64 / 1e3)
    }

    pub(crate) fn correction(&self) -> f64 {
        self.correction.unwrap_or(1.0)
    }
}

/// Smoothed lengths of the pool's requests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Profile {
    pub(crate) input_tokens: f64,
    pub(crate) output_tokens: f64,
    pub(crate) prefix_hits: f64,
}

/// Since when the replicas of a variant have been serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Settled {
    pub(crate) ready: u32,
    /// Instant since which no more than a few have joined.
    pub(crate) since: u64,
}

/// What was learned of the tail; see [`Tail`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct TailFactors {
    pub(crate) ttft: f64,
    pub(crate) itl: f64,
}

impl Default for TailFactors {
    fn default() -> Self {
        Self {
            ttft: 1.0,
            itl: 1.0,
        }
    }
}

/// Recent floors of each stage.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Floors {
    #[serde(with = "Samples")]
    both: RecentMaximum,
    #[serde(with = "Samples")]
    prefill: RecentMaximum,
    #[serde(with = "Samples")]
    decode: RecentMaximum,
}

impl Floors {
    pub(crate) fn of(&mut self, role: Role) -> &mut RecentMaximum {
        match role {
            Role::Both => &mut self.both,
            Role::Prefill => &mut self.prefill,
            Role::Decode => &mut self.decode,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RecentMaximum", transparent)]
struct Samples {
    samples: Vec<(u64, f64)>,
}

/// A filter on the load.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Followed(#[serde(with = "ForecasterFields")] pub(crate) Forecaster);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Forecaster", rename_all = "kebab-case")]
struct ForecasterFields {
    level: f64,
    trend: f64,
    covariance: [f64; 3],
}

/// What forecasts were worth.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Kept(#[serde(with = "RecordFields")] pub(crate) Record);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Record", rename_all = "kebab-case")]
struct RecordFields {
    pending: Vec<(u64, f64)>,
    mean_square: f64,
}

/// A filter on the constants of one kind of engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Tracked(#[serde(with = "TrackerFields")] pub(crate) Tracker);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Tracker", rename_all = "kebab-case")]
struct TrackerFields {
    state: [f64; 3],
    covariance: [f64; 9],
    prior: [f64; 3],
    accepted: u32,
    rejected_in_a_row: u32,
    relative_error: f64,
}
