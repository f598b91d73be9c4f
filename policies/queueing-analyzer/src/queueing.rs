//! The main way: supply from the queueing model, demand from arrivals and queues.

use trimtab_sdk::{Context, Pool, Stage};

use crate::demand::{self, Demand};
use crate::notes::Notes;
use crate::servers::Server;
use crate::settings::Settings;
use crate::sizing;
use crate::stages::Findings;
use crate::state::{Profile, State};
use crate::tracking;

/// All that the queueing model is fed with.
pub(crate) struct Queueing<'a> {
    pub(crate) context: &'a Context,
    pub(crate) pool: &'a Pool,
    pub(crate) settings: &'a Settings,
    pub(crate) servers: &'a [Server<'a>],
    pub(crate) profile: &'a Profile,
    pub(crate) demand: Demand,
    /// Seconds since the last call.
    pub(crate) elapsed: f64,
}

impl Queueing<'_> {
    /// The stages in requests per second.
    pub(crate) fn stages(&self, state: &mut State, notes: &mut Notes) -> Vec<Stage> {
        let Self {
            pool,
            settings,
            servers,
            profile,
            ..
        } = *self;
        if settings.tracking {
            tracking::follow(servers, profile, self.elapsed, state);
        }
        let supplies = sizing::supplies(servers, &pool.objective, profile, settings, state);
        let rates = self.rates();
        let predictions =
            tracking::predictions(pool, servers, &supplies, &rates, profile, &state.tail());
        if settings.tracking && self.is_steady(&supplies) {
            tracking::learn_tail(pool, servers, &predictions, state);
            tracking::correct(pool, state);
        }
        self.demand.explain(pool, notes);
        Findings {
            context: self.context,
            pool,
            settings,
            servers,
            supplies: &supplies,
            rates: &rates,
            predictions: &predictions,
            profile,
            demand: &self.demand,
            forecast: None,
        }
        .stages(state, notes)
    }

    /// Requests per second that each variant carries.
    fn rates(&self) -> Vec<Option<f64>> {
        self.servers
            .iter()
            .map(|server| server.load.total_rate())
            .collect()
    }

    /// Whether what is measured now is of replicas that have all been serving, and not too much.
    fn is_steady(&self, supplies: &[sizing::Supply]) -> bool {
        let settled = |server: &Server<'_>| {
            let variant = server.variant;
            variant.ready_replicas == variant.current_replicas
                && server.load.fresh >= server.load.ready
        };
        let capacity: f64 = self
            .servers
            .iter()
            .zip(supplies)
            .filter(|(server, _)| server.variant.role != trimtab_sdk::Role::Decode)
            .map(|(server, supply)| f64::from(server.load.ready) * supply.per_replica)
            .sum();
        let waits = self.demand.backlog.of_stage(trimtab_sdk::Role::Decode) >= 1.0;
        self.servers.iter().all(settled)
            && !waits
            && self.demand.basis == demand::Basis::Arrivals
            && (0.1 * capacity..capacity).contains(&self.demand.rate)
    }
}
