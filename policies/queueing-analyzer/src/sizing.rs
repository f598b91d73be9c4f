//! What one replica of each variant supplies: the largest rate at which it meets the objective.

use trimtab_models::pooling::Pooling;
use trimtab_models::{Binding, Iteration, ModelError, Role, Tail, Targets, size};
use trimtab_sdk::Objective;

use crate::servers::Server;
use crate::settings::Settings;
use crate::state::{Profile, State};

/// What a replica of one variant supplies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Supply {
    /// Requests per second; zero where it cannot meet the objective at all.
    pub(crate) per_replica: f64,
    /// Requests per second beyond which there is no steady state.
    pub(crate) stable: f64,
    pub(crate) iteration: Iteration,
    pub(crate) limit: Limit,
}

/// What keeps a replica from supplying more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Limit {
    Bound(Binding),
    /// No objective applies to this role: a share of the largest stable rate.
    Utilization,
    /// The objective is out of reach even for a lone request.
    Unreachable {
        what: &'static str,
        target: f64,
        best: f64,
    },
    /// The model has no answer for these parameters.
    Invalid(ModelError),
}

/// Sizes one replica of each server where `rate` requests per second arrive at the pool, starting
/// from last time's answers.
pub(crate) fn supplies(
    servers: &[Server<'_>],
    objective: &Objective,
    profile: &Profile,
    settings: &Settings,
    rate: f64,
    state: &mut State,
) -> Vec<Supply> {
    let mut supplies = Vec::with_capacity(servers.len());
    for server in servers {
        let iteration = state.iteration(server);
        let pooling = pooling(servers, server, rate, state);
        let hint = state.hints.get(&server.variant.name).copied();
        let (rate, limit) = rate_of_engine(
            server,
            iteration,
            &targets(objective, server.role(), &pooling),
            profile,
            &state.tail(),
            hint,
        );
        let share = match limit {
            Limit::Bound(_) => state.correction(),
            Limit::Utilization => settings.scale_up_utilization,
            Limit::Unreachable { .. } | Limit::Invalid(_) => 0.0,
        };
        if rate > 0.0 {
            state.hints.insert(server.variant.name.clone(), rate);
        }
        supplies.push(Supply {
            per_replica: rate * share * server.instances,
            stable: rate * server.instances,
            iteration,
            limit,
        });
    }
    supplies
}

/// The engines of a server's role that the load needs, as one system: as many as there would be of
/// the strongest. Not those that serve now, so that what a replica supplies does not depend on how
/// many there are.
pub(crate) fn pooling(
    servers: &[Server<'_>],
    server: &Server<'_>,
    rate: f64,
    state: &State,
) -> Pooling {
    let of_role = servers.iter().filter(|other| other.role() == server.role());
    let strongest = of_role
        .filter_map(|other| state.hints.get(&other.variant.name))
        .copied();
    strongest
        .reduce(f64::max)
        .map_or(Pooling::ALONE, |strongest| Pooling {
            replicas: rate / strongest,
            balance: state.balance,
        })
}

/// The part of the objective that a role can meet or miss.
fn targets(objective: &Objective, role: Role, pooling: &Pooling) -> Targets {
    let bound = |value: Option<f64>| value.filter(|value| value.is_finite() && *value > 0.0);
    Targets {
        ttft_seconds: bound(objective.ttft).filter(|_| role != Role::Decode),
        itl_seconds: bound(objective.itl).filter(|_| role != Role::Prefill),
        percentile: pooling.percentile(percentile(objective)),
    }
}

/// The objective's percentile, kept where a tail can be told.
pub(crate) fn percentile(objective: &Objective) -> f64 {
    if objective.percentile.is_finite() {
        objective.percentile.clamp(0.5, 0.9999)
    } else {
        0.95
    }
}

/// The rate of one engine and what limits it; the largest stable rate where the objective is out of
/// reach.
fn rate_of_engine(
    server: &Server<'_>,
    iteration: Iteration,
    targets: &Targets,
    profile: &Profile,
    tail: &Tail,
    hint: Option<f64>,
) -> (f64, Limit) {
    let engine = match server.engine(iteration, profile.lengths()) {
        Ok(engine) => engine,
        Err(error) => return (0.0, Limit::Invalid(error)),
    };
    let free = Targets {
        ttft_seconds: None,
        itl_seconds: None,
        ..*targets
    };
    let bounded = targets.ttft_seconds.is_some() || targets.itl_seconds.is_some();
    match size(&engine, targets, tail, hint) {
        Ok(sized) if bounded => (sized.rate, Limit::Bound(sized.binding)),
        Ok(sized) => (sized.rate, Limit::Utilization),
        Err(ModelError::TargetUnreachable { what, target, best }) => {
            let stable = size(&engine, &free, tail, hint).map_or(0.0, |sized| sized.rate);
            (stable, Limit::Unreachable { what, target, best })
        }
        Err(error) => (0.0, Limit::Invalid(error)),
    }
}
