//! What adds up over the life of the process: counters and histograms.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use trimtab_contract::Refusal;
use trimtab_core::decision::{Call, PoolDecision};
use trimtab_core::policies::Digest;

use super::published::{Build, Outcome, PolicyRole, Query, StageSeconds};
use super::{labels, scaling};

/// From a millisecond to the longest that a cycle may take by default, 15 s, and beyond.
const SECONDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0,
];

/// Characters of a digest's hex that tell versions apart.
const DIGEST: usize = 12;

pub(super) type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

#[derive(Debug)]
pub(super) struct Process {
    ticks: Family<labels::Result, Counter>,
    stages: Histograms<labels::Stage>,
    optimization: Histograms<labels::Status>,
    policy_calls: Family<labels::Policy, Counter>,
    policy_faults: Family<labels::PolicyFault, Counter>,
    guard_steps: Family<labels::Rule, Counter>,
    queries: Histograms<labels::Query>,
    query_errors: Family<labels::QueryError, Counter>,
    errors: Family<labels::Error, Counter>,
}

impl Process {
    pub(super) fn register(registry: &mut Registry, build: &Build) -> Self {
        let process = Self {
            ticks: Family::default(),
            stages: histograms(),
            optimization: histograms(),
            policy_calls: Family::default(),
            policy_faults: Family::default(),
            guard_steps: Family::default(),
            queries: histograms(),
            query_errors: Family::default(),
            errors: Family::default(),
        };
        // A counter that first appears at 1 has no rate.
        for outcome in [
            Outcome::Done,
            Outcome::Observed,
            Outcome::Skipped,
            Outcome::Failed,
        ] {
            process.ticks(outcome).inc_by(0);
        }
        process.register_counters(registry);
        process.register_histograms(registry);
        register_build(registry, build);
        process
    }

    fn register_counters(&self, registry: &mut Registry) {
        registry.register(
            "trimtab_ticks",
            "Cycles: done, observed where another process leads, skipped because the one before still ran, or failed",
            self.ticks.clone(),
        );
        registry.register(
            "trimtab_policy_calls",
            "Answers and refusals of a policy; a call for several pools counts once for each",
            self.policy_calls.clone(),
        );
        registry.register(
            "trimtab_policy_faults",
            "Faults of a policy by their kind; a call for several pools counts once for each",
            self.policy_faults.clone(),
        );
        registry.register(
            "trimtab_guard_steps",
            "Changes of a count by a rule of the guard",
            self.guard_steps.clone(),
        );
        registry.register(
            "trimtab_prometheus_query_errors",
            "Queries to Prometheus without a usable answer, by what was asked for and why",
            self.query_errors.clone(),
        );
        registry.register(
            "wva_errors",
            "Errors by component and type",
            self.errors.clone(),
        );
    }

    fn register_histograms(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "trimtab_tick_stage_duration",
            "How long a stage of a cycle took, in seconds",
            Unit::Seconds,
            self.stages.clone(),
        );
        registry.register_with_unit(
            "trimtab_prometheus_query_duration",
            "How long a query to Prometheus took, in seconds, by what was asked for",
            Unit::Seconds,
            self.queries.clone(),
        );
        registry.register_with_unit(
            "wva_optimization_duration",
            "How long a cycle took, in seconds, by whether it decided",
            Unit::Seconds,
            self.optimization.clone(),
        );
    }

    pub(super) fn tick(&self, outcome: Outcome, stages: &[StageSeconds]) {
        self.ticks(outcome).inc();
        for stage in stages {
            let labels = labels::Stage {
                stage: stage.stage.word(),
            };
            observe(&self.stages, &labels, stage.seconds);
        }
        let status = match outcome {
            Outcome::Done => "success",
            Outcome::Failed => "error",
            Outcome::Observed | Outcome::Skipped => return,
        };
        if stages.is_empty() {
            return;
        }
        let whole = stages.iter().map(|stage| stage.seconds).sum();
        observe(&self.optimization, &labels::Status { status }, whole);
    }

    fn ticks(&self, outcome: Outcome) -> Counter {
        self.ticks.get_or_create_owned(&labels::Result {
            result: outcome.word(),
        })
    }

    pub(super) fn policy<'n>(
        &self,
        role: PolicyRole,
        call: &Call,
        name_of: impl Fn(&Digest) -> &'n str,
    ) {
        for fault in &call.faults {
            let labels = labels::PolicyFault {
                role: role.word(),
                policy: name_of(&fault.digest).to_owned(),
                digest: short(&fault.digest),
                kind: scaling::fault(fault.fault.as_ref().map(|fault| fault.kind)),
            };
            self.policy_faults.get_or_create(&labels).inc();
        }
        if let Some(answerer) = &call.answered_by {
            let labels = labels::Policy {
                role: role.word(),
                policy: answerer.name.clone(),
                digest: short(&answerer.digest),
                outcome: match &call.refusal {
                    None => "answered",
                    Some(Refusal::Settings(_)) => "refused-settings",
                    Some(Refusal::InsufficientData(_)) => "refused-insufficient-data",
                    Some(Refusal::Internal(_)) => "refused-internal",
                },
            };
            self.policy_calls.get_or_create(&labels).inc();
        }
    }

    pub(super) fn guard(&self, decision: &PoolDecision) {
        let steps = decision.variants.iter().flat_map(|variant| &variant.steps);
        for step in steps {
            let rule = scaling::rule(step.rule);
            self.guard_steps.get_or_create(&labels::Rule { rule }).inc();
        }
    }

    pub(super) fn query(&self, query: &Query) {
        let labels = labels::Query { query: query.kind };
        observe(&self.queries, &labels, query.seconds);
        if let Some(reason) = query.error {
            let labels = labels::QueryError {
                query: query.kind,
                reason,
            };
            self.query_errors.get_or_create(&labels).inc();
        }
    }

    pub(super) fn error(&self, component: &'static str, error_type: &'static str) {
        let labels = labels::Error {
            component,
            error_type,
        };
        self.errors.get_or_create(&labels).inc();
    }
}

fn register_build(registry: &mut Registry, build: &Build) {
    let info = Family::<labels::Build, Gauge>::default();
    let labels = labels::Build {
        version: build.version,
        revision: build.revision.unwrap_or_default(),
    };
    info.get_or_create(&labels).set(1);
    registry.register(
        "trimtab_build_info",
        "The program that runs: always 1",
        info,
    );
}

pub(super) fn histograms<L: Clone + std::hash::Hash + Eq>() -> Histograms<L> {
    Family::new_with_constructor(|| Histogram::new(SECONDS))
}

/// One value that is not a number would make the sum one for ever.
pub(super) fn observe<L>(of: &Histograms<L>, labels: &L, seconds: f64)
where
    L: Clone + std::hash::Hash + Eq,
{
    if seconds.is_finite() && seconds >= 0.0 {
        of.get_or_create(labels).observe(seconds);
    }
}

pub(super) fn short(digest: &Digest) -> String {
    let hex = digest.0.strip_prefix("sha256:").unwrap_or(&digest.0);
    hex.chars().take(DIGEST).collect()
}
