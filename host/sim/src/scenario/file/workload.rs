//! What a pool serves: a trace, or generated requests.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scenario::{bounds, defaults};

/// Where requests come from.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadEntry {
    Trace(TraceEntry),
    Generate(GenerateEntry),
}

/// A trace in Azure's, BurstGPT's or Mooncake's format, which is told by its content.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TraceEntry {
    /// From the scenario file.
    pub file: PathBuf,
    /// Copies of the trace to lay over one another; a fraction thins.
    #[serde(default = "defaults::one")]
    #[schemars(transform = bounds::RATE_SCALE.shown())]
    pub rate_scale: f64,
    /// Each copy but the first is shifted round by up to this.
    #[serde(default = "defaults::spread_seconds")]
    #[schemars(transform = bounds::INSTANT_SECONDS.shown())]
    pub spread_seconds: f64,
    /// Times to play it, one after the other.
    #[serde(default = "defaults::once")]
    #[schemars(transform = bounds::REPEAT.shown())]
    pub repeat: u32,
}

/// Generated requests.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GenerateEntry {
    /// A Poisson process whose rate is the sum of these; at least one.
    #[schemars(length(min = 1))]
    pub arrivals: Vec<PatternEntry>,
    /// Lengths of prompts.
    pub input_tokens: LengthsEntry,
    /// Lengths of answers.
    pub output_tokens: LengthsEntry,
}

/// A rate over time. Rates are requests per second.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
pub enum PatternEntry {
    /// A constant rate.
    Poisson {
        /// At all times.
        #[schemars(transform = bounds::RATE.shown())]
        rate: f64,
    },
    /// On and off in turns of random length, beginning with off.
    Bursts {
        /// While it is on.
        #[schemars(transform = bounds::RATE.shown())]
        on_rate: f64,
        /// While it is off.
        #[serde(default)]
        #[schemars(transform = bounds::RATE.shown())]
        off_rate: f64,
        /// Mean length of a turn.
        #[schemars(transform = bounds::TURN_SECONDS.shown())]
        on_seconds: f64,
        /// Mean length of a turn.
        #[schemars(transform = bounds::TURN_SECONDS.shown())]
        off_seconds: f64,
    },
    /// A sine from the trough to the peak and back, beginning at the trough.
    DailyCycle {
        /// The least rate.
        #[schemars(transform = bounds::RATE.shown())]
        trough: f64,
        /// The highest rate.
        #[schemars(transform = bounds::RATE.shown())]
        peak: f64,
        /// From trough to trough.
        #[serde(default = "defaults::day")]
        #[schemars(transform = bounds::DURATION_SECONDS.shown())]
        period_seconds: f64,
    },
    /// A straight line over the whole run.
    Ramp {
        /// When the run starts.
        #[schemars(transform = bounds::RATE.shown())]
        from: f64,
        /// When the run ends.
        #[schemars(transform = bounds::RATE.shown())]
        to: f64,
    },
    /// A rate from an instant on, until the end or for a time.
    Step {
        /// While it lasts.
        #[schemars(transform = bounds::RATE.shown())]
        rate: f64,
        /// From the start of the run.
        #[schemars(transform = bounds::INSTANT_SECONDS.shown())]
        at_seconds: f64,
        /// Without it: until the end.
        #[schemars(transform = bounds::INSTANT_SECONDS.shown())]
        for_seconds: Option<f64>,
    },
}

/// Log-normal lengths.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LengthsEntry {
    /// Mean of the distribution before draws are cut.
    #[schemars(transform = bounds::MEAN_TOKENS.shown())]
    pub mean: f64,
    /// Standard deviation over mean; 0 gives every request the mean.
    #[serde(default = "defaults::one")]
    #[schemars(transform = bounds::VARIATION.shown())]
    pub cv: f64,
    /// Longer draws become this long.
    #[serde(default = "defaults::longest")]
    #[schemars(transform = bounds::TOKENS.shown())]
    pub max: u32,
}
