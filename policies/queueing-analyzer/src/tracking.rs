//! Learning from what is measured: the constants of an iteration, the tail, and how far the model
//! as a whole is to be trusted.

use trimtab_models::{Observation, Quantiles, Tail, Tracker};
use trimtab_sdk::{Objective, Pool, Role};

use crate::loads::positive;
use crate::servers::Server;
use crate::sizing::{Supply, percentile};
use crate::state::{Profile, Settled, State, TailFactors, Tracked};

/// Seconds after replicas joined before their measurements count: what finishes first is short, so
/// that the rates and lengths of a replica which fills up do not belong together.
const SETTLING_SECONDS: f64 = 90.0;

/// Share of new replicas among those of a variant that does not disturb the means.
const FEW: f64 = 0.1;

/// Moves the constants of each kind of engine towards what its replicas measured over `seconds`.
pub(crate) fn follow(
    servers: &[Server<'_>],
    profile: &Profile,
    now: u64,
    seconds: f64,
    state: &mut State,
) {
    for server in servers {
        let settled = is_settled(server, now, state);
        let Some(observation) = observation(server, profile, seconds).filter(|_| settled) else {
            continue;
        };
        let tracked = state
            .trackers
            .entry(server.key.clone())
            .or_insert_with(|| Tracked(Tracker::new(server.start)));
        tracked.0.update(&observation);
    }
    let is_key = |key: &String| servers.iter().any(|server| server.key == *key);
    state.trackers.retain(|key, _| is_key(key));
    let is_variant = |name: &String| servers.iter().any(|server| server.variant.name == *name);
    state.settled.retain(|name, _| is_variant(name));
    state.hints.retain(|name, _| is_variant(name));
}

/// Whether all but a few of the replicas that serve have done so for a while. What was there at
/// the first call has.
fn is_settled(server: &Server<'_>, now: u64, state: &mut State) -> bool {
    let ready = server.variant.ready_replicas;
    let name = server.variant.name.clone();
    let settled = state
        .settled
        .entry(name)
        .or_insert(Settled { ready, since: 0 });
    let joined = f64::from(ready.saturating_sub(settled.ready));
    if joined > FEW * f64::from(ready) {
        settled.since = now;
    }
    settled.ready = ready;
    now.saturating_sub(settled.since) as f64 / 1e3 >= SETTLING_SECONDS
}

/// The means of one engine of the variant; `None` where none served.
fn observation(server: &Server<'_>, profile: &Profile, seconds: f64) -> Option<Observation> {
    let load = server.load;
    let (ttft_seconds, itl_seconds) = (load.ttft.value(), load.itl.value());
    let per_replica = positive(load.rate.mean())?;
    ttft_seconds.or(itl_seconds)?;
    Some(Observation {
        role: server.role(),
        rate: per_replica / server.instances,
        // Windows of a minute overlap from call to call: only what is new counts.
        requests: load.total_rate()? * seconds,
        lengths: server.own_lengths(profile),
        batch: server.batch,
        ttft_seconds,
        itl_seconds,
        running: positive(load.running.mean()).map(|running| running / server.instances),
    })
}

/// What the model says of one server at the load that it carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prediction {
    /// Requests per second of the whole variant.
    rate: f64,
    /// At the objective's percentile, with what was learned of the tail.
    pub(crate) quantiles: Quantiles,
}

/// Predicts each server at the load of its variant; `None` where nothing serves or the model has no
/// steady state at that load.
pub(crate) fn predictions(
    objective: &Objective,
    servers: &[Server<'_>],
    supplies: &[Supply],
    profile: &Profile,
    tail: &Tail,
) -> Vec<Option<Prediction>> {
    let percentile = percentile(objective);
    let predict = |(server, supply): (&Server<'_>, &Supply)| {
        let rate = positive(server.load.total_rate())?;
        let engines = f64::from(server.load.ready.max(server.load.fresh)) * server.instances;
        let engine = server
            .engine(supply.iteration, server.own_lengths(profile))
            .ok()?;
        let operation = engine.at(rate / engines).ok()?;
        Some(Prediction {
            rate,
            quantiles: tail.quantiles(&engine, &operation, percentile),
        })
    };
    servers.iter().zip(supplies).map(predict).collect()
}

/// Learns how far the measured percentiles are from the predicted ones. Call only while the load is
/// steady: a transient says nothing of a tail in the steady state.
pub(crate) fn learn_tail(
    pool: &Pool,
    servers: &[Server<'_>],
    predictions: &[Option<Prediction>],
    state: &mut State,
) {
    let percentile = percentile(&pool.objective);
    let ttft = typical(servers, predictions, percentile, Role::Decode, |q| {
        q.ttft_seconds
    });
    let itl = typical(servers, predictions, percentile, Role::Prefill, |q| {
        q.itl_seconds
    });
    let mut tail = state.tail();
    // Predictions hold what was learned so far: a factor is compared with what was plain.
    let plain = Quantiles {
        ttft_seconds: ttft.unwrap_or(1.0) / tail.ttft_factor,
        itl_seconds: itl.unwrap_or(1.0) / tail.itl_factor,
    };
    tail.learn(
        &plain,
        pool.workload.ttft_at_percentile.filter(|_| ttft.is_some()),
        pool.workload.itl_at_percentile.filter(|_| itl.is_some()),
    );
    state.tail = TailFactors {
        ttft: tail.ttft_factor,
        itl: tail.itl_factor,
    };
}

/// Share of the slowest requests that another variant may make up without disturbing the percentile.
const STRANGERS: f64 = 0.3;

/// Predicted quantiles that are so much apart are different.
const DIFFERENT: f64 = 1.2;

/// The quantile that the pool as a whole should show: that of the variant which serves the most.
/// `None` where others which are predicted to differ serve enough to move it, or are not predicted.
fn typical(
    servers: &[Server<'_>],
    predictions: &[Option<Prediction>],
    percentile: f64,
    without: Role,
    value: fn(&Quantiles) -> f64,
) -> Option<f64> {
    let of_role = servers
        .iter()
        .zip(predictions)
        .filter(|(s, _)| s.variant.role != without);
    let serving = of_role.filter(|(server, _)| positive(server.load.total_rate()).is_some());
    let predicted: Vec<&Prediction> = serving.map(|(_, p)| p.as_ref()).collect::<Option<_>>()?;
    let most = predicted.iter().max_by(|a, b| a.rate.total_cmp(&b.rate))?;
    let typical = value(&most.quantiles);
    let total: f64 = predicted.iter().map(|prediction| prediction.rate).sum();
    let differs = |prediction: &&&Prediction| {
        let ratio = value(&prediction.quantiles) / typical;
        !(1.0 / DIFFERENT..=DIFFERENT).contains(&ratio)
    };
    let strangers: f64 = predicted
        .iter()
        .filter(differs)
        .map(|prediction| prediction.rate)
        .sum();
    (strangers <= STRANGERS * (1.0 - percentile) * total).then_some(typical)
}

/// Least share of the model's capacities that a miss of the objective can leave.
const LEAST_CORRECTION: f64 = 0.7;

/// A miss takes this share at a time; two minutes of misses take a seventh.
const STEP_DOWN: f64 = 0.98;

/// What comes back at each call that is comfortably below the objective: an hour's tenth in minutes.
const STEP_UP: f64 = 0.005;

/// Latency below this share of its bound is comfortable.
const COMFORTABLE: f64 = 0.8;

/// The safety net: where the objective is missed although the load is below what the model allows,
/// the model allows less, until that is long past.
pub(crate) fn correct(pool: &Pool, state: &mut State) {
    let objective = &pool.objective;
    let share = |value: Option<f64>, bound: Option<f64>| Some(positive(value)? / positive(bound)?);
    let worst = [
        share(pool.workload.ttft_at_percentile, objective.ttft),
        share(pool.workload.itl_at_percentile, objective.itl),
    ];
    let Some(worst) = worst.into_iter().flatten().reduce(f64::max) else {
        return;
    };
    let correction = state.correction();
    state.correction = Some(if worst > 1.0 {
        (correction * STEP_DOWN).max(LEAST_CORRECTION)
    } else if worst < COMFORTABLE {
        (correction + STEP_UP).min(1.0)
    } else {
        correction
    });
}
