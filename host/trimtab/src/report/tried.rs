//! What was tried in one pool: its own policies, shadows, an experiment and swaps.

use maud::{Markup, html};
use trimtab_core::experiment::Effect;
use trimtab_sim::spec::PoolSpec;
use trimtab_sim::tried::{Asked, Tried};

use super::arms::{self, Band};
use super::axis::Unit;
use super::chart::{Chart, Line, Span};
use super::ink::Ink;
use super::series;
use crate::figures;
use crate::summary::RunSummary;
use crate::summary::tried::{Experiment, PoolPolicies, Shadow, Swap};
use crate::summary::words;
use crate::table::tried::{differences, money};
use trimtab_sim::outcome::PoolSeries;

/// What one pool of the shown run tried. Nothing where it tried nothing.
#[derive(Default)]
pub(crate) struct OfPool<'a> {
    policies: Option<&'a PoolPolicies<'a>>,
    shadows: Vec<&'a Shadow<'a>>,
    asked: Vec<&'a Asked>,
    experiment: Option<&'a Experiment<'a>>,
    /// Whose turn it was.
    pub(crate) bands: Vec<Band>,
    swaps: Vec<&'a Swap<'a>>,
}

impl<'a> OfPool<'a> {
    pub(crate) fn new(
        (position, pool): (usize, &PoolSpec),
        tried: &'a Tried,
        summary: &'a RunSummary<'a>,
    ) -> Self {
        let name = pool.name.as_str();
        let series = tried.experiments.iter().find(|of| of.pool == position);
        let asked = tried.asked.iter().filter(|of| of.shadowed.pool == name);
        Self {
            policies: summary.pool_policies.iter().find(|of| of.pool == name),
            shadows: summary
                .shadows
                .iter()
                .filter(|of| of.pool == name)
                .collect(),
            asked: asked.collect(),
            experiment: summary.experiments.iter().find(|of| of.pool == name),
            bands: series.map(arms::bands).unwrap_or_default(),
            swaps: summary.swaps.iter().filter(|of| of.pool == name).collect(),
        }
    }

    /// Instants to mark on the plots.
    pub(crate) fn marks(&self) -> impl Iterator<Item = (f64, Ink)> + '_ {
        self.swaps.iter().map(|swap| (swap.at_seconds, Ink::Swap))
    }

    /// What is to be known before the plots are read.
    pub(crate) fn lead(&self) -> Markup {
        html! {
            @if let Some(own) = self.policies {
                p .policies {
                    "Its own policies"
                    @if !self.swaps.is_empty() { " at the beginning" }
                    ": "
                    (words::all(own.deciding)) "."
                }
            }
            @for swap in &self.swaps {
                p .policies {
                    "Swapped at " (figures::clock(swap.at_seconds)) ": "
                    (words::changes(&swap.swapped.before, &swap.swapped.after)) "."
                }
            }
            @if self.experiment.is_some() { (arms::legend()) }
        }
    }

    /// What the pool asked for, and what each shadow would have; `None` without shadows.
    pub(crate) fn chart(&self, pool: &PoolSpec, series: &PoolSeries) -> Option<Chart> {
        if self.shadows.is_empty() {
            return None;
        }
        let asked = Line {
            label: "asked for".to_owned(),
            ink: Ink::Run(0),
            segments: series::stepped(active(pool, series).into_iter()),
        };
        let shadows = self.shadows.iter().enumerate();
        let shadows = shadows.map(|(position, shadow)| Line {
            label: shadow.candidate.to_owned(),
            ink: Ink::Shadow(position),
            segments: series::stepped(self.wanted(shadow.candidate, pool)),
        });
        Some(Chart {
            title: "Shadows".to_owned(),
            counts: "cost per hour of what is asked for, and of what they would ask for".to_owned(),
            unit: Unit::Quantity,
            range: Span::FromZero,
            lines: shadows.chain([asked]).collect(),
            objective: None,
        })
    }

    /// Instant and cost per hour of what a shadow would have asked for.
    fn wanted(&self, candidate: &str, pool: &PoolSpec) -> impl Iterator<Item = (f64, f64)> {
        let asked = self.asked.iter();
        let asked = asked.filter(move |of| of.shadowed.candidate == candidate);
        asked.filter_map(move |of| {
            let variants = of.shadowed.proposal.as_ref()?.variants().iter();
            let counts = variants.map(|variant| variant.desired);
            Some((of.at_seconds, cost(pool, counts)))
        })
    }

    /// What came of it, below the plots.
    pub(crate) fn results(&self) -> Markup {
        html! {
            @if !self.shadows.is_empty() { (shadows(&self.shadows)) }
            @if let Some(experiment) = self.experiment { (results(experiment)) }
        }
    }
}

/// Instant and cost per hour of what was asked for.
fn active(pool: &PoolSpec, series: &PoolSeries) -> Vec<(f64, f64)> {
    let ticks = series.samples.iter().enumerate();
    let costs = ticks.map(|(tick, sample)| {
        let counts = series.variants.iter();
        let counts = counts.map(|variant| variant.asked.get(tick).copied().unwrap_or(0));
        (sample.at_seconds, cost(pool, counts))
    });
    costs.collect()
}

fn cost(pool: &PoolSpec, counts: impl Iterator<Item = u32>) -> f64 {
    let costs = pool.variants.iter().zip(counts);
    costs
        .map(|(variant, count)| variant.cost_per_hour * f64::from(count))
        .sum()
}

fn shadows(shadows: &[&Shadow<'_>]) -> Markup {
    html! {
        h3 { "Shadows" }
        p .note {
            "Asked at every tick with what the pool's own policies were asked with, and given to "
            "nobody; each line of " code { "shadows.jsonl" } " says why. Figures are means over ticks, beside whoever decided in each."
        }
        @for shadow in shadows {
            p .policies { strong { (shadow.candidate) } ": " (words::all(shadow.policies)) "." }
        }
        div .wide tabindex="0" {
            table .runs {
                thead { tr {
                    th { "Shadow" } th { "Disagrees" } th { "Cost per hour, asked for" }
                    th { "its" } th { "Replicas, its less asked for" } th { "Ticks with a fault" }
                } }
                tbody { @for (position, shadow) in shadows.iter().enumerate() {
                    tr {
                        th scope="row" {
                            i .dot style=(format!("background:{}", Ink::Shadow(position).value())) {}
                            (shadow.candidate)
                        }
                        td { (figures::share(shadow.disagreement_rate)) }
                        td { (money(shadow.active_cost_per_hour)) }
                        td { (money(shadow.candidate_cost_per_hour)) }
                        td { (differences(shadow)) }
                        td { (figures::count(shadow.faulted_ticks)) }
                    }
                } }
            }
        }
    }
}

fn results(experiment: &Experiment<'_>) -> Markup {
    let arms = [
        (Ink::Arm(0), "control", &experiment.control),
        (Ink::Arm(1), "candidate", &experiment.candidate),
    ];
    let (control, candidate) = (&experiment.series.control, &experiment.series.candidate);
    let (cost, attainment) = (&experiment.report.cost, &experiment.report.attainment);
    html! {
        h3 { "Experiment" }
        p { (words::finding(experiment.report)) }
        p .policies { strong { "candidate" } ": " (words::changes(control, candidate)) "." }
        div .wide tabindex="0" {
            table .runs {
                thead { tr { th { "Arm" } th { "Slots" } th { "Cost per hour" } th { "Attained" } } }
                tbody {
                    @for (ink, name, arm) in arms {
                        tr {
                            th scope="row" {
                                i .dot style=(format!("background:{}", ink.value())) {}
                                (name)
                            }
                            td { (arm.slots) }
                            td { (money(arm.cost_per_hour)) }
                            td { (figures::share(arm.attainment)) }
                        }
                    }
                    (effect("effect, at the same load", cost, attainment, |of, unit| {
                        of.estimate.map(|value| unit.signed(value))
                    }))
                    (effect("standard error", cost, attainment, |of, unit| {
                        of.standard_error.map(|value| unit.size(value))
                    }))
                    (effect("95 % interval", cost, attainment, |of, unit| {
                        let [low, high] = of.interval?;
                        Some(format!("{} to {}", unit.signed(low), unit.signed(high)))
                    }))
                }
            }
        }
        p .note {
            "Over " (experiment.pairs) " complete pairs of slots. Attained is the share of requests in "
            "whose time the measured percentile kept the objective. Washouts count for nothing."
        }
    }
}

/// In what an effect is told.
#[derive(Clone, Copy)]
enum Of {
    Cost,
    /// Percentage points.
    Share,
}

impl Of {
    fn signed(self, value: f64) -> String {
        match self {
            Self::Cost => figures::signed(value),
            Self::Share => format!("{} points", figures::signed(points(value))),
        }
    }

    fn size(self, value: f64) -> String {
        match self {
            Self::Cost => figures::quantity(value),
            Self::Share => format!("{} points", figures::quantity(points(value))),
        }
    }
}

/// More than two digits after the point say nothing.
fn points(share: f64) -> f64 {
    (share * 10_000.0).round() / 100.0
}

fn effect(
    name: &str,
    cost: &Effect,
    attainment: &Effect,
    shown: impl Fn(&Effect, Of) -> Option<String>,
) -> Markup {
    let shown = |of, unit| shown(of, unit).unwrap_or_else(|| figures::MISSING.to_owned());
    html! {
        tr {
            th scope="row" { (name) }
            td {}
            td { (shown(cost, Of::Cost)) }
            td { (shown(attainment, Of::Share)) }
        }
    }
}
