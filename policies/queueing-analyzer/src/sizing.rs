//! What one replica of each variant supplies: the largest rate at which it meets the objective.

use trimtab_models::pooling::Pooling;
use trimtab_models::{Binding, Iteration, ModelError, Role, Targets, size};
use trimtab_sdk::Objective;

use crate::loads::positive;
use crate::servers::Server;
use crate::settings::Settings;
use crate::state::{Profile, State};

/// What a replica of one variant supplies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Supply {
    /// Requests per second; zero where it cannot meet the objective at all.
    pub(crate) per_replica: f64,
    /// Requests per second that it can serve in a steady state, however late.
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

/// Share of its stable rate that a replica must supply to be worth having beside others: below, the
/// objective is all but out of reach, and no router holds a replica to a load so small.
const WORTHWHILE: f64 = 0.1;

impl Supply {
    pub(crate) fn is_worthwhile(&self) -> bool {
        self.per_replica > WORTHWHILE * self.stable
    }
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
    let supplies: Vec<Supply> = servers
        .iter()
        .map(|server| {
            let pooling = pooling(servers, server, rate, state);
            let targets = targets(objective, server.role(), &pooling);
            let engine = engine(server, &targets, profile, state);
            let share = match engine.limit {
                Limit::Bound(_) => state.correction(),
                Limit::Utilization => settings.scale_up_utilization,
                Limit::Unreachable { .. } | Limit::Invalid(_) => 0.0,
            };
            Supply {
                per_replica: share * engine.per_replica,
                ..engine
            }
        })
        .collect();
    for (server, supply) in servers.iter().zip(&supplies) {
        if supply.per_replica > 0.0 {
            let rate = supply.per_replica / server.instances;
            state.hints.insert(server.variant.name.clone(), rate);
        }
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
    Targets {
        ttft_seconds: positive(objective.ttft).filter(|_| role != Role::Decode),
        itl_seconds: positive(objective.itl).filter(|_| role != Role::Prefill),
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

/// A replica's largest rate within the targets, uncorrected, and what limits it.
fn engine(server: &Server<'_>, targets: &Targets, profile: &Profile, state: &State) -> Supply {
    let iteration = state.iteration(server);
    let supply = |rate: f64, stable: f64, limit: Limit| Supply {
        per_replica: rate * server.instances,
        stable: stable * server.instances,
        iteration,
        limit,
    };
    let engine = match server.engine(iteration, profile.lengths()) {
        Ok(engine) => engine,
        Err(error) => return supply(0.0, 0.0, Limit::Invalid(error)),
    };
    let stable = engine.max_rate();
    let hint = state.hints.get(&server.variant.name).copied();
    let bounded = targets.ttft_seconds.is_some() || targets.itl_seconds.is_some();
    match size(&engine, targets, &state.tail(), hint) {
        Ok(sized) if bounded => supply(sized.rate, stable, Limit::Bound(sized.binding)),
        Ok(sized) => supply(sized.rate, stable, Limit::Utilization),
        Err(ModelError::TargetUnreachable { what, target, best }) => {
            supply(0.0, stable, Limit::Unreachable { what, target, best })
        }
        Err(error) => supply(0.0, 0.0, Limit::Invalid(error)),
    }
}
