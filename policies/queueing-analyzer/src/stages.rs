//! From supplies and demand to the stages that an optimizer works on.

use trimtab_models::Binding;
use trimtab_models::forecast::Forecast;
use trimtab_models::pooling::quantile;
use trimtab_sdk::{Capacity, Context, Objective, Pool, Role, Stage, Variant};

use crate::closed_loop;
use crate::demand::Demand;
use crate::loads::positive;
use crate::notes::Notes;
use crate::servers::Server;
use crate::settings::Settings;
use crate::sizing::{Limit, Supply, percentile};
use crate::state::{Profile, Recent, State};
use crate::tail::Prediction;

/// Seconds over which the host measures rates.
pub(crate) const RATE_WINDOW_SECONDS: f64 = 60.0;

/// Share of the room for doubt that is remembered as needed: what did not come true was not.
const REMEMBERED_DOUBT: f64 = 0.5;

/// Share of the largest stable rate that is asked of replicas where none meets the objective at a
/// load worth having: more would only make the miss worse, and fewer requests a replica would not
/// meet it either, or would take ten times the replicas.
const HOPELESS_SHARE: f64 = 0.8;

/// Percentile for which the noise margin is meant.
const USUAL_PERCENTILE: f64 = 0.99;

/// Share of the noise margin that is kept whatever may be missed.
const LEAST_TOLERATED: f64 = 0.3;

/// Share of a supply that is not asked for where just the supply is enough: else rounding makes one
/// more replica of it.
const ROUNDING: f64 = 1e-9;

/// Unit of the stages' numbers.
const UNIT: &str = "requests/s";

/// All that the stages are made of.
pub(crate) struct Findings<'a> {
    pub(crate) context: &'a Context,
    pub(crate) pool: &'a Pool,
    pub(crate) settings: &'a Settings,
    pub(crate) servers: &'a [Server<'a>],
    pub(crate) supplies: &'a [Supply],
    pub(crate) predictions: &'a [Option<Prediction>],
    pub(crate) profile: &'a Profile,
    pub(crate) demand: &'a Demand,
    /// Whether clients wait for their answers before they ask again.
    pub(crate) closed_loop: bool,
    /// Seconds until a replica asked for now serves.
    pub(crate) horizon: f64,
    /// Requests per second expected when a replica asked for now would serve.
    pub(crate) forecast: Option<Forecast>,
    /// Standard deviations of the load to be prepared for.
    pub(crate) deviations: f64,
}

/// Standard deviations to be prepared for: where more requests may miss the objective, more of the
/// load's doubt may come true.
pub(crate) fn deviations(settings: &Settings, objective: &Objective) -> f64 {
    let tolerated = quantile(percentile(objective)) / quantile(USUAL_PERCENTILE);
    settings.noise_margin * tolerated.max(LEAST_TOLERATED)
}

/// Seconds between two calls of which what is measured tells: as far as rates reach back. A call
/// that is late is no gap.
pub(crate) fn longest_gap(period_seconds: f64, reach_seconds: f64) -> f64 {
    reach_seconds.max(2.0 * period_seconds)
}

impl Findings<'_> {
    /// A stage for each role that the pool has.
    pub(crate) fn stages(&self, state: &mut State, notes: &mut Notes) -> Vec<Stage> {
        [Role::Both, Role::Prefill, Role::Decode]
            .into_iter()
            .filter_map(|role| self.stage(role, state, notes))
            .collect()
    }

    fn stage(&self, role: Role, state: &mut State, notes: &mut Notes) -> Option<Stage> {
        let capacities = self.capacities(role, notes);
        if capacities.is_empty() {
            return None;
        }
        let share = self.share(role);
        let demand = share * self.demand.of_stage(role, self.settings);
        let needed = self.floor(share, demand, 1.0);
        // What drains a queue is not needed again once it is empty.
        let usual = |doubt| self.floor(share, share * self.demand.rate, doubt);
        let ceiling = self.ceiling(role, usual, &capacities, state);
        Some(Stage {
            role,
            unit: UNIT.into(),
            demand,
            forecast: self.forecast.map(|forecast| share * forecast.mean),
            floor: self
                .enough(role, share, &capacities)
                .map_or(needed, |enough| needed.min(enough)),
            ceiling: needed.max(ceiling),
            capacities,
        })
    }

    /// Supply that must not be missing: what is expected, and a share of what counting may have
    /// missed or the trend may yet bring.
    fn floor(&self, share: f64, demand: f64, doubt: f64) -> f64 {
        let forecast = self.forecast.as_ref();
        let expected = demand.max(forecast.map_or(0.0, |forecast| share * forecast.mean));
        let counted = (expected / RATE_WINDOW_SECONDS).sqrt();
        let unsure = forecast.map_or(0.0, |forecast| share * forecast.deviation);
        let unseen = doubt * self.deviations * counted.max(unsure);
        (expected * (1.0 + self.settings.headroom) + unseen).max(share * self.promised())
    }

    /// Requests per second that were promised to be served.
    fn promised(&self) -> f64 {
        let tokens = positive(self.pool.objective.throughput).unwrap_or_default();
        tokens / self.profile.output_tokens
    }

    /// Supply that keeps the promises to clients who wait for their answers: with more they would
    /// only ask faster. `None` where the promises are not kept, or clients do not wait. What is
    /// queued in the picker waits longer than replicas measure.
    fn enough(&self, role: Role, share: f64, capacities: &[Capacity]) -> Option<f64> {
        let keeps = self.closed_loop
            && self.demand.backlog.queued < 1.0
            && closed_loop::is_objective_met(self.pool, self.servers, role);
        let serving = self.supply(capacities, |variant| variant.ready_replicas);
        let serving = (1.0 - ROUNDING) * serving;
        (keeps && serving > 0.0).then(|| serving.max(share * self.promised()))
    }

    /// Supply beyond which nothing was needed for a while, nor asked for a moment ago: an order that
    /// does not serve yet is not withdrawn for a trend that pauses. While requests wait, while there
    /// is only a guess at the load, or while what was needed is not remembered yet, all there is.
    ///
    /// `usual` gives the floor without a queue and with that share of the room for doubt.
    fn ceiling(
        &self,
        role: Role,
        usual: impl Fn(f64) -> f64,
        capacities: &[Capacity],
        state: &mut State,
    ) -> f64 {
        let strongest = capacities
            .iter()
            .filter(|capacity| capacity.per_replica > 0.0)
            .max_by(|a, b| a.per_replica.total_cmp(&b.per_replica));
        let standing = self.standing(capacities);
        let Some(strongest) = strongest else {
            return standing.max(usual(1.0));
        };
        let now = self.context.now;
        let window = self.settings.scale_down_window_seconds;
        let needs = state.needs.of(role);
        needs.count_in(self.name_of(strongest), now, |name| {
            let named = capacities.iter().find(|c| self.name_of(c) == name);
            named.map(|capacity| capacity.per_replica)
        });
        let reach = RATE_WINDOW_SECONDS.min(window);
        let remembers = needs.span.age(now, longest_gap(self.context.period, reach)) >= window;
        let most = |recent: &mut Recent, seconds: f64, floor: f64| {
            let needed = floor / strongest.per_replica;
            let most = recent.0.push(now, (seconds * 1e3) as u64, needed);
            most.map_or(needed, |most| most.max(needed)) * strongest.per_replica
        };
        let kept = most(&mut needs.replicas, window, usual(REMEMBERED_DOUBT));
        let asked = most(&mut needs.asked, self.horizon, usual(1.0));
        if remembers && !self.demand.must_hold(role) {
            kept.max(asked)
        } else {
            kept.max(asked).max(standing)
        }
    }

    fn name_of(&self, capacity: &Capacity) -> &str {
        let server = self
            .servers
            .iter()
            .find(|server| server.position == capacity.variant);
        server.map_or("", |server| &server.variant.name)
    }

    /// What all replicas that were asked for supply.
    fn standing(&self, capacities: &[Capacity]) -> f64 {
        self.supply(capacities, |variant| {
            variant.current_replicas.max(variant.desired_replicas)
        })
    }

    /// What so many replicas of each variant supply.
    fn supply(&self, capacities: &[Capacity], replicas: impl Fn(&Variant) -> u32) -> f64 {
        let count = |capacity: &Capacity| {
            let mut servers = self.servers.iter();
            let server = servers.find(|server| server.position == capacity.variant);
            server.map_or(0, |server| replicas(server.variant))
        };
        capacities
            .iter()
            .map(|c| f64::from(count(c)) * c.per_replica)
            .sum()
    }

    /// Share of the requests that replicas of this role serve. Only a pool that has both whole and
    /// split replicas divides them.
    fn share(&self, role: Role) -> f64 {
        let has = |wanted: Role| {
            self.servers
                .iter()
                .any(|server| server.variant.role == wanted)
        };
        if !has(Role::Both) || !(has(Role::Prefill) || has(Role::Decode)) {
            return 1.0;
        }
        let split = if has(Role::Decode) {
            Role::Decode
        } else {
            Role::Prefill
        };
        let (whole, split) = (self.carried(Role::Both), self.carried(split));
        let whole = if whole + split > 0.0 {
            whole / (whole + split)
        } else {
            0.5
        };
        if role == Role::Both {
            whole
        } else {
            1.0 - whole
        }
    }

    fn carried(&self, role: Role) -> f64 {
        let servers = self
            .servers
            .iter()
            .filter(|server| server.variant.role == role);
        servers.filter_map(|server| server.load.total_rate()).sum()
    }

    fn capacities(&self, role: Role, notes: &mut Notes) -> Vec<Capacity> {
        let of_role = || {
            let known = self.servers.iter().zip(self.supplies).zip(self.predictions);
            known.filter(|((server, _), _)| server.variant.role == role)
        };
        let standard = Standard::of(of_role().map(|((_, supply), _)| supply));
        of_role()
            .map(|((server, supply), prediction)| {
                supply.explain(server, standard, notes);
                let quantiles = prediction.as_ref().map(|prediction| prediction.quantiles);
                Capacity {
                    variant: server.position,
                    per_replica: standard.counted(supply),
                    load: server.load.total_rate().unwrap_or_default(),
                    predicted_ttft: quantiles
                        .filter(|_| role != Role::Decode)
                        .map(|quantiles| quantiles.ttft_seconds),
                    predicted_itl: quantiles
                        .filter(|_| role != Role::Prefill)
                        .map(|quantiles| quantiles.itl_seconds),
                }
            })
            .collect()
    }
}

/// What the variants of a role are held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standard {
    /// At least one meets the objective at a load worth having: only such count.
    Worthwhile,
    /// None does, or at next to no load.
    Hopeless,
}

impl Standard {
    fn of<'a>(supplies: impl Iterator<Item = &'a Supply> + Clone) -> Self {
        if supplies.clone().any(Supply::is_worthwhile) {
            Self::Worthwhile
        } else {
            Self::Hopeless
        }
    }

    fn counted(self, supply: &Supply) -> f64 {
        match self {
            Self::Worthwhile if !supply.is_worthwhile() => 0.0,
            Self::Worthwhile => supply.per_replica,
            Self::Hopeless => HOPELESS_SHARE * supply.stable,
        }
    }
}

impl Supply {
    /// Says what a replica supplies and what keeps it from more.
    fn explain(&self, server: &Server<'_>, standard: Standard, notes: &mut Notes) {
        let name = &server.variant.accelerator;
        let at = Some(server.position);
        let rate = self.per_replica;
        let instead = match standard {
            Standard::Hopeless => "; a share of the largest stable rate is taken",
            Standard::Worthwhile => "",
        };
        match self.limit {
            Limit::Bound(_) if !self.is_worthwhile() => {
                let text = format!(
                    "{name}: objective all but infeasible on this variant: met up to {rate:.3} \
                     {UNIT} a replica, which counts as nothing{instead}"
                );
                notes.info(at, text);
            }
            Limit::Bound(binding) => {
                let bound = word(binding);
                notes.info(
                    at,
                    format!("{name}: {rate:.2} {UNIT} a replica, bound by {bound}"),
                );
            }
            Limit::Utilization => {
                notes.info(
                    at,
                    format!("{name}: {rate:.2} {UNIT} a replica, by utilisation"),
                );
            }
            Limit::Unreachable { what, target, best } => notes.warning(
                at,
                format!(
                    "{name}: objective infeasible on this variant: {what} of {target:.3} s, the \
                     best for a lone request is {best:.3} s{instead}"
                ),
            ),
            Limit::Invalid(error) => {
                notes.warning(at, format!("{name}: no model of a replica: {error}"));
            }
        }
    }
}

fn word(binding: Binding) -> &'static str {
    match binding {
        Binding::Ttft => "TTFT",
        Binding::Itl => "ITL",
        Binding::Capacity => "capacity",
    }
}
