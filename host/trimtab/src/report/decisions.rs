//! The table of decisions: what changed, what each policy said, what the guard did.

use maud::{Markup, html};
use trimtab_core::contract::{Note, Refusal, Role, Stage};
use trimtab_core::decision::{Call, GuardStep, PoolDecision, Rule, VariantDecision};

use super::conditions;
use super::events::{self, Event};
use crate::figures;

/// Rows of the table; more would make the page slow to open and nobody would read them.
const ROWS: usize = 400;

/// The table, with a note of what it leaves out. Instants are counted from `start_ms`.
pub(crate) fn section(decisions: &[PoolDecision], start_ms: u64) -> Markup {
    let events = events::pick(decisions);
    let shown = events.len().min(ROWS);
    let first = decisions.first().map(|decision| &decision.pool);
    let several = decisions
        .iter()
        .any(|decision| Some(&decision.pool) != first);
    html! {
        section {
            h2 { "Decisions" }
            p .note {
                (figures::count(number(decisions.len()))) " decisions in all. Listed are those in which "
                "a count changed, the guard acted or a call failed; the same again is one row, with the "
                "supply, demand and notes of its first tick. "
                @if shown < events.len() {
                    "Shown are the first " (figures::count(number(shown))) " of "
                    (figures::count(number(events.len()))) " such rows; "
                }
                @else { "There are " (figures::count(number(shown))) " such rows; " }
                "every decision is in " code { "decisions.jsonl" } " beside this page."
            }
            (conditions::list(decisions, start_ms))
            div .decisions tabindex="0" {
                table {
                    thead { tr {
                        th { "Time" } @if several { th { "Pool" } } th { "Replicas" } th { "Supply and demand" }
                        th { "Policies' notes" } th { "Guard" }
                    } }
                    tbody { @for event in events.iter().take(ROWS) {
                        (row(event, start_ms, several))
                    } }
                }
            }
        }
    }
}

fn row(event: &Event<'_>, start_ms: u64, several: bool) -> Markup {
    let decision = event.decision;
    html! {
        tr {
            td .when {
                (instant(decision.now_ms, start_ms))
                @if event.ticks > 1 {
                    " to " (instant(event.until_ms, start_ms))
                    div .why { (event.ticks) " ticks" }
                }
                @if let Some(arm) = decision.arm { div .why { (arm) } }
            }
            @if several { td .nowrap { (decision.pool) } }
            td .replicas { @for variant in &decision.variants { (count(variant)) } }
            td { @for analyzed in &decision.analyses {
                @for stage in &analyzed.stages { (supply(stage)) }
            } }
            td {
                @for call in events::calls(decision) { (outcome(call)) }
                @for analyzed in &decision.analyses { (notes(&analyzed.notes, decision)) }
                (notes(&decision.plan.notes, decision))
            }
            td { @for variant in &decision.variants {
                @for step in &variant.steps { (guarded(variant, step)) }
            } }
        }
    }
}

/// A variant whose count changed, with the plan's reason.
fn count(variant: &VariantDecision) -> Markup {
    if variant.desired == variant.previous {
        return html! {};
    }
    let class = if variant.desired > variant.previous {
        "up"
    } else {
        "down"
    };
    html! {
        div {
            span .nowrap {
                (variant.variant) " "
                span class=(class) { (variant.previous) " → " (variant.desired) }
                @if let Some(proposed) = variant.proposed.filter(|count| *count != variant.desired) {
                    " (plan: " (proposed) ")"
                }
            }
            @if !variant.reason.is_empty() { div .why { (variant.reason) } }
        }
    }
}

fn supply(stage: &Stage) -> Markup {
    html! {
        div {
            span .nowrap { (role(stage.role)) (figures::quantity(stage.demand)) " " (stage.unit) }
            div .why {
                span .nowrap {
                    "keep " (figures::quantity(stage.floor)) " to " (figures::quantity(stage.ceiling))
                }
                @if let Some(forecast) = stage.forecast {
                    ", " span .nowrap { "forecast " (figures::quantity(forecast)) }
                }
            }
        }
    }
}

/// Refusals, faults, and whoever stood in.
fn outcome(call: &Call) -> Markup {
    html! {
        @for rung in &call.faults {
            div .fault {
                @match &rung.fault {
                    Some(fault) => { (fault.to_string().lines().next().unwrap_or_default()) }
                    None => { "not called: too many faults in a row" }
                }
            }
        }
        @if let Some(refusal) = &call.refusal { div .fault { (refused(refusal)) } }
        @if let Some(answerer) = call.answered_by.as_ref().filter(|answerer| answerer.rung > 0) {
            div { "answered by " (answerer.name) " " (answerer.version) " in its place" }
        }
    }
}

fn notes(notes: &[Note], decision: &PoolDecision) -> Markup {
    let variant = |note: &Note| {
        let position = usize::try_from(note.variant?).ok()?;
        decision
            .variants
            .get(position)
            .map(|variant| variant.variant.as_str())
    };
    html! {
        @for note in notes {
            div {
                @if let Some(variant) = variant(note) { (variant) ": " }
                (note.text)
            }
        }
    }
}

fn guarded(variant: &VariantDecision, step: &GuardStep) -> Markup {
    html! {
        div {
            span .nowrap {
                span .rule { (rule(step.rule)) } " " (variant.variant) " "
                @if step.before == step.after { (step.after) }
                @else { (step.before) " → " (step.after) }
            }
            @if !step.why.is_empty() { div .why { (step.why) } }
        }
    }
}

pub(super) fn instant(now_ms: u64, start_ms: u64) -> String {
    let whole = now_ms.saturating_sub(start_ms) / 1000;
    figures::clock(u32::try_from(whole).map_or(f64::INFINITY, f64::from))
}

fn refused(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Settings(why) => format!("refused the settings: {why}"),
        Refusal::InsufficientData(why) => format!("refused for lack of data: {why}"),
        Refusal::Internal(why) => format!("refused: {why}"),
    }
}

/// Pools of one stage need no word for it.
fn role(role: Role) -> &'static str {
    match role {
        Role::Both => "",
        Role::Prefill => "prefill: ",
        Role::Decode => "decode: ",
    }
}

fn rule(rule: Rule) -> &'static str {
    match rule {
        Rule::Hold => "hold",
        Rule::Evidence => "evidence",
        Rule::Router => "router",
        Rule::Bounds => "bounds",
        Rule::LastReplica => "last replica",
        Rule::Behavior => "behavior",
        Rule::Gpus => "GPUs",
        Rule::Budget => "budget",
        Rule::Ceiling => "ceiling",
        Rule::Paused => "paused",
    }
}

pub(super) fn number(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
