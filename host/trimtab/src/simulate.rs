//! `trimtab simulate`: a scenario, the policies that decide in it, the runs, and what they leave.

mod files;
mod policies;
mod runs;
mod scenario;
mod shelf;

use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::arguments::{CacheArguments, SimulateArguments};
use crate::cache;
use crate::output::Output;
use crate::progress::Bars;
use crate::summary::Summary;
use crate::table;
use policies::Decider;

pub(crate) fn run(arguments: &SimulateArguments, cache: &CacheArguments) -> Result<Output> {
    let start = now();
    let scenario = scenario::open(arguments)?;
    let spec = scenario::resolve(&scenario, arguments)?;
    let sandbox = cache::sandbox(cache)?;
    let decider = Decider::load(&sandbox, (&scenario, &spec), arguments)?;
    // Before the runs: whoever waits for them must not learn only then that it was for nothing.
    fs_err::create_dir_all(&arguments.out).context("output directory cannot be made")?;
    let baselines = scenario::baselines(&scenario.file.compare, &arguments.compare)?;
    let runs = runs::all(&spec, &decider, &baselines, &Bars::new())?;
    let summary = Summary::new(&spec, &runs, start.elapsed().as_secs_f64());
    files::write(&arguments.out, &spec, &runs, &summary)?;
    Ok(Output::answer(if arguments.json {
        serde_json::to_string_pretty(&summary)? + "\n"
    } else {
        let report = arguments.out.join(files::REPORT);
        format!(
            "{}\nThe report is {}\n",
            table::render(&summary),
            report.display()
        )
    }))
}

#[expect(
    clippy::disallowed_methods,
    reason = "measures the command; nothing decides by it"
)]
fn now() -> Instant {
    Instant::now()
}
