//! What latency the model predicts at the load of today, and learning from how far the measured
//! percentiles are from that.

use trimtab_models::Quantiles;
use trimtab_sdk::{Objective, Pool, Role};

use crate::loads::positive;
use crate::servers::Server;
use crate::sizing::{Supply, percentile, pooling};
use crate::state::{Profile, State, TailFactors};

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
    state: &State,
) -> Vec<Option<Prediction>> {
    let predict = |(server, supply): (&Server<'_>, &Supply)| {
        let rate = positive(server.load.total_rate())?;
        let replicas = f64::from(server.load.ready.max(server.load.fresh));
        let engine = server
            .engine(supply.iteration, server.own_lengths(profile))
            .ok()?;
        let operation = engine.at(rate / replicas / server.instances).ok()?;
        let percentile = percentile(objective);
        let pooled = pooling(servers, server, rate, state).percentile(percentile);
        // A router helps where replicas are near their limit, and not where there is room.
        let busy = (rate / (replicas * supply.per_replica)).clamp(0.0, 1.0);
        let percentile = percentile + busy * (pooled - percentile);
        Some(Prediction {
            rate,
            quantiles: state.tail().quantiles(&engine, &operation, percentile),
        })
    };
    servers.iter().zip(supplies).map(predict).collect()
}

/// Learns how far the measured percentiles are from the predicted ones. Call only while the load is
/// steady: a transient says nothing of a tail in the steady state.
pub(crate) fn learn(
    pool: &Pool,
    servers: &[Server<'_>],
    predictions: &[Option<Prediction>],
    state: &mut State,
) {
    let objective = &pool.objective;
    let percentile = percentile(objective);
    let ttft = typical(servers, predictions, percentile, Role::Decode, |q| {
        q.ttft_seconds
    });
    let itl = typical(servers, predictions, percentile, Role::Prefill, |q| {
        q.itl_seconds
    });
    let ttft = Compared::new(pool.workload.ttft_at_percentile, ttft, objective.ttft);
    let itl = Compared::new(pool.workload.itl_at_percentile, itl, objective.itl);
    let mut tail = state.tail();
    // Predictions hold what was learned so far: a factor is compared with what was plain.
    let plain = Quantiles {
        ttft_seconds: ttft.predicted / tail.ttft_factor,
        itl_seconds: itl.predicted / tail.itl_factor,
    };
    tail.learn(&plain, ttft.measured, itl.measured);
    state.tail = TailFactors {
        ttft: tail.ttft_factor,
        itl: tail.itl_factor,
    };
}

/// A measured percentile beside the predicted one.
struct Compared {
    measured: Option<f64>,
    predicted: f64,
}

/// Share of its bound from which on a latency tells of the tail at the bound.
const NEAR: f64 = 0.6;

/// What a percentile from a histogram may be above the truth: buckets double from one to the next,
/// and inside of one it is interpolated as if requests were spread evenly, while they crowd below.
/// vLLM has no bucket between 25 and 50 ms for the time between tokens: a truth of 30 reads as 48.
const COARSENESS: f64 = 2.0;

impl Compared {
    /// Nothing is measured where neither is near its bound: the shape of a tail changes with the
    /// load, and what counts is its shape at the limit. Nothing is measured either where the two
    /// are as near as a histogram can tell.
    fn new(measured: Option<f64>, predicted: Option<f64>, bound: Option<f64>) -> Self {
        let near = |value: f64| positive(bound).is_none_or(|bound| value >= NEAR * bound);
        let truth = |(most, predicted): (f64, f64)| {
            let truth = predicted.clamp(most / COARSENESS, most);
            let tells = (near(most) || near(predicted)) && truth != predicted;
            tells.then_some(truth)
        };
        Self {
            measured: positive(measured).zip(positive(predicted)).and_then(truth),
            predicted: positive(predicted).unwrap_or(1.0),
        }
    }
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

/// Least share of the model's capacities that a miss of the objective can leave, where a coarse
/// histogram may have made it up, and where it is beyond doubt.
const LEAST_CORRECTION: f64 = 0.85;
const LEAST_CORRECTION_SURE: f64 = 0.7;

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
    let least = if worst > COARSENESS {
        LEAST_CORRECTION_SURE
    } else {
        LEAST_CORRECTION
    };
    state.correction = Some(if worst > 1.0 {
        (correction * STEP_DOWN).max(least.min(correction))
    } else if worst < COMFORTABLE {
        (correction + STEP_UP).min(1.0)
    } else {
        correction
    });
}
