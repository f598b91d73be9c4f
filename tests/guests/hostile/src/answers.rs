//! Answers: the right one, and those that are wrong in the way that was asked for.

use trimtab_sdk::{
    Analysis, Capacity, Context, Level, Note, Plan, Pool, Refusal, Replica, Request, Role, Stage,
    Target,
};

use crate::behaviour::{Behaviour, Settings};

/// Entries of each part of a huge list.
const ENTRIES: u32 = 1_000;

pub(crate) fn analysis(
    settings: &Settings,
    context: &Context,
    pool: &Pool,
    replicas: &[Replica],
) -> Result<Analysis, Refusal> {
    refusal(settings)?;
    let variants = u32::try_from(pool.variants.len()).unwrap_or(u32::MAX);
    let amount = replicas.len() as f64;
    let stages = if settings.behaviour == Behaviour::HugeList {
        (0..settings.amount)
            .map(|_| stage(0..ENTRIES, amount))
            .collect()
    } else if settings.behaviour == Behaviour::NotANumber {
        vec![stage(0..variants, f64::NAN)]
    } else if settings.behaviour == Behaviour::WrongIndices {
        vec![stage(1..variants + 1, amount)]
    } else if settings.behaviour == Behaviour::Twice {
        vec![stage(0..variants, amount); 2]
    } else {
        vec![stage(0..variants, amount)]
    };
    Ok(Analysis {
        stages,
        learned: Vec::new(),
        notes: notes(settings),
        state: state(settings, context),
    })
}

pub(crate) fn plan(
    settings: &Settings,
    context: &Context,
    requests: &[Request],
) -> Result<Plan, Refusal> {
    refusal(settings)?;
    let mut targets: Vec<Target> = (0..).zip(requests).flat_map(targets).collect();
    if settings.behaviour == Behaviour::WrongIndices {
        for target in &mut targets {
            target.variant += 1;
        }
    }
    if settings.behaviour == Behaviour::Twice {
        targets.extend_from_within(..);
    }
    if settings.behaviour == Behaviour::HugeList {
        let all = targets.len() * settings.amount * ENTRIES as usize;
        targets = targets.iter().cycle().take(all).cloned().collect();
    }
    Ok(Plan {
        targets,
        notes: notes(settings),
        state: state(settings, context),
    })
}

/// Keeps every variant at what it is asked to have.
fn targets((request, asked): (u32, &Request)) -> Vec<Target> {
    let keep = |(variant, kept): (u32, &trimtab_sdk::Variant)| Target {
        request,
        variant,
        replicas: kept.desired_replicas,
        reason: "kept".into(),
    };
    (0..).zip(&asked.pool.variants).map(keep).collect()
}

fn stage(variants: std::ops::Range<u32>, amount: f64) -> Stage {
    let capacity = |variant| Capacity {
        variant,
        per_replica: amount,
        load: amount,
        predicted_ttft: None,
        predicted_itl: None,
    };
    Stage {
        role: Role::Both,
        unit: "replicas".into(),
        demand: amount,
        forecast: Some(amount),
        floor: amount,
        ceiling: amount,
        capacities: variants.map(capacity).collect(),
    }
}

fn notes(settings: &Settings) -> Vec<Note> {
    let length = if settings.behaviour == Behaviour::HugeString {
        settings.amount
    } else {
        1
    };
    vec![Note {
        level: Level::Debug,
        variant: None,
        text: "x".repeat(length),
    }]
}

/// The state that came in, with one byte more: a call count, as long as it is the host's copy.
fn state(settings: &Settings, context: &Context) -> Vec<u8> {
    if settings.behaviour == Behaviour::LargeState {
        return vec![0; settings.amount];
    }
    let mut state = context.state.clone();
    state.push(1);
    state
}

fn refusal(settings: &Settings) -> Result<(), Refusal> {
    if settings.behaviour == Behaviour::Refuse {
        return Err(Refusal::InsufficientData("refuses on demand".into()));
    }
    if settings.behaviour == Behaviour::HugeRefusal {
        return Err(Refusal::Internal("x".repeat(settings.amount)));
    }
    Ok(())
}
