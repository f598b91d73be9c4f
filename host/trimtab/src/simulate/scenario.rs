//! Which scenario runs, and what the command line changes in it.

use anyhow::{Result, ensure};
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

/// What the run is compared with: what the command line says, else what the scenario says; each
/// once.
pub(crate) fn baselines(
    scenario: &[Baseline],
    arguments: &[arguments::Baseline],
) -> Result<Vec<Baseline>> {
    let none = arguments.contains(&arguments::Baseline::None);
    ensure!(
        !none || arguments.len() == 1,
        "--compare names `none` beside a baseline; expected `none` alone, or baselines"
    );
    let named = if arguments.is_empty() {
        scenario.to_vec()
    } else {
        let named = arguments.iter().copied();
        named.filter_map(simulated).collect()
    };
    let mut baselines = Vec::new();
    for baseline in named {
        if !baselines.contains(&baseline) {
            baselines.push(baseline);
        }
    }
    Ok(baselines)
}

fn simulated(named: arguments::Baseline) -> Option<Baseline> {
    match named {
        arguments::Baseline::Static => Some(Baseline::Static),
        arguments::Baseline::Hpa => Some(Baseline::Hpa),
        arguments::Baseline::Oracle => Some(Baseline::Oracle),
        arguments::Baseline::None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_replaces_what_the_scenario_names() {
        use arguments::Baseline as Named;
        let scenario = [Baseline::Hpa, Baseline::Oracle, Baseline::Hpa];
        let compared = |named: &[Named]| baselines(&scenario, named).unwrap();
        assert_eq!(compared(&[]), [Baseline::Hpa, Baseline::Oracle]);
        let twice = [Named::Static, Named::Static];
        assert_eq!(compared(&twice), [Baseline::Static]);
        assert_eq!(compared(&[Named::None]), []);
        let both = baselines(&scenario, &[Named::None, Named::Hpa]).unwrap_err();
        assert!(both.to_string().contains("`none` alone"), "{both}");
    }
}
