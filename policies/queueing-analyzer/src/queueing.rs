//! The main way: supply from the queueing model, demand from arrivals and queues.

use trimtab_models::forecast::{Forecast, Forecaster, Record};
use trimtab_sdk::{Context, Pool, Role, Stage};

use crate::demand::{self, Demand};
use crate::loads::positive;
use crate::notes::Notes;
use crate::servers::Server;
use crate::settings::Settings;
use crate::sizing;
use crate::stages::{self, Findings, RATE_WINDOW_SECONDS};
use crate::state::{Followed, Kept, Profile, State};
use crate::{closed_loop, tail, tracking, work};

/// Start-up time where none was seen yet.
const UNSEEN_STARTUP_SECONDS: f64 = 120.0;

/// A trend says nothing of what comes later than this.
const LONGEST_HORIZON_SECONDS: f64 = 1800.0;

/// A forecast never exceeds this many times what arrives: a trend so steep does not last.
const MOST_GROWTH: f64 = 2.0;

/// Standard deviation of the work that arrives in a window, over that of a Poisson count: requests
/// differ in length.
const WORK_NOISE: f64 = 1.6;

/// Relative error of what is expected before any of it came due: a start-up later a load may well be
/// a tenth larger.
const FIRST_ERROR: f64 = 0.12;

/// Least share of the filter's own doubt that a good record leaves.
const LEAST_DOUBT: f64 = 0.3;

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
            let gap = stages::longest_gap(self.context.period, RATE_WINDOW_SECONDS);
            let seconds = (self.elapsed, gap);
            tracking::follow(servers, profile, self.context.now, seconds, state);
        }
        let work = work::per_request(servers, profile, state);
        let supplies = sizing::supplies(
            servers,
            &pool.objective,
            profile,
            settings,
            self.demand.rate,
            state,
        );
        let predictions = tail::predictions(&pool.objective, servers, &supplies, profile, state);
        if settings.tracking && self.is_steady(&supplies) {
            tail::learn(pool, servers, &predictions, state);
        }
        self.demand.explain(pool, notes);
        let now = self.context.now;
        let closed_loop = closed_loop::follow(pool, servers, profile, now, state, notes);
        Findings {
            context: self.context,
            pool,
            settings,
            servers,
            supplies: &supplies,
            predictions: &predictions,
            profile,
            demand: &self.demand,
            closed_loop,
            horizon: self.horizon(),
            forecast: self.forecast(work, state),
            deviations: stages::deviations(settings, &pool.objective),
        }
        .stages(state, notes)
    }

    /// Requests per second expected when a replica asked for now would serve.
    fn forecast(&self, work: f64, state: &mut State) -> Option<Forecast> {
        if !self.settings.forecast {
            return None;
        }
        let observed = self.demand.rate * work;
        let counted = self.demand.rate.max(1.0 / RATE_WINDOW_SECONDS);
        let deviation = WORK_NOISE * (counted / RATE_WINDOW_SECONDS).sqrt() * work;
        let followed = match state.forecaster {
            Some(Followed(mut forecaster)) => {
                forecaster.observe(observed, deviation, self.elapsed);
                forecaster
            }
            None => Forecaster::new(observed, deviation),
        };
        state.forecaster = Some(Followed(followed));
        // What is measured is half a window old.
        let seconds = self.horizon() + self.elapsed + RATE_WINDOW_SECONDS / 2.0;
        let ahead = followed.ahead(seconds);
        let expected = ahead.mean.max(observed);
        let Kept(record) = state
            .record
            .get_or_insert_with(|| Kept(Record::new(FIRST_ERROR)));
        record.check(self.context.now, observed);
        record.keep(
            self.context.now.saturating_add((seconds * 1e3) as u64),
            expected,
        );
        // The filter allows for any load; one that has turned out to be smooth is taken for that.
        // The record saw the noise of counting besides, which a replica's size allows for.
        let error = record.error() * expected;
        let beyond_noise = (error * error - deviation * deviation).max(0.0).sqrt();
        let proven = beyond_noise.max(LEAST_DOUBT * ahead.deviation);
        Some(Forecast {
            mean: (ahead.mean / work).min(MOST_GROWTH * self.demand.rate),
            deviation: (ahead.deviation.min(proven) / work).min(self.demand.rate),
        })
    }

    /// Seconds until a replica asked for now serves.
    fn horizon(&self) -> f64 {
        let slowest = |used: bool| {
            let variants = self.servers.iter().map(|server| server.variant);
            let of = variants.filter(|v| !used || v.current_replicas.max(v.desired_replicas) > 0);
            of.filter_map(|variant| positive(variant.startup_time))
                .reduce(f64::max)
        };
        let observed = || slowest(true).or_else(|| slowest(false));
        self.settings
            .forecast_horizon_seconds
            .or_else(observed)
            .unwrap_or(UNSEEN_STARTUP_SECONDS)
            .min(LONGEST_HORIZON_SECONDS)
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
            .filter(|(server, _)| server.variant.role != Role::Decode)
            .map(|(server, supply)| f64::from(server.load.ready) * supply.per_replica)
            .sum();
        let waits = self.demand.backlog.of_stage(Role::Decode) >= 1.0;
        self.servers.iter().all(settled)
            && !waits
            && self.demand.basis == demand::Basis::Arrivals
            && (0.1 * capacity..capacity).contains(&self.demand.rate)
    }
}
