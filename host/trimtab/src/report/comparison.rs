//! All runs laid over one another, on the same arrivals.

use anyhow::Result;
use maud::{Markup, html};

use super::axis::Unit;
use super::chart::{Chart, Frame, Line, Objective, Span};
use super::ink::Ink;
use super::series::{self, Gather, Segments};
use crate::figures;
use crate::summary::Run;
use trimtab_sim::outcome::Outcome;
use trimtab_sim::spec::Spec;

/// The plots of the whole fleet, a line for each run.
pub(crate) fn section(spec: &Spec, runs: &[Run], frame: &Frame) -> Result<Markup> {
    // One point for about every fortieth of the run: shares of few requests say nothing.
    let span = frame.duration / 40.0;
    let charts = [
        Chart {
            title: "Attainment".to_owned(),
            counts: format!(
                "requests that met the objective, each {}",
                figures::span(span)
            ),
            unit: Unit::Share,
            range: Span::UpToOne,
            lines: lines(runs, |outcome| series::attainment(outcome, span)),
            objective: objective(spec),
        },
        Chart {
            title: "Cost".to_owned(),
            counts: "per hour, whole fleet".to_owned(),
            unit: Unit::Quantity,
            range: Span::FromZero,
            lines: lines(runs, |outcome| {
                series::total(outcome, Gather::Mean, |sample| sample.cost_per_hour)
            }),
            objective: None,
        },
        Chart {
            title: "Replicas serving".to_owned(),
            counts: "whole fleet".to_owned(),
            unit: Unit::Count,
            range: Span::FromZero,
            lines: lines(runs, series::total_serving),
            objective: None,
        },
        Chart {
            title: "Queue".to_owned(),
            counts: "requests that wait, whole fleet".to_owned(),
            unit: Unit::Count,
            range: Span::FromZero,
            lines: lines(runs, |outcome| {
                series::total(outcome, Gather::Largest, |sample| sample.queued)
            }),
            objective: None,
        },
    ];
    let charts = charts
        .iter()
        .map(|chart| chart.figure(frame))
        .collect::<Result<Vec<_>>>()?;
    Ok(html! {
        section {
            h2 { @if runs.len() > 1 { "The runs side by side" } @else { "The whole fleet" } }
            div .grid { @for chart in charts { (chart) } }
        }
    })
}

fn lines(runs: &[Run], segments: impl Fn(&Outcome) -> Segments) -> Vec<Line> {
    let line = |(position, run): (usize, &Run)| Line {
        label: run.name.clone(),
        ink: Ink::Run(position),
        segments: segments(&run.outcome),
    };
    runs.iter().enumerate().map(line).collect()
}

fn objective(spec: &Spec) -> Option<Objective> {
    let value = super::wanted(spec)?;
    Some(Objective {
        label: format!("objective: {} %", figures::percentile(value)),
        value,
    })
}
