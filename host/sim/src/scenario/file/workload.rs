//! What a pool serves: a trace, or generated requests.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scenario::defaults;

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
    pub rate_scale: f64,
    /// Each copy but the first is shifted round by up to this.
    #[serde(default = "defaults::spread_seconds")]
    pub spread_seconds: f64,
    /// Times to play it, one after the other.
    #[serde(default = "defaults::once")]
    pub repeat: u32,
}

/// Generated requests.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GenerateEntry {
    /// A Poisson process whose rate is the sum of these.
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
    Poisson { rate: f64 },
    /// On and off in turns of random length, beginning with off.
    Bursts {
        on_rate: f64,
        #[serde(default)]
        off_rate: f64,
        /// Mean length of a turn.
        on_seconds: f64,
        /// Mean length of a turn.
        off_seconds: f64,
    },
    /// A sine from the trough to the peak and back, beginning at the trough.
    DailyCycle {
        trough: f64,
        peak: f64,
        #[serde(default = "defaults::day")]
        period_seconds: f64,
    },
    /// A straight line over the whole run.
    Ramp { from: f64, to: f64 },
    /// A rate from an instant on, until the end or for a time.
    Step {
        rate: f64,
        at_seconds: f64,
        for_seconds: Option<f64>,
    },
}

/// Log-normal lengths.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LengthsEntry {
    pub mean: f64,
    /// Standard deviation over mean; 0 gives every request the mean.
    #[serde(default = "defaults::one")]
    pub cv: f64,
    /// Longer draws become this long.
    #[serde(default = "defaults::longest")]
    pub max: u32,
}
