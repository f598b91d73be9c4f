//! What an experiment shows: how far it is, and what it found.

use serde::{Deserialize, Serialize};

use super::Arm;

/// An experiment as an operator sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    pub phase: Phase,
    pub control: ArmReport,
    pub candidate: ArmReport,
    /// In cost per hour.
    pub cost: Effect,
    /// In share of requests.
    pub attainment: Effect,
}

/// How far an experiment is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It has not begun, or its rules cannot be run.
    Waiting,
    Running {
        /// The first is 0.
        slot: u64,
        arm: Arm,
        /// Whether what is seen now counts for nothing yet.
        #[serde(rename = "washing-out")]
        washing_out: bool,
    },
    /// All slots were run, or its time is over.
    Done,
    /// A guard rail ended it.
    Stopped {
        /// The arm that breached it.
        arm: Arm,
        /// With the figures.
        why: String,
    },
}

/// What one arm showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ArmReport {
    /// Slots of it that were seen for at least half of the time that counts.
    pub slots: u32,
    /// Mean over the slots of complete pairs.
    pub cost_per_hour: Option<f64>,
    /// Share of requests in whose time the objective was met: mean over the slots of complete
    /// pairs.
    pub attainment: Option<f64>,
}

/// Candidate less control at the same rate of requests. All is `None` below three pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Effect {
    /// Complete pairs of slots.
    pub pairs: u32,
    /// Mean of the pairs' differences, less what the load's own differences explain.
    pub estimate: Option<f64>,
    pub standard_error: Option<f64>,
    pub degrees_of_freedom: Option<u32>,
    /// Ends of the 95 % confidence interval.
    pub interval: Option<[f64; 2]>,
}
