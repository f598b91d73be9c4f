//! What is tried beside what decides: candidates in shadow, and experiments; and who decided where
//! the bound version did not.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use trimtab_core::decision::{Call, PoolDecision};
use trimtab_core::experiment::{Arm, Effect, Report};
use trimtab_core::shadow::Shadowed;

use super::families::Families;
use super::published::PolicyRole;

/// A candidate of a pool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct Candidate {
    namespace: String,
    pool: String,
    candidate: String,
}

/// A variant as a candidate sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct CandidateVariant {
    namespace: String,
    pool: String,
    candidate: String,
    variant: String,
}

/// Ticks of a candidate that went so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct Ticks {
    namespace: String,
    pool: String,
    candidate: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct OfArm {
    namespace: String,
    pool: String,
    arm: &'static str,
}

/// A bound of what an experiment found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct Found {
    namespace: String,
    pool: String,
    figure: &'static str,
    bound: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct OfRole {
    namespace: String,
    pool: String,
    role: &'static str,
}

/// The last cycle's, but for what is counted.
#[derive(Debug, Default)]
pub(super) struct Trials {
    desired: BTreeMap<CandidateVariant, u32>,
    differences: BTreeMap<CandidateVariant, i64>,
    disagreements: BTreeMap<Candidate, f64>,
    /// Kept for as long as the candidate is there.
    ticks: BTreeMap<Ticks, u64>,
    seconds: f64,
    arms: BTreeMap<OfArm, bool>,
    effects: BTreeMap<Found, f64>,
    rungs: BTreeMap<OfRole, f64>,
}

impl Trials {
    /// `decisions` stand beside the pools of which `shadowed` speaks; `seconds` were spent on them.
    pub(super) fn shadows(
        &mut self,
        shadowed: &[Shadowed],
        decisions: &[PoolDecision],
        seconds: f64,
    ) {
        self.desired.clear();
        self.differences.clear();
        self.seconds += seconds;
        let decisions: BTreeMap<(&str, &str), &PoolDecision> = decisions
            .iter()
            .map(|of| ((of.namespace.as_str(), of.pool.as_str()), of))
            .collect();
        for of in shadowed {
            let active = decisions.get(&(of.namespace.as_str(), of.pool.as_str()));
            let result = active.map_or("skipped", |active| self.compare(of, active));
            *self.ticks.entry(Ticks::new(of, result)).or_default() += 1;
        }
        let there = |namespace: &str, pool: &str, candidate: &str| {
            let mut shadowed = shadowed.iter();
            shadowed.any(|of| {
                (
                    of.namespace.as_str(),
                    of.pool.as_str(),
                    of.candidate.as_str(),
                ) == (namespace, pool, candidate)
            })
        };
        self.ticks
            .retain(|of, _| there(&of.namespace, &of.pool, &of.candidate));
        self.rates();
    }

    /// Takes up what a candidate would ask for; says how that compares.
    fn compare(&mut self, of: &Shadowed, active: &PoolDecision) -> &'static str {
        let Some(proposal) = &of.proposal else {
            return "skipped";
        };
        let mut differs = false;
        for (active, candidate) in active.variants.iter().zip(proposal.variants()) {
            let labels = CandidateVariant {
                namespace: of.namespace.clone(),
                pool: of.pool.clone(),
                candidate: of.candidate.clone(),
                variant: candidate.variant.clone(),
            };
            let difference = i64::from(candidate.desired) - i64::from(active.desired);
            differs |= difference != 0;
            self.differences.insert(labels.clone(), difference);
            self.desired.insert(labels, candidate.desired);
        }
        match (proposal.has_faulted(), differs) {
            (true, _) => "faulted",
            (false, true) => "disagreed",
            (false, false) => "agreed",
        }
    }

    /// Of ticks in which a candidate answered.
    fn rates(&mut self) {
        let mut counts: BTreeMap<Candidate, (u64, u64)> = BTreeMap::new();
        for (of, ticks) in &self.ticks {
            let candidate = Candidate {
                namespace: of.namespace.clone(),
                pool: of.pool.clone(),
                candidate: of.candidate.clone(),
            };
            let (disagreed, all) = counts.entry(candidate).or_default();
            *disagreed += u64::from(of.result == "disagreed") * ticks;
            *all += u64::from(matches!(of.result, "disagreed" | "agreed")) * ticks;
        }
        let rates = counts.into_iter().filter(|(_, (_, all))| *all > 0);
        self.disagreements = rates
            .map(|(of, (disagreed, all))| (of, disagreed as f64 / all as f64))
            .collect();
    }

    /// Who decides, and how experiments stand.
    pub(super) fn decisions(
        &mut self,
        decisions: &[PoolDecision],
        report: impl Fn(&PoolDecision) -> Option<Report>,
    ) {
        self.arms.clear();
        self.effects.clear();
        self.rungs.clear();
        for decision in decisions {
            let analyzers = decision.analyses.iter().map(|analyzed| &analyzed.call);
            let lowest = worst(analyzers.filter_map(rung));
            let roles = [
                (PolicyRole::Analyzer, lowest),
                (PolicyRole::Optimizer, rung(&decision.plan.call)),
            ];
            for (role, rung) in roles {
                let of = OfRole {
                    namespace: decision.namespace.clone(),
                    pool: decision.pool.clone(),
                    role: role.word(),
                };
                self.rungs.extend(rung.map(|rung| (of, rung)));
            }
            if let Some(report) = report(decision) {
                self.experiment(decision, &report);
            }
        }
    }

    fn experiment(&mut self, decision: &PoolDecision, report: &Report) {
        for (arm, word) in [(Arm::Control, "control"), (Arm::Candidate, "candidate")] {
            let of = OfArm {
                namespace: decision.namespace.clone(),
                pool: decision.pool.clone(),
                arm: word,
            };
            self.arms.insert(of, decision.arm == Some(arm));
        }
        for (figure, effect) in [("cost", report.cost), ("attainment", report.attainment)] {
            for (bound, value) in bounds(effect) {
                let of = Found {
                    namespace: decision.namespace.clone(),
                    pool: decision.pool.clone(),
                    figure,
                    bound,
                };
                self.effects.extend(value.map(|value| (of, value)));
            }
        }
    }
}

fn bounds(effect: Effect) -> [(&'static str, Option<f64>); 3] {
    [
        ("estimate", effect.estimate),
        ("low", effect.interval.map(|[low, _]| low)),
        ("high", effect.interval.map(|[_, high]| high)),
    ]
}

/// Where nobody answered.
const NOBODY: f64 = -1.0;

/// Rung of who answered; `None` where nobody was asked. A stand-in for a policy that is not there is one
/// rung further down.
fn rung(call: &Call) -> Option<f64> {
    let absent = usize::from(call.absent.is_some());
    match &call.answered_by {
        Some(answerer) => Some((answerer.rung + absent) as f64),
        None => (!call.faults.is_empty()).then_some(NOBODY),
    }
}

/// The worst of them.
fn worst(rungs: impl Iterator<Item = f64>) -> Option<f64> {
    rungs.reduce(|a, b| if a < 0.0 || b < 0.0 { NOBODY } else { a.max(b) })
}

impl Ticks {
    fn new(of: &Shadowed, result: &'static str) -> Self {
        Self {
            namespace: of.namespace.clone(),
            pool: of.pool.clone(),
            candidate: of.candidate.clone(),
            result,
        }
    }
}

/// Shows them.
#[derive(Debug)]
pub(super) struct Shown(pub(super) Arc<Mutex<Trials>>);

impl Collector for Shown {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let trials = super::lock(&self.0);
        let mut families = Families(encoder);
        families.gauge(
            "trimtab_policy_rung",
            "Rung of the fallback ladder that decided: 0 is the version that is bound, more is one \
             that stands in for it, -1 is none: the count is held",
            trials.rungs.iter().map(|(of, rung)| (of, *rung)),
        )?;
        families.gauge(
            "trimtab_shadow_desired_replicas",
            "What a candidate in shadow would ask for; it is given to nobody",
            trials
                .desired
                .iter()
                .map(|(of, count)| (of, f64::from(*count))),
        )?;
        families.gauge(
            "trimtab_shadow_difference_replicas",
            "What a candidate in shadow would ask for, less what is asked for",
            trials
                .differences
                .iter()
                .map(|(of, count)| (of, *count as f64)),
        )?;
        families.gauge(
            "trimtab_shadow_disagreement_ratio",
            "Share of its ticks, since this process leads, in which a candidate in shadow would have \
             asked for something else",
            trials.disagreements.iter().map(|(of, rate)| (of, *rate)),
        )?;
        families.counter(
            "trimtab_shadow_ticks",
            "Ticks of a candidate in shadow, by what came of them: agreed, disagreed, faulted, or \
             skipped for want of time",
            trials.ticks.iter().map(|(of, ticks)| (of, *ticks)),
        )?;
        families.seconds(
            "trimtab_shadow_seconds",
            "Processor time that candidates in shadow took, in seconds",
            trials.seconds,
        )?;
        families.gauge(
            "trimtab_experiment_arm",
            "1 for the arm of a pool's experiment that decides, else 0",
            trials
                .arms
                .iter()
                .map(|(of, decides)| (of, f64::from(u8::from(*decides)))),
        )?;
        families.gauge(
            "trimtab_experiment_effect",
            "Candidate less control: cost per hour, and share of requests that meet the objective; \
             the estimate, and the ends of its 95 % interval",
            trials.effects.iter().map(|(of, value)| (of, *value)),
        )
    }
}
