//! Whether an experiment's statistics hold: a table over many simulated experiments of how often
//! its intervals cover what they should, and how often it finds a saving of a tenth. It takes four
//! minutes of CPU time.
//!
//! "A/A" is an experiment between two that are alike. The truth is what the same loads cost and
//! attain with the candidate always in force, less what they do with the control always in force;
//! costs are in percent of the latter.

use std::io::Write;

use rayon::prelude::*;
use trimtab_core::experiment::{Effect, Experiment, Report};

use switchback::{CANDIDATE, CONTROL, World, run};

#[path = "../tests/it/switchback.rs"]
mod switchback;

const RUNS: u64 = 1000;

/// Some lines of the table: one for each correlation time.
struct Row {
    slots: u32,
    noise: f64,
    ttft: f64,
}

const ROWS: [Row; 4] = [
    Row {
        slots: 96,
        noise: 0.15,
        ttft: 0.6,
    },
    Row {
        slots: 96,
        noise: 0.30,
        ttft: 0.6,
    },
    // The control seldom breaches this one.
    Row {
        slots: 96,
        noise: 0.15,
        ttft: 0.8,
    },
    Row {
        slots: 48,
        noise: 0.30,
        ttft: 0.6,
    },
];

const CORRELATION_MINUTES: [f64; 3] = [5.0, 30.0, 120.0];

/// What three experiments over one load say.
struct Outcome {
    alike: Report,
    different: Report,
    /// The candidate in both arms.
    always: Report,
}

/// A cell of the table.
struct Column {
    title: &'static str,
    cell: fn(&[Outcome]) -> String,
}

const COLUMNS: [Column; 9] = [
    Column {
        title: "A/A: cost covers 0",
        cell: |of| share(of, |run| covers(&run.alike.cost, Some(0.0))),
    },
    Column {
        title: "A/A: attainment covers 0",
        cell: |of| share(of, |run| covers(&run.alike.attainment, Some(0.0))),
    },
    Column {
        title: "saving found",
        cell: |of| {
            share(of, |run| {
                run.different
                    .cost
                    .interval
                    .is_some_and(|[_, high]| high < 0.0)
            })
        },
    },
    Column {
        title: "cost: true",
        cell: |of| {
            mean(of, "%", |run| {
                Some(100.0 * cost_truth(run)? / cost(&run.alike)?)
            })
        },
    },
    Column {
        title: "estimated",
        cell: |of| {
            mean(of, "%", |run| {
                Some(100.0 * run.different.cost.estimate? / cost(&run.alike)?)
            })
        },
    },
    Column {
        title: "covered",
        cell: |of| share(of, |run| covers(&run.different.cost, cost_truth(run))),
    },
    Column {
        title: "attainment: true",
        cell: |of| mean(of, "", attainment_truth),
    },
    Column {
        title: "estimated",
        cell: |of| mean(of, "", |run| run.different.attainment.estimate),
    },
    Column {
        title: "covered",
        cell: |of| {
            share(of, |run| {
                covers(&run.different.attainment, attainment_truth(run))
            })
        },
    },
];

fn main() -> std::io::Result<()> {
    // `cargo test --benches` only wants to see that it links.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    let titles: Vec<&str> = COLUMNS.iter().map(|column| column.title).collect();
    writeln!(out, "{RUNS} runs a row")?;
    let titles = titles.join(" | ");
    writeln!(out, "| slots | noise | correlation | TTFT | {titles} |")?;
    writeln!(out, "|---|---|---|---|{}", "---|".repeat(COLUMNS.len()))?;
    for row in &ROWS {
        for correlation_minutes in CORRELATION_MINUTES {
            let (slots, noise, ttft) = (row.slots, row.noise, row.ttft);
            let world = World {
                noise,
                correlation_minutes,
                ttft,
            };
            let outcomes = outcomes(world, slots);
            let cells = COLUMNS.iter().map(|column| (column.cell)(&outcomes));
            let cells = cells.collect::<Vec<_>>().join(" | ");
            writeln!(
                out,
                "| {slots} | {} % | {correlation_minutes} min | {ttft} s | {cells} |",
                100.0 * noise
            )?;
        }
    }
    Ok(())
}

fn outcomes(world: World, max_slots: u32) -> Vec<Outcome> {
    let seeds = (0..RUNS).into_par_iter();
    let outcomes = seeds.map(|seed| {
        let rules = Experiment {
            seed,
            max_slots,
            ..Experiment::default()
        };
        Outcome {
            alike: run(&rules, world, CONTROL, CONTROL),
            different: run(&rules, world, CONTROL, CANDIDATE),
            always: run(&rules, world, CANDIDATE, CANDIDATE),
        }
    });
    outcomes.collect()
}

fn covers(effect: &Effect, truth: Option<f64>) -> bool {
    let interval = effect.interval.zip(truth);
    interval.is_some_and(|([low, high], truth)| low <= truth && truth <= high)
}

/// Of an experiment between two that are alike.
fn cost(report: &Report) -> Option<f64> {
    Some((report.control.cost_per_hour? + report.candidate.cost_per_hour?) / 2.0)
}

fn attainment(report: &Report) -> Option<f64> {
    Some((report.control.attainment? + report.candidate.attainment?) / 2.0)
}

fn cost_truth(run: &Outcome) -> Option<f64> {
    Some(cost(&run.always)? - cost(&run.alike)?)
}

fn attainment_truth(run: &Outcome) -> Option<f64> {
    Some(attainment(&run.always)? - attainment(&run.alike)?)
}

fn share(outcomes: &[Outcome], of: impl Fn(&Outcome) -> bool) -> String {
    let count = outcomes.iter().filter(|run| of(run)).count();
    format!("{:.1} %", 100.0 * count as f64 / outcomes.len() as f64)
}

fn mean(outcomes: &[Outcome], unit: &str, of: impl Fn(&Outcome) -> Option<f64>) -> String {
    let values: Vec<f64> = outcomes.iter().filter_map(of).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    format!("{mean:.3} {unit}").trim_end().to_owned()
}
