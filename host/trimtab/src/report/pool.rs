//! The plots of one pool, as one run left it.

use anyhow::Result;
use maud::{Markup, html};
use trimtab_contract::Objective as Promise;
use trimtab_sim::outcome::{Percentiles, PoolSample, PoolSeries};
use trimtab_sim::spec::PoolSpec;

use super::axis::Unit;
use super::chart::{Chart, Frame, Line, Objective, Span};
use super::faults::Mishap;
use super::ink::Ink;
use super::series::{self, Gather, Segments};
use super::tried::OfPool;
use crate::figures;

/// The section of one pool.
pub(crate) fn section(
    spec: &PoolSpec,
    series: &PoolSeries,
    (mishaps, tried): (&[Mishap], &OfPool<'_>),
    frame: &Frame,
) -> Result<Markup> {
    let promise = &spec.objective;
    let mut charts = vec![arrivals(series, frame.arriving), replicas(series)];
    charts.extend(tried.chart(spec, series));
    charts.extend([
        latency("Time to first token", series, promise, promise.ttft, |s| {
            s.ttft_seconds
        }),
        latency("Time between tokens", series, promise, promise.itl, |s| {
            s.itl_seconds
        }),
        queue(series),
        cost(series),
    ]);
    let charts = charts
        .iter()
        .map(|chart| chart.figure(frame))
        .collect::<Result<Vec<_>>>()?;
    Ok(html! {
        section {
            h2 { "Pool " (spec.namespace) "/" (spec.name) }
            p .lead { "Serves " strong { (spec.model) } ". " (promised(promise)) (attained(series))
                @for mishap in mishaps { " " (mishap.sentence) }
            }
            (tried.lead())
            div .grid { @for chart in charts { (chart) } }
            (tried.results())
        }
    })
}

/// The objective in a sentence.
fn promised(promise: &Promise) -> String {
    let bounds = [("TTFT", promise.ttft), ("ITL", promise.itl)];
    let bounds: Vec<String> = bounds
        .into_iter()
        .filter_map(|(name, bound)| {
            Some(format!("{name} within {}", figures::seconds(Some(bound?))))
        })
        .collect();
    if bounds.is_empty() {
        return "No latency objective.".to_owned();
    }
    let percent = figures::percentile(promise.percentile);
    format!(
        "Objective: {} for {percent} % of requests.",
        bounds.join(" and ")
    )
}

/// The share of this pool's requests that met the objective.
fn attained(series: &PoolSeries) -> String {
    series.attainment.map_or_else(String::new, |share| {
        format!(" Attained: {}.", figures::share(Some(share)))
    })
}

fn arrivals(series: &PoolSeries, until: f64) -> Chart {
    let arriving =
        |sample: &PoolSample| (sample.at_seconds <= until).then_some(sample.arrival_rate);
    Chart {
        title: "Arrivals".to_owned(),
        counts: "requests per second".to_owned(),
        unit: Unit::Quantity,
        range: Span::FromZero,
        lines: vec![Line {
            label: "arriving".to_owned(),
            ink: Ink::Arrivals,
            segments: series::line(&series.samples, Gather::Mean, arriving),
        }],
        objective: None,
    }
}

fn replicas(series: &PoolSeries) -> Chart {
    let numbered = || series.variants.iter().enumerate();
    let serving = numbered().map(|(position, variant)| Line {
        label: variant.variant.clone(),
        ink: Ink::Variant(position),
        segments: series::steps(&series.samples, &variant.serving),
    });
    let asked = numbered().map(|(position, variant)| Line {
        label: String::new(),
        ink: Ink::Asked(position),
        segments: series::steps(&series.samples, &variant.asked),
    });
    Chart {
        title: "Replicas".to_owned(),
        counts: "that serve, and dashed those asked for".to_owned(),
        unit: Unit::Count,
        range: Span::FromZero,
        lines: serving.chain(asked).collect(),
        objective: None,
    }
}

fn latency(
    title: &str,
    series: &PoolSeries,
    promise: &Promise,
    bound: Option<f64>,
    measured: impl Fn(&PoolSample) -> Percentiles,
) -> Chart {
    let line = |position, label: &str, pick: fn(Percentiles) -> Option<f64>| Line {
        label: label.to_owned(),
        ink: Ink::Percentile(position),
        segments: series::line(&series.samples, Gather::Largest, |sample| {
            pick(measured(sample))
        }),
    };
    let objective = bound.map(|value| Objective {
        label: format!(
            "objective for {} %: {}",
            figures::percentile(promise.percentile),
            figures::seconds(Some(value))
        ),
        value,
    });
    Chart {
        title: title.to_owned(),
        counts: "percentiles of each tick".to_owned(),
        unit: Unit::Seconds,
        range: Span::Latency,
        lines: vec![
            line(2, "p99", |percentiles| percentiles.p99),
            line(1, "p95", |percentiles| percentiles.p95),
            line(0, "p50", |percentiles| percentiles.p50),
        ],
        objective,
    }
}

fn queue(series: &PoolSeries) -> Chart {
    Chart {
        title: "Queue".to_owned(),
        counts: "requests that wait".to_owned(),
        unit: Unit::Count,
        range: Span::FromZero,
        lines: vec![Line {
            label: "waiting".to_owned(),
            ink: Ink::Run(0),
            segments: sampled(series, Gather::Largest, |sample| sample.queued),
        }],
        objective: None,
    }
}

fn cost(series: &PoolSeries) -> Chart {
    Chart {
        title: "Cost".to_owned(),
        counts: "per hour".to_owned(),
        unit: Unit::Quantity,
        range: Span::FromZero,
        lines: vec![Line {
            label: "cost".to_owned(),
            ink: Ink::Run(0),
            segments: sampled(series, Gather::Mean, |sample| sample.cost_per_hour),
        }],
        objective: None,
    }
}

fn sampled(series: &PoolSeries, gather: Gather, value: fn(&PoolSample) -> f64) -> Segments {
    series::line(&series.samples, gather, |sample| Some(value(sample)))
}
