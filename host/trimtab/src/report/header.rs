//! What the page opens with: what was run, and what each run came to.

use maud::{Markup, html};
use trimtab_sim::spec::Spec;

use super::ink::Ink;
use crate::figures;
use crate::summary::{Identity, RunSummary, Summary, words};

pub(crate) fn section(spec: &Spec, summary: &Summary<'_>) -> Markup {
    html! {
        header {
            h1 { "Simulation of " (summary.scenario) }
            p .lead {
                (figures::count(u64::try_from(summary.trace.requests).unwrap_or(u64::MAX)))
                " requests over " (figures::span(summary.trace.duration_seconds))
                " to " (counted(spec.pools.len(), "pool")) " with "
                (counted(spec.pools.iter().map(|pool| pool.variants.len()).sum(), "variant"))
                ", seed " (summary.seed) ", a decision every "
                (figures::span(spec.timing.tick_seconds)) "."
            }
            @if let Some(run) = summary.runs.first() {
                (tiles(run, spec))
            }
            (runs(summary))
            @for note in summary.out_of_reach() { p .policies { (note) "." } }
            @for run in &summary.runs {
                @if let (Some(analyzer), Some(optimizer)) = (run.analyzer, run.optimizer) {
                    p .policies {
                        "Policies of " strong { (run.name) } ": " (policy(analyzer))
                        " and " (policy(optimizer))
                        @if !run.pool_policies.is_empty() { ", where a pool names none" }
                        "."
                    }
                }
            }
        }
    }
}

/// The first run's figures, each large enough to be read across a room.
fn tiles(run: &RunSummary<'_>, spec: &Spec) -> Markup {
    let wanted = super::wanted(spec);
    let missed = wanted
        .zip(run.attainment)
        .is_some_and(|(wanted, attained)| attained < wanted);
    let wanted = wanted.map_or_else(String::new, |share| {
        format!("{} % wanted", figures::percentile(share))
    });
    let lost = run.requests.dropped + run.requests.unfinished;
    let tiles = [
        ("Attained", figures::share(run.attainment), wanted, missed),
        (
            "Requests served",
            figures::count(run.requests.served),
            format!("{} dropped or unfinished", figures::count(lost)),
            false,
        ),
        (
            "TTFT p99",
            figures::seconds(run.ttft_seconds.p99),
            format!("p50 {}", figures::seconds(run.ttft_seconds.p50)),
            false,
        ),
        (
            "ITL p99",
            figures::seconds(run.itl_seconds.p99),
            format!("p50 {}", figures::seconds(run.itl_seconds.p50)),
            false,
        ),
        (
            "Cost",
            figures::cost(run.cost),
            format!("{} GPU hours", figures::quantity(run.total_gpu_hours())),
            false,
        ),
        (
            "Policy faults",
            figures::count(run.policy_faults),
            format!(
                "in {}",
                counted(usize::try_from(run.ticks).unwrap_or(usize::MAX), "tick")
            ),
            run.policy_faults > 0,
        ),
    ];
    html! {
        dl .tiles aria-label=(format!("Key figures of {}", run.name)) {
            @for (name, value, beside, bad) in tiles {
                div .bad[bad] { dt { (name) } dd { (value) } dd .beside { (beside) } }
            }
        }
    }
}

fn runs(summary: &Summary<'_>) -> Markup {
    let yardstick = summary.yardstick();
    html! {
        div .wide tabindex="0" {
            table .runs {
                thead { tr {
                    th { "Run" }
                    th { "Attained" }
                    th { "Served" }
                    th { "Lost" }
                    th { "TTFT p50" }
                    th { "p99" }
                    th { "ITL p50" }
                    th { "p99" }
                    th { "Cost" }
                    th { @if let Some(run) = yardstick { "Cost / " (run.name) } }
                    th { "GPU hours" }
                    th { "Changes" }
                } }
                tbody { @for (position, run) in summary.runs.iter().enumerate() {
                    (row(position, run, yardstick))
                } }
            }
        }
    }
}

fn row(position: usize, run: &RunSummary<'_>, yardstick: Option<&RunSummary<'_>>) -> Markup {
    let relative = yardstick.and_then(|yardstick| run.relative_cost(yardstick));
    let hours = run.gpu_hours.iter();
    let hours = hours.map(|(name, hours)| format!("{} {name}", figures::quantity(*hours)));
    html! {
        tr {
            th scope="row" {
                i .dot style=(format!("background:{}", Ink::Run(position).value())) {}
                (run.name)
            }
            td { (figures::share(run.attainment)) }
            td { (figures::count(run.requests.served)) }
            td { (figures::count(run.requests.dropped + run.requests.unfinished)) }
            td { (figures::seconds(run.ttft_seconds.p50)) }
            td { (figures::seconds(run.ttft_seconds.p99)) }
            td { (figures::seconds(run.itl_seconds.p50)) }
            td { (figures::seconds(run.itl_seconds.p99)) }
            td { (figures::cost(run.cost)) }
            td { (relative.map_or_else(|| figures::MISSING.to_owned(), |by| format!("{by:.2}"))) }
            td { (hours.collect::<Vec<_>>().join(", ")) }
            td { (figures::count(run.replica_changes)) }
        }
    }
}

fn policy(identity: &Identity) -> Markup {
    html! {
        (identity.name) " " (identity.version) " ("
        code title=(identity.digest.0) { (words::short(&identity.digest)) } ")"
    }
}

fn counted(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!(
        "{} {thing}{plural}",
        figures::count(u64::try_from(number).unwrap_or(u64::MAX))
    )
}
