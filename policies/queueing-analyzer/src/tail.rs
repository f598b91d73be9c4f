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

/// Learns from how far the measured percentiles are from the predicted ones. Call only while the load
/// is steady: a transient says nothing of a tail in the steady state.
pub(crate) fn learn(
    pool: &Pool,
    servers: &[Server<'_>],
    predictions: &[Option<Prediction>],
    state: &mut State,
) {
    let percentile = percentile(&pool.objective);
    let predicted = |without: Role, value: fn(&Quantiles) -> f64| {
        typical(servers, predictions, percentile, without, value)
    };
    let ttft = Compared {
        measured: positive(pool.workload.ttft_at_percentile),
        predicted: predicted(Role::Decode, |quantiles| quantiles.ttft_seconds),
        bound: positive(pool.objective.ttft),
    };
    let itl = Compared {
        measured: positive(pool.workload.itl_at_percentile),
        predicted: predicted(Role::Prefill, |quantiles| quantiles.itl_seconds),
        bound: positive(pool.objective.itl),
    };
    learn_factors(&ttft, &itl, state);
    correct(&ttft, &itl, state);
}

/// A measured percentile beside the predicted one.
struct Compared {
    measured: Option<f64>,
    predicted: Option<f64>,
    bound: Option<f64>,
}

/// What a percentile from a histogram may be above the truth: buckets double from one to the next,
/// and inside of one it is interpolated as if requests were spread evenly, while they crowd below.
/// vLLM has no bucket between 25 and 50 ms for the time between tokens: a truth of 30 reads as 48.
const COARSENESS: f64 = 2.0;

/// Share of its bound from which on a latency tells of the tail at the bound.
const NEAR: f64 = 0.6;

impl Compared {
    /// What the percentile may have been: as predicted where the measurement does not contradict.
    fn truth(&self) -> Option<f64> {
        let most = self.measured?;
        let least = most / COARSENESS;
        Some(
            self.predicted
                .map_or(least, |predicted| predicted.clamp(least, most)),
        )
    }

    /// What the tail's factor should learn. Nothing where all is far from the bound: the shape of a
    /// tail changes with the load, and what counts is its shape at the limit.
    fn lesson(&self) -> Option<f64> {
        let truth = self.truth()?;
        let predicted = self.predicted?;
        let near = |value: f64| self.bound.is_none_or(|bound| value >= NEAR * bound);
        ((near(truth) || near(predicted)) && truth != predicted).then_some(truth)
    }

    /// Truth over bound.
    fn strain(&self) -> Option<f64> {
        Some(self.truth()? / self.bound?)
    }
}

fn learn_factors(ttft: &Compared, itl: &Compared, state: &mut State) {
    let mut tail = state.tail();
    // Predictions hold what was learned so far: a factor is compared with what was plain.
    let plain = Quantiles {
        ttft_seconds: ttft.predicted.unwrap_or(1.0) / tail.ttft_factor,
        itl_seconds: itl.predicted.unwrap_or(1.0) / tail.itl_factor,
    };
    tail.learn(&plain, ttft.lesson(), itl.lesson());
    state.tail = TailFactors {
        ttft: tail.ttft_factor,
        itl: tail.itl_factor,
    };
}

/// Least share of the model's capacities that misses of the objective can leave.
const LEAST_CORRECTION: f64 = 0.7;

/// A miss takes this share at a time; two minutes of misses take a seventh.
const STEP_DOWN: f64 = 0.98;

/// What comes back at each call that is comfortably below the objective: all of it in a quarter of
/// an hour.
const STEP_UP: f64 = 0.005;

/// Latency below this share of its bound is comfortable.
const COMFORTABLE: f64 = 0.8;

/// The safety net: where the objective is missed although the load is below what the model allows,
/// the model allows less, until that is past.
fn correct(ttft: &Compared, itl: &Compared, state: &mut State) {
    let strains = ttft.strain().into_iter().chain(itl.strain());
    let Some(worst) = strains.reduce(f64::max) else {
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
