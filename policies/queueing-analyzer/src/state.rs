//! What the analyzer remembers of a pool from call to call. A handful of numbers for each variant,
//! nothing that grows with time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trimtab_models::forecast::{Forecaster, Record};
use trimtab_models::hysteresis::RecentMaximum;
use trimtab_models::{Iteration, Tail, Tracker};
use trimtab_sdk::Role;

use crate::closed_loop::Reference;
use crate::servers::Server;
use crate::work::Yardstick;

/// Changes whenever the fields below change their meaning.
pub(crate) const FORMAT: &str = "queueing-analyzer/3";

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
    /// A load with fewer replicas, by which clients that wait for their answers are known.
    pub(crate) closed_loop: Option<Reference>,
    /// By which the work in a request is counted.
    pub(crate) yardstick: Option<Yardstick>,
    /// The load in work.
    pub(crate) forecaster: Option<Followed>,
    pub(crate) record: Option<Kept>,
    /// What each stage needed of late.
    pub(crate) needs: ByRole<Needs>,
    /// Floors of each stage in tokens of the KV cache.
    pub(crate) token_floors: ByRole<TokenFloors>,
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

    /// Counts all work that is remembered in another unit.
    pub(crate) fn scale_work(&mut self, factor: f64) {
        if !factor.is_finite() || factor <= 0.0 {
            return;
        }
        if let Some(Followed(forecaster)) = &mut self.forecaster {
            forecaster.scale(factor);
        }
        if let Some(Kept(record)) = &mut self.record {
            record.scale(factor);
        }
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Settled {
    pub(crate) ready: u32,
    /// Instant since which no more than a few have joined, and they were measured without a gap.
    pub(crate) since: u64,
    /// Instant at which they were last measured.
    pub(crate) until: u64,
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

/// One for each stage.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct ByRole<T> {
    both: T,
    prefill: T,
    decode: T,
}

impl<T> ByRole<T> {
    pub(crate) fn of(&mut self, role: Role) -> &mut T {
        match role {
            Role::Both => &mut self.both,
            Role::Prefill => &mut self.prefill,
            Role::Decode => &mut self.decode,
        }
    }
}

/// What a stage needed, in replicas of one variant: what such a replica supplies changes with the
/// lengths of requests and with what is learned, and what was needed a moment ago does not.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Needs {
    /// Name of the variant.
    replicas_of: String,
    pub(crate) span: Span,
    pub(crate) replicas: Recent,
    /// With all the room for doubt.
    pub(crate) asked: Recent,
}

impl Needs {
    /// Counts in replicas of another variant; `per_replica` is what a replica of a variant supplies
    /// now. What was counted in those of a variant that is gone is forgotten.
    pub(crate) fn count_in(
        &mut self,
        variant: &str,
        now: u64,
        per_replica: impl Fn(&str) -> Option<f64>,
    ) {
        if self.replicas_of == variant {
            return;
        }
        let supply = |name: &str| per_replica(name).filter(|supply| *supply > 0.0);
        match supply(&self.replicas_of).zip(supply(variant)) {
            Some((before, after)) => {
                self.replicas.0.scale(before / after);
                self.asked.0.scale(before / after);
            }
            None => {
                *self = Self {
                    span: Span {
                        since: now,
                        until: now,
                    },
                    ..Self::default()
                };
            }
        }
        self.replicas_of = variant.into();
    }
}

/// The floors of a stage in tokens.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct TokenFloors {
    pub(crate) span: Span,
    pub(crate) floors: Recent,
}

/// Over which time something is remembered without a gap.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Span {
    /// Instant of the first value.
    since: u64,
    /// Instant of the last one.
    until: u64,
}

impl Span {
    /// Seconds that are remembered, with a value at `now`. What was in a gap of more than
    /// `longest_gap` seconds is not known: remembering begins anew.
    pub(crate) fn age(&mut self, now: u64, longest_gap: f64) -> f64 {
        let gap = now.saturating_sub(self.until) as f64 / 1e3;
        if gap > longest_gap {
            self.since = now;
        }
        self.until = now;
        now.saturating_sub(self.since) as f64 / 1e3
    }
}

/// The largest of recent values.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Recent(#[serde(with = "Samples")] pub(crate) RecentMaximum);

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

#[cfg(test)]
mod tests {
    use super::*;

    fn needs() -> Needs {
        let mut needs = Needs::default();
        needs.count_in("h100", 1_000, |name| (name == "h100").then_some(10.0));
        needs.replicas.0.push(2_000, 60_000, 8.0);
        needs
    }

    #[test]
    fn after_a_gap_needs_are_remembered_anew() {
        let mut needs = needs();
        let ages = [2_000, 62_000, 122_000, 182_001, 242_001].map(|now| needs.span.age(now, 60.0));
        assert_eq!(ages, [1.0, 61.0, 121.0, 0.0, 60.0]);
    }

    #[test]
    fn needs_are_restated_in_replicas_of_another_variant() {
        let mut needs = needs();
        let supplies = |name: &str| Some(if name == "h100" { 12.0 } else { 3.0 });
        needs.count_in("l40s", 3_000, supplies);
        assert_eq!(needs.replicas.0.largest(), Some(32.0));
        assert!((needs.span.age(5_000, 60.0) - 4.0).abs() < 1e-9);
        needs.count_in("l40s", 4_000, supplies);
        assert_eq!(needs.replicas.0.largest(), Some(32.0));
    }

    #[test]
    fn needs_in_replicas_of_a_variant_that_is_gone_are_not_remembered() {
        let mut needs = needs();
        needs.count_in("l40s", 3_000, |name| (name == "l40s").then_some(3.0));
        assert_eq!(needs.replicas.0.largest(), None);
        assert!((needs.span.age(5_000, 60.0) - 2.0).abs() < 1e-9);
    }
}
