//! What a run tried beside what decides: shadows, experiments, and swaps.

use std::sync::Arc;

use trimtab_contract::Descriptor;
use trimtab_core::experiment::Report;
use trimtab_core::policies::{Digest, PoolPolicies};
use trimtab_core::shadow::{Shadowed, Tally};

/// Empty where a scenario tries nothing. Pools are named by position.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    /// What shadows would have asked for: in order of time, then of the pools, then of the shadows'
    /// names.
    pub asked: Vec<Asked>,
    /// In order of the pools, then of the shadows' names.
    pub shadows: Vec<ShadowResult>,
    pub experiments: Vec<ExperimentSeries>,
    /// In order of time.
    pub swaps: Vec<Swapped>,
}

/// What a shadow would have asked for in one tick.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at_seconds: f64,
    pub shadowed: Shadowed,
}

/// What a shadow came to.
#[derive(Clone, Debug)]
pub struct ShadowResult {
    pub pool: usize,
    pub candidate: String,
    pub policies: Deciding,
    pub tally: Tally,
}

/// A pool's experiment, tick by tick; the last report is the result.
#[derive(Clone, Debug)]
pub struct ExperimentSeries {
    pub pool: usize,
    /// Those that were compared last: a swap begins the experiment anew.
    pub control: Deciding,
    pub candidate: Deciding,
    /// With the tick's instant in seconds: the arm that decided in it, and what was found before it.
    pub ticks: Vec<(f64, Report)>,
}

/// A swap that was made.
#[derive(Clone, Debug)]
pub struct Swapped {
    /// Of the first tick that the new policies decided.
    pub at_seconds: f64,
    pub pool: usize,
    pub before: Deciding,
    pub after: Deciding,
}

/// The policies that decide in a pool, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deciding {
    pub analyzers: Vec<PolicyVersion>,
    /// `None` where none is bound.
    pub optimizer: Option<PolicyVersion>,
}

/// A policy, beyond doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyVersion {
    pub name: String,
    pub version: String,
    pub digest: Digest,
    /// JSON document.
    pub settings: Arc<str>,
}

impl Deciding {
    /// The bound versions, whoever may stand in for them.
    #[must_use]
    pub fn of(policies: &PoolPolicies) -> Self {
        let analyzers = policies.analyzers.iter().filter_map(|bound| {
            let first = bound.rungs.first()?;
            let settings = &bound.settings;
            Some(PolicyVersion::new(
                first.descriptor(),
                first.digest(),
                settings,
            ))
        });
        let optimizer = &policies.optimizer;
        Self {
            analyzers: analyzers.collect(),
            optimizer: optimizer.rungs.first().map(|first| {
                PolicyVersion::new(first.descriptor(), first.digest(), &optimizer.settings)
            }),
        }
    }
}

impl PolicyVersion {
    fn new(descriptor: &Descriptor, digest: &Digest, settings: &Arc<str>) -> Self {
        Self {
            name: descriptor.name.clone(),
            version: descriptor.version.clone(),
            digest: digest.clone(),
            settings: Arc::clone(settings),
        }
    }
}
