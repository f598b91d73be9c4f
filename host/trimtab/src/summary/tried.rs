//! What was tried beside what decides: shadows, experiments and swaps. Its field names are a promise
//! to scripts, as the summary's are.

use std::collections::BTreeMap;

use serde::Serialize;
use trimtab_core::experiment::{ArmReport, Effect, Phase, Report};
use trimtab_sim::spec::Spec;
use trimtab_sim::tried::{Deciding, ExperimentSeries, PolicyVersion, ShadowResult, Swapped};

use super::{Identity, Run};

/// The policies of a pool that names its own.
#[derive(Serialize)]
pub(crate) struct PoolPolicies<'a> {
    pub(crate) pool: &'a str,
    #[serde(flatten)]
    pub(crate) policies: Decided,
    /// For the report.
    #[serde(skip)]
    pub(crate) deciding: &'a Deciding,
}

/// Who decides.
#[derive(Serialize)]
pub(crate) struct Decided {
    pub(crate) analyzers: Vec<Identity>,
    pub(crate) optimizer: Option<Identity>,
}

/// How a shadow compared with the policies that decided, over all ticks.
#[derive(Serialize)]
pub(crate) struct Shadow<'a> {
    pub(crate) pool: &'a str,
    pub(crate) candidate: &'a str,
    pub(crate) ticks: u64,
    /// Ticks in which one of its policies faulted.
    pub(crate) faulted_ticks: u64,
    /// Share of ticks in which it would have asked for another count.
    pub(crate) disagreement_rate: Option<f64>,
    /// Mean over ticks of what was asked for by those that decided.
    pub(crate) active_cost_per_hour: Option<f64>,
    /// Mean over ticks of what it would have asked for.
    pub(crate) candidate_cost_per_hour: Option<f64>,
    /// By variant: mean over ticks of its count less the one that was asked for.
    pub(crate) mean_differences: BTreeMap<&'a str, f64>,
    /// For the report.
    #[serde(skip)]
    pub(crate) policies: &'a Deciding,
}

/// What an experiment found.
#[derive(Serialize)]
pub(crate) struct Experiment<'a> {
    pub(crate) pool: &'a str,
    /// `waiting`, `running`, `done` or `stopped`.
    pub(crate) phase: &'static str,
    /// The guard rail that ended it, with its figures.
    pub(crate) stopped_because: Option<&'a str>,
    /// Complete pairs of slots.
    pub(crate) pairs: u32,
    pub(crate) control: Arm,
    pub(crate) candidate: Arm,
    pub(crate) effects: Effects,
    /// For the table and the report.
    #[serde(skip)]
    pub(crate) series: &'a ExperimentSeries,
    #[serde(skip)]
    pub(crate) report: &'a Report,
}

#[derive(Serialize)]
pub(crate) struct Arm {
    pub(crate) slots: u32,
    pub(crate) cost_per_hour: Option<f64>,
    pub(crate) attainment: Option<f64>,
}

/// Candidate less control.
#[derive(Serialize)]
pub(crate) struct Effects {
    pub(crate) cost_per_hour: Estimated,
    pub(crate) attainment: Estimated,
}

/// `None` below three pairs.
#[derive(Serialize)]
pub(crate) struct Estimated {
    pub(crate) estimate: Option<f64>,
    pub(crate) standard_error: Option<f64>,
    /// Ends of the 95 % confidence interval.
    pub(crate) interval: Option<[f64; 2]>,
}

/// A swap that was made.
#[derive(Serialize)]
pub(crate) struct Swap<'a> {
    pub(crate) pool: &'a str,
    /// Instant of the first decision by the new policies, from the start of the run.
    pub(crate) at_seconds: f64,
    pub(crate) before: Decided,
    pub(crate) after: Decided,
    /// For the table and the report.
    #[serde(skip)]
    pub(crate) swapped: &'a Swapped,
}

pub(super) fn pools<'a>(spec: &'a Spec, run: &'a Run) -> Vec<PoolPolicies<'a>> {
    let policies = run.policies.iter();
    let named = policies.flat_map(|policies| &policies.pools);
    named
        .map(|(pool, deciding)| PoolPolicies {
            pool: name(spec, *pool),
            policies: Decided::of(deciding),
            deciding,
        })
        .collect()
}

pub(super) fn shadows<'a>(spec: &'a Spec, run: &'a Run) -> Vec<Shadow<'a>> {
    let shadows = run.outcome.tried.shadows.iter();
    shadows.map(|shadow| of_shadow(spec, shadow)).collect()
}

pub(super) fn experiments<'a>(spec: &'a Spec, run: &'a Run) -> Vec<Experiment<'a>> {
    let experiments = run.outcome.tried.experiments.iter();
    experiments
        .filter_map(|series| experiment(spec, series))
        .collect()
}

pub(super) fn swaps<'a>(spec: &'a Spec, run: &'a Run) -> Vec<Swap<'a>> {
    let swaps = run.outcome.tried.swaps.iter();
    swaps
        .map(|swapped| Swap {
            pool: name(spec, swapped.pool),
            at_seconds: swapped.at_seconds,
            before: Decided::of(&swapped.before),
            after: Decided::of(&swapped.after),
            swapped,
        })
        .collect()
}

fn of_shadow<'a>(spec: &'a Spec, shadow: &'a ShadowResult) -> Shadow<'a> {
    let tally = &shadow.tally;
    let (active, candidate) = tally.mean_costs().unzip();
    let variants = tally.variants.iter().filter(|_| tally.ticks > 0);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let mean = |sum: i64| sum as f64 / tally.ticks as f64;
    Shadow {
        pool: name(spec, shadow.pool),
        candidate: &shadow.candidate,
        policies: &shadow.policies,
        ticks: tally.ticks,
        faulted_ticks: tally.faulted,
        disagreement_rate: tally.disagreement_rate(),
        active_cost_per_hour: active,
        candidate_cost_per_hour: candidate,
        mean_differences: variants
            .map(|(variant, of)| (variant.as_str(), mean(of.sum_of_differences)))
            .collect(),
    }
}

fn experiment<'a>(spec: &'a Spec, series: &'a ExperimentSeries) -> Option<Experiment<'a>> {
    let (_, report) = series.ticks.last()?;
    let (phase, stopped_because) = match &report.phase {
        Phase::Waiting => ("waiting", None),
        Phase::Running { .. } => ("running", None),
        Phase::Done => ("done", None),
        Phase::Stopped { why, .. } => ("stopped", Some(why.as_str())),
    };
    Some(Experiment {
        pool: name(spec, series.pool),
        phase,
        stopped_because,
        pairs: report.cost.pairs,
        control: Arm::of(&report.control),
        candidate: Arm::of(&report.candidate),
        effects: Effects {
            cost_per_hour: Estimated::of(&report.cost),
            attainment: Estimated::of(&report.attainment),
        },
        series,
        report,
    })
}

impl Arm {
    fn of(report: &ArmReport) -> Self {
        Self {
            slots: report.slots,
            cost_per_hour: report.cost_per_hour,
            attainment: report.attainment,
        }
    }
}

impl Estimated {
    fn of(effect: &Effect) -> Self {
        Self {
            estimate: effect.estimate,
            standard_error: effect.standard_error,
            interval: effect.interval,
        }
    }
}

impl Decided {
    fn of(deciding: &Deciding) -> Self {
        let identity = |policy: &PolicyVersion| Identity {
            name: policy.name.clone(),
            version: policy.version.clone(),
            digest: policy.digest.clone(),
        };
        Self {
            analyzers: deciding.analyzers.iter().map(identity).collect(),
            optimizer: deciding.optimizer.as_ref().map(identity),
        }
    }
}

fn name(spec: &Spec, pool: usize) -> &str {
    spec.pools.get(pool).map_or("?", |pool| &pool.name)
}
