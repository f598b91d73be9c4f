//! The summary as a table for the terminal: a row for each run, and what must be known to read it.

pub(crate) mod tried;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

use crate::figures;
use crate::summary::{RunSummary, Summary};

const STYLE: TableStyle = UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none());

/// The runs of a summary, one row each, first the one that all others are there to be compared with.
pub(crate) fn render(summary: &Summary<'_>) -> String {
    let yardstick = summary.yardstick();
    let relative = yardstick.map_or_else(String::new, |run| format!("cost / {}", run.name));
    let mut table = Table::new();
    table.load_style(STYLE).set_header([
        "run",
        "attained",
        "TTFT p50",
        "p99",
        "ITL p50",
        "p99",
        "cost",
        &relative,
        "GPU hours",
        "changes",
    ]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for run in &summary.runs {
        table.add_row(row(run, yardstick));
    }
    let mut text = table.to_string();
    for note in summary.out_of_reach() {
        text.push_str("\n ");
        text.push_str(&note);
    }
    if let Some(run) = summary.runs.first() {
        text.push_str(&tried::render(run));
    }
    text
}

fn row(run: &RunSummary<'_>, yardstick: Option<&RunSummary<'_>>) -> [String; 10] {
    let relative = yardstick.and_then(|yardstick| run.relative_cost(yardstick));
    [
        run.name.to_owned(),
        figures::share(run.attainment),
        figures::seconds(run.ttft_seconds.p50),
        figures::seconds(run.ttft_seconds.p99),
        figures::seconds(run.itl_seconds.p50),
        figures::seconds(run.itl_seconds.p99),
        figures::cost(run.cost),
        relative.map_or_else(
            || figures::MISSING.to_owned(),
            |factor| format!("{factor:.2}"),
        ),
        figures::quantity(run.total_gpu_hours()),
        figures::count(run.replica_changes),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use trimtab_sim::outcome::OutOfReach;

    #[test]
    fn a_baseline_that_cannot_meet_the_objective_is_named_under_the_table() {
        let spec = fixture::spec();
        let mut runs = fixture::runs(&spec);
        assert!(!render(&Summary::new(&spec, &runs, 0.0)).contains("out of reach"));
        runs[1].outcome.out_of_reach = vec![OutOfReach {
            pool: "chat".to_owned(),
            wanted: 0.99,
            attained: 0.9597,
        }];
        let table = render(&Summary::new(&spec, &runs, 0.0));
        let note = table.lines().last().unwrap();
        for part in ["static:", "`chat`", "99 %", "95.97 %"] {
            assert!(note.contains(part), "{note}");
        }
    }

    #[test]
    fn what_was_tried_stands_below_the_runs() {
        let spec = fixture::spec();
        let plain = render(&Summary::new(&spec, &fixture::runs(&spec), 0.0));
        for part in ["Shadows", "Experiments", "Swaps"] {
            assert!(!plain.contains(part), "{plain}");
        }
        let tried = fixture::tried(&spec);
        let table = render(&Summary::new(&spec, &tried, 0.0));
        for part in [
            "Shadows",
            "thrifty",
            "25.00 %",
            "h100 −0.5",
            "Experiments",
            "candidate",
            "chat: At the same load the candidate cost 9.8 % less (95 % interval 7.1 % to 12.4 % less)",
            "Swaps",
            "1:00:00 code: other settings for cost-optimizer 0.1.0 (sha256:5f5f5f5f5f5f…)",
        ] {
            assert!(table.contains(part), "`{part}` is not in:\n{table}");
        }
    }

    #[test]
    fn every_run_has_its_row() {
        let spec = fixture::spec();
        let runs = fixture::runs(&spec);
        let table = render(&Summary::new(&spec, &runs, 0.0));
        assert!(table.contains("cost / oracle"), "{table}");
        for run in &runs {
            let row = table
                .lines()
                .find(|line| line.trim_start().starts_with(&run.name));
            assert!(row.is_some_and(|row| row.contains(" %")), "{table}");
        }
    }
}
