//! Notes of a plan: what the operator should know of it as a whole.

use trimtab_sdk::{Level, Note, Request, Role};

use crate::allocate::Method;
use crate::purse::Overdraft;

/// What the operator should know of the plan as a whole.
pub(crate) fn notes(method: Method, n_roles: usize, overdrafts: &[Overdraft]) -> Vec<Note> {
    let mut notes = vec![note(Level::Info, describe_method(method, n_roles))];
    notes.extend(overdrafts.iter().map(|overdraft| {
        let text = match overdraft {
            Overdraft::Gpus {
                accelerator,
                needed,
                free,
            } => format!(
                "minimum replicas need {needed} GPUs more of {accelerator} and {free} are free: \
                 they are asked for, nothing else grows there"
            ),
            Overdraft::Budget { spent, budget } => format!(
                "over budget: what is asked for costs {} an hour of {}, nothing grows",
                figure(*spent),
                figure(*budget)
            ),
        };
        note(Level::Warning, text)
    }));
    notes
}

fn describe_method(method: Method, n_roles: usize) -> String {
    match method {
        Method {
            n_unproven: 0,
            contended: false,
            ..
        } => {
            format!("exact: the least-cost mix for each of {n_roles} roles")
        }
        Method {
            n_unproven: 0,
            in_turn: false,
            n_short: 0,
            ..
        } => format!(
            "exact: what {n_roles} roles want cannot be had at once, all floors are met at the \
             least cost together"
        ),
        Method {
            contended: false,
            n_unproven,
            ..
        } => format!(
            "heuristic: for {n_unproven} of {n_roles} roles a better mix may exist than was found"
        ),
        Method {
            n_unproven,
            n_short,
            ..
        } => format!(
            "heuristic: what {n_roles} roles want cannot be had at once and was given by priority \
             and need; {n_short} get less than they want, for {n_unproven} a better mix may exist"
        ),
    }
}

/// Stages of roles that no variant of their pool has.
pub(crate) fn orphans(requests: &[Request]) -> impl Iterator<Item = Note> {
    requests.iter().flat_map(|request| {
        let has = |role| {
            request
                .pool
                .variants
                .iter()
                .any(|variant| variant.role == role)
        };
        let orphans = request.stages.iter().filter(move |stage| !has(stage.role));
        orphans.map(|stage| {
            let (pool, role) = (&request.pool, role_name(stage.role));
            let text = format!(
                "{}/{} has a {role} stage and no {role} variant",
                pool.namespace, pool.name
            );
            note(Level::Warning, text)
        })
    })
}

pub(crate) fn note(level: Level, text: String) -> Note {
    Note {
        level,
        variant: None,
        text,
    }
}

pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Both => "both",
        Role::Prefill => "prefill",
        Role::Decode => "decode",
    }
}

/// Three digits or more, without a tail of zeros that say nothing.
pub(crate) fn figure(amount: f64) -> String {
    match amount {
        large if large >= 100.0 => format!("{large:.0}"),
        medium if medium >= 10.0 => format!("{medium:.1}"),
        small => format!("{small:.2}"),
    }
}
