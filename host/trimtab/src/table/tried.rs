//! What was tried in a run, as tables and sentences for the terminal.

use comfy_table::{CellAlignment, Table};

use super::STYLE;
use crate::figures;
use crate::summary::RunSummary;
use crate::summary::tried::{Experiment, Shadow};
use crate::summary::words;

/// Empty where nothing was tried.
pub(super) fn render(run: &RunSummary<'_>) -> String {
    let mut text = String::new();
    if !run.shadows.is_empty() {
        text.push_str(&format!("\n\n Shadows\n{}", shadows(&run.shadows)));
    }
    if !run.experiments.is_empty() {
        let arms = experiments(&run.experiments);
        text.push_str(&format!("\n\n Experiments\n{arms}"));
        for experiment in &run.experiments {
            let finding = words::finding(experiment.report);
            text.push_str(&format!("\n {}: {finding}", experiment.pool));
        }
    }
    if !run.swaps.is_empty() {
        text.push_str("\n\n Swaps");
    }
    for swap in &run.swaps {
        let at = figures::clock(swap.at_seconds);
        let changes = words::changes(&swap.swapped.before, &swap.swapped.after);
        text.push_str(&format!("\n {at} {}: {changes}", swap.pool));
    }
    text
}

fn shadows(shadows: &[Shadow<'_>]) -> Table {
    let header = [
        "pool",
        "shadow",
        "disagrees",
        "cost/h asked",
        "its cost/h",
        "replicas, its less asked",
    ];
    let rows = shadows.iter().map(|shadow| {
        [
            shadow.pool.to_owned(),
            shadow.candidate.to_owned(),
            figures::share(shadow.disagreement_rate),
            money(shadow.active_cost_per_hour),
            money(shadow.candidate_cost_per_hour),
            differences(shadow),
        ]
    });
    table(header, rows)
}

fn experiments(experiments: &[Experiment<'_>]) -> Table {
    let header = ["pool", "arm", "slots", "cost/h", "attained"];
    let rows = experiments.iter().flat_map(|experiment| {
        let arms = [
            ("control", &experiment.control),
            ("candidate", &experiment.candidate),
        ];
        arms.map(|(name, arm)| {
            [
                experiment.pool.to_owned(),
                name.to_owned(),
                arm.slots.to_string(),
                money(arm.cost_per_hour),
                figures::share(arm.attainment),
            ]
        })
    });
    table(header, rows)
}

/// The first two columns are names.
fn table<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(header);
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for row in rows {
        table.add_row(row);
    }
    table
}

/// Mean counts by variant, each with its sign.
pub(crate) fn differences(shadow: &Shadow<'_>) -> String {
    let each = shadow.mean_differences.iter();
    let each = each.map(|(variant, by)| format!("{variant} {}", figures::signed(*by)));
    each.collect::<Vec<_>>().join(", ")
}

pub(crate) fn money(value: Option<f64>) -> String {
    value.map_or_else(|| figures::MISSING.to_owned(), figures::cost)
}
