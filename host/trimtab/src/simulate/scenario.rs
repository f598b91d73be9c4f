//! Which scenario runs, and what the command line changes in it.

use anyhow::Result;
use trimtab_sim::scenario::file::Baseline;
use trimtab_sim::scenario::{Overrides, Scenario};
use trimtab_sim::spec::Spec;

use crate::arguments::{self, SimulateArguments};

/// The one that is named, else one that is made to fit the trace, else the built-in one.
pub(crate) fn open(arguments: &SimulateArguments) -> Result<Scenario> {
    Ok(match (&arguments.scenario, &arguments.trace) {
        (Some(reference), _) => Scenario::open(reference)?,
        (None, Some(trace)) => Scenario::for_trace(trace)?,
        (None, None) => Scenario::built_in()?,
    })
}

/// Checks the scenario and turns it into what a simulation runs on.
pub(crate) fn resolve(scenario: &Scenario, arguments: &SimulateArguments) -> Result<Spec> {
    let overrides = Overrides {
        seed: arguments.seed,
        trace: arguments.trace.clone(),
        rate_scale: arguments.rate_scale,
        repeat: arguments.repeat,
        spread_seconds: arguments.spread,
    };
    Ok(scenario.resolve_noting(&overrides, &mut |note| tracing::warn!("{note}"))?)
}

/// What the run is compared with: what the command line says, else what the scenario says;
/// each once.
pub(crate) fn baselines(scenario: &Scenario, arguments: &SimulateArguments) -> Vec<Baseline> {
    let named: Vec<Baseline> = if arguments.compare.is_empty() {
        scenario.file.compare.clone()
    } else {
        let named = arguments.compare.iter().copied();
        named.map(Baseline::from).collect()
    };
    let mut baselines = Vec::new();
    for baseline in named {
        if !baselines.contains(&baseline) {
            baselines.push(baseline);
        }
    }
    baselines
}

impl From<arguments::Baseline> for Baseline {
    fn from(baseline: arguments::Baseline) -> Self {
        match baseline {
            arguments::Baseline::Static => Self::Static,
            arguments::Baseline::Hpa => Self::Hpa,
            arguments::Baseline::Oracle => Self::Oracle,
        }
    }
}
