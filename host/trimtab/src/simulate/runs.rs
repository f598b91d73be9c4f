//! The runs of a simulation, side by side, each on the same arrivals and alone in its world.

use std::thread;

use anyhow::{Result, anyhow};
use trimtab_sim::baselines::Baselines;
use trimtab_sim::controller::Engine;
use trimtab_sim::scenario::file::Baseline;
use trimtab_sim::spec::Spec;

use super::policies::Decider;
use crate::progress::Bars;
use crate::summary::Run;

/// Name of the engine's own run.
const ENGINE: &str = "trimtab";

/// The engine's run, then the baselines' in their order. They run at the same time; none can see
/// another, so what they leave is the same in whatever order they end.
pub(crate) fn all(
    spec: &Spec,
    decider: &Decider,
    baselines: &[Baseline],
    bars: &Bars,
) -> Result<Vec<Run>> {
    let beside = Baselines::new(spec);
    let beside = &beside;
    thread::scope(|scope| {
        let engine = scope.spawn(move || with_engine(spec, decider, bars));
        let others = baselines
            .iter()
            .map(|baseline| scope.spawn(move || with_baseline(beside, *baseline, bars)));
        let running: Vec<_> = std::iter::once(engine).chain(others).collect();
        running
            .into_iter()
            .map(|run| run.join().map_err(|_| anyhow!("a run ended in the middle")))
            .collect()
    })
}

fn with_engine(spec: &Spec, decider: &Decider, bars: &Bars) -> Run {
    let bar = bars.bar(ENGINE);
    let mut engine = Engine::new(decider.bindings.clone()).with_swaps(decider.swaps.clone());
    let outcome = trimtab_sim::run::run(spec, &mut engine, &mut |done| bar.show(done));
    Run {
        name: ENGINE.to_owned(),
        policies: Some(decider.identities.clone()),
        outcome,
    }
}

fn with_baseline(baselines: &Baselines<'_>, baseline: Baseline, bars: &Bars) -> Run {
    let name = match baseline {
        Baseline::Static => "static",
        Baseline::Hpa => "hpa",
        Baseline::Oracle => "oracle",
    };
    let bar = bars.bar(name);
    let outcome = baselines.run(baseline, &mut |done| bar.show(done));
    Run {
        name: name.to_owned(),
        policies: None,
        outcome,
    }
}
