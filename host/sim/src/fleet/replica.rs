//! One replica: its stage of life, its engine, and what has been scraped of it.

use crate::engine::Engine;
use crate::measure::samples::ReplicaSamples;

/// Where a replica is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Asked for; no GPUs are free yet. Costs nothing.
    Unscheduled,
    /// Holds its GPUs and loads the model.
    Starting,
    Serving,
    /// Takes no new requests, finishes those that it has.
    Draining,
    Gone,
}

#[derive(Debug)]
pub(crate) struct Replica<'a> {
    /// Positions of its pool in the spec and of its variant there.
    pub(crate) pool: usize,
    pub(crate) variant: usize,
    pub(crate) name: String,
    pub(crate) stage: Stage,
    /// From when it holds its GPUs, in seconds.
    pub(crate) held_since: Option<f64>,
    /// From when it does not any more.
    pub(crate) gone_at: Option<f64>,
    pub(crate) serving_since: Option<f64>,
    /// Its start fails in the end.
    pub(crate) will_fail: bool,
    pub(crate) engine: Engine<'a>,
    /// Number of the engine's present plan; boundaries of earlier plans are void.
    pub(crate) version: u32,
    pub(crate) samples: ReplicaSamples,
}

impl Replica<'_> {
    pub(crate) fn holds_gpus(&self) -> bool {
        self.held_since.is_some() && self.gone_at.is_none()
    }

    /// Seconds of `0..until` in which it held its GPUs.
    pub(crate) fn held_seconds(&self, until: f64) -> f64 {
        let since = self.held_since.unwrap_or(until);
        let end = self.gone_at.map_or(until, |gone| gone.min(until));
        (end - since).max(0.0)
    }
}
