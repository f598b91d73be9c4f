//! Learning from what is measured: the constants of an iteration, the tail, and how far the model
//! as a whole is to be trusted.

use trimtab_models::{Observation, Quantiles, Tail, Tracker};
use trimtab_sdk::{Pool, Role};

use crate::loads::positive;
use crate::servers::Server;
use crate::sizing::{Supply, percentile};
use crate::state::{Profile, State, TailFactors, Tracked};

/// Moves the constants of each kind of engine towards what its replicas measured over `seconds`.
pub(crate) fn follow(servers: &[Server<'_>], profile: &Profile, seconds: f64, state: &mut State) {
    for server in servers {
        let Some(observation) = observation(server, profile, seconds) else {
            continue;
        };
        let tracked = state
            .trackers
            .entry(server.key.clone())
            .or_insert_with(|| Tracked(Tracker::new(server.start)));
        tracked.0.update(&observation);
    }
    state
        .trackers
        .retain(|key, _| servers.iter().any(|server| server.key == *key));
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
        lengths: profile.lengths(),
        batch: server.batch,
        ttft_seconds,
        itl_seconds,
        running: positive(load.running.mean()).map(|running| running / server.instances),
    })
}

/// What the model says of each server at the load that it carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prediction {
    /// At the objective's percentile, with what was learned of the tail.
    pub(crate) quantiles: Quantiles,
    /// The same before anything was learned.
    plain: Quantiles,
}

/// Predicts each server at `rates` requests per second of its variant; `None` where nothing serves
/// or the model has no steady state at that load.
pub(crate) fn predictions(
    pool: &Pool,
    servers: &[Server<'_>],
    supplies: &[Supply],
    rates: &[Option<f64>],
    profile: &Profile,
    tail: &Tail,
) -> Vec<Option<Prediction>> {
    let percentile = percentile(&pool.objective);
    let predict = |server: &Server<'_>, supply: &Supply, rate: Option<f64>| {
        let engines = f64::from(server.load.ready) * server.instances;
        let engine = server.engine(supply.iteration, profile.lengths()).ok()?;
        let operation = engine.at(positive(rate)? / engines).ok()?;
        Some(Prediction {
            quantiles: tail.quantiles(&engine, &operation, percentile),
            plain: Tail::prior().quantiles(&engine, &operation, percentile),
        })
    };
    servers
        .iter()
        .zip(supplies)
        .zip(rates)
        .map(|((server, supply), rate)| predict(server, supply, *rate))
        .collect()
}

/// Learns how far the measured percentiles are from the predicted ones. Call only while the load is
/// steady: a transient says nothing of a tail in the steady state.
pub(crate) fn learn_tail(
    pool: &Pool,
    servers: &[Server<'_>],
    predictions: &[Option<Prediction>],
    state: &mut State,
) {
    let of = |without: Role, value: fn(&Quantiles) -> f64| {
        let (mut sum, mut weight) = (0.0, 0.0);
        for (server, prediction) in servers.iter().zip(predictions) {
            let rate = server.load.total_rate().unwrap_or_default();
            if let Some(prediction) = prediction
                .as_ref()
                .filter(|_| server.variant.role != without)
            {
                sum += rate * value(&prediction.plain);
                weight += rate;
            }
        }
        (weight > 0.0).then(|| sum / weight)
    };
    let ttft = of(Role::Decode, |quantiles| quantiles.ttft_seconds);
    let itl = of(Role::Prefill, |quantiles| quantiles.itl_seconds);
    let workload = &pool.workload;
    let mut tail = state.tail();
    tail.learn(
        &Quantiles {
            ttft_seconds: ttft.unwrap_or(1.0),
            itl_seconds: itl.unwrap_or(1.0),
        },
        workload.ttft_at_percentile.filter(|_| ttft.is_some()),
        workload.itl_at_percentile.filter(|_| itl.is_some()),
    );
    state.tail = TailFactors {
        ttft: tail.ttft_factor,
        itl: tail.itl_factor,
    };
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
