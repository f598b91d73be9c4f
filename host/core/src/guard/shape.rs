//! First rule: an answer that the contract does not allow is a fault of the policy, as a whole.
//!
//! Public, so that whoever calls a policy by hand learns what the guard would say.

use std::collections::BTreeSet;

use trimtab_contract::{Analysis, Capacity, Knowledge, Note, Plan, Pool, Request, Stage};

use crate::draft::role_name;
use crate::policies::{CallError, Fault, FaultKind};

/// Longest text of a note, reason or unit, in bytes. An operator reads them in a terminal.
const LONGEST_TEXT: usize = 4096;

/// Most notes in one answer.
const MOST_NOTES: usize = 1024;

/// Most values that one analysis may teach about each variant.
const MOST_LEARNED_PER_VARIANT: usize = 64;

/// What a check comes to.
pub type Check = Result<(), CallError>;

/// Holds an analysis of `pool` to the contract.
///
/// # Errors
/// A fault that names the first thing wrong.
pub fn check_analysis(analysis: &Analysis, pool: &Pool) -> Check {
    let mut roles = BTreeSet::new();
    for stage in &analysis.stages {
        if !roles.insert(stage.role) {
            return Err(invalid(format!(
                "two stages for role `{}`",
                role_name(stage.role)
            )));
        }
        check_stage(stage, pool)?;
    }
    let most = MOST_LEARNED_PER_VARIANT.saturating_mul(pool.variants.len().max(1));
    if analysis.learned.len() > most {
        return Err(invalid(format!(
            "{} learned values, at most {most}",
            analysis.learned.len()
        )));
    }
    for learned in &analysis.learned {
        check_learned(learned, pool)?;
    }
    check_notes(&analysis.notes)?;
    for variant in analysis.notes.iter().filter_map(|note| note.variant) {
        if variant as usize >= pool.variants.len() {
            return Err(invalid(format!(
                "a note speaks of variant {variant}, which does not exist"
            )));
        }
    }
    Ok(())
}

fn check_stage(stage: &Stage, pool: &Pool) -> Check {
    let of = format!("stage `{}`", role_name(stage.role));
    amount(&of, "demand", stage.demand)?;
    amount(&of, "floor", stage.floor)?;
    amount(&of, "ceiling", stage.ceiling)?;
    stage
        .forecast
        .map_or(Ok(()), |forecast| amount(&of, "forecast", forecast))?;
    if stage.floor > stage.ceiling {
        let (floor, ceiling) = (stage.floor, stage.ceiling);
        return Err(invalid(format!(
            "{of}: floor {floor} is above ceiling {ceiling}"
        )));
    }
    text("unit", &stage.unit)?;
    let mut seen = BTreeSet::new();
    for capacity in &stage.capacities {
        if !seen.insert(capacity.variant) {
            return Err(invalid(format!(
                "{of}: two capacities of variant {}",
                capacity.variant
            )));
        }
        check_capacity(&of, stage, capacity, pool)?;
    }
    Ok(())
}

fn check_capacity(of: &str, stage: &Stage, capacity: &Capacity, pool: &Pool) -> Check {
    let index = capacity.variant;
    let Some(variant) = pool.variants.get(index as usize) else {
        return Err(invalid(format!("{of}: variant {index} does not exist")));
    };
    if variant.role != stage.role {
        return Err(invalid(format!(
            "{of}: variant {index} has role `{}`",
            role_name(variant.role)
        )));
    }
    amount(of, "per-replica", capacity.per_replica)?;
    amount(of, "load", capacity.load)?;
    capacity
        .predicted_ttft
        .map_or(Ok(()), |ttft| amount(of, "predicted-ttft", ttft))?;
    capacity
        .predicted_itl
        .map_or(Ok(()), |itl| amount(of, "predicted-itl", itl))
}

/// A pool teaches only about what it runs, so that it cannot spoil another model's knowledge.
fn check_learned(learned: &Knowledge, pool: &Pool) -> Check {
    let of = format!("learned `{}`", learned.quantity);
    text("quantity", &learned.quantity)?;
    if !learned.value.is_finite() {
        return Err(invalid(format!("{of}: {} is no number", learned.value)));
    }
    if learned.model != pool.model {
        return Err(invalid(format!(
            "{of}: model `{}` is not the pool's",
            learned.model
        )));
    }
    let runs_it = pool.variants.iter().any(|variant| {
        variant.accelerator == learned.accelerator
            && variant.gpus_per_replica == learned.gpus_per_replica
            && (learned.engine.is_none() || variant.engine == learned.engine)
    });
    if runs_it {
        return Ok(());
    }
    let (gpus, accelerator) = (learned.gpus_per_replica, &learned.accelerator);
    Err(invalid(format!(
        "{of}: no variant runs with {gpus} × `{accelerator}` and that engine"
    )))
}

/// Holds a plan for `requests` to the contract. `plausible` has the largest believable count for
/// each request.
///
/// # Errors
/// A fault that names the first thing wrong.
pub fn check_plan(plan: &Plan, requests: &[Request], plausible: &[u32]) -> Check {
    let mut planned: Vec<Vec<bool>> = requests
        .iter()
        .map(|request| vec![false; request.pool.variants.len()])
        .collect();
    for target in &plan.targets {
        let (request, variant) = (target.request, target.variant);
        let slot = planned
            .get_mut(request as usize)
            .and_then(|variants| variants.get_mut(variant as usize))
            .ok_or_else(|| {
                invalid(format!(
                    "request {request}, variant {variant} does not exist"
                ))
            })?;
        if std::mem::replace(slot, true) {
            return Err(invalid(format!(
                "two targets for request {request}, variant {variant}"
            )));
        }
        let most = plausible.get(request as usize).copied().unwrap_or(u32::MAX);
        if target.replicas > most {
            let replicas = target.replicas;
            return Err(invalid(format!(
                "{replicas} replicas are not plausible (most: {most})"
            )));
        }
        text("reason", &target.reason)?;
    }
    for (request, variants) in planned.iter().enumerate() {
        if let Some(variant) = variants.iter().position(|planned| !planned) {
            return Err(invalid(format!(
                "no target for request {request}, variant {variant}"
            )));
        }
    }
    check_notes(&plan.notes)
}

fn check_notes(notes: &[Note]) -> Check {
    if notes.len() > MOST_NOTES {
        return Err(invalid(format!(
            "{} notes, at most {MOST_NOTES}",
            notes.len()
        )));
    }
    notes.iter().try_for_each(|note| text("note", &note.text))
}

fn amount(of: &str, what: &str, value: f64) -> Check {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(invalid(format!("{of}: {what} {value} is no amount")))
}

fn text(what: &str, text: &str) -> Check {
    if text.len() <= LONGEST_TEXT {
        return Ok(());
    }
    Err(invalid(format!(
        "a {what} of {} bytes, at most {LONGEST_TEXT}",
        text.len()
    )))
}

fn invalid(message: String) -> CallError {
    CallError::Fault(Fault {
        kind: FaultKind::InvalidAnswer,
        message,
    })
}
