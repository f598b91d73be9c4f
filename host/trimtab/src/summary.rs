//! `summary.json`: what the runs came to. Its field names are a promise to scripts.

pub(crate) mod tried;
pub(crate) mod words;

use std::collections::BTreeMap;

use serde::Serialize;
use trimtab_contract::Descriptor;
use trimtab_core::policies::Digest;
use trimtab_sim::outcome::{OutOfReach, Outcome, Percentiles, RequestCounts};
use trimtab_sim::spec::Spec;
use trimtab_sim::tried::Deciding;

use crate::figures;
use tried::{Experiment, PoolPolicies, Shadow, Swap};

/// A run that is over.
pub(crate) struct Run {
    /// `trimtab`, or the baseline's name.
    pub(crate) name: String,
    /// `None` for baselines.
    pub(crate) policies: Option<Policies>,
    pub(crate) outcome: Outcome,
}

/// Who decided in a run.
#[derive(Clone, Debug)]
pub(crate) struct Policies {
    /// Of pools that name nobody.
    pub(crate) analyzer: Identity,
    pub(crate) optimizer: Identity,
    /// By position, of pools that name their own: who decides there when the run begins.
    pub(crate) pools: Vec<(usize, Deciding)>,
}

/// A policy, beyond doubt.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) digest: Digest,
}

impl Identity {
    pub(crate) fn new(descriptor: &Descriptor, digest: &Digest) -> Self {
        Self {
            name: descriptor.name.clone(),
            version: descriptor.version.clone(),
            digest: digest.clone(),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct Summary<'a> {
    pub(crate) scenario: &'a str,
    pub(crate) seed: u64,
    pub(crate) trace: Trace,
    /// From the start of the command until every run was over.
    pub(crate) wall_seconds: f64,
    pub(crate) runs: Vec<RunSummary<'a>>,
}

/// What all runs were given to serve.
#[derive(Serialize)]
pub(crate) struct Trace {
    pub(crate) requests: usize,
    pub(crate) duration_seconds: f64,
}

#[derive(Serialize)]
pub(crate) struct RunSummary<'a> {
    pub(crate) name: &'a str,
    pub(crate) analyzer: Option<&'a Identity>,
    pub(crate) optimizer: Option<&'a Identity>,
    pub(crate) requests: RequestCounts,
    pub(crate) attainment: Option<f64>,
    pub(crate) ttft_seconds: Percentiles,
    pub(crate) itl_seconds: Percentiles,
    pub(crate) cost: f64,
    pub(crate) gpu_hours: &'a BTreeMap<String, f64>,
    pub(crate) replica_changes: u64,
    pub(crate) ticks: u64,
    pub(crate) policy_faults: u64,
    /// What only some scenarios have is left out where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) pool_policies: Vec<PoolPolicies<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) shadows: Vec<Shadow<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) experiments: Vec<Experiment<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) swaps: Vec<Swap<'a>>,
    /// For the table and the report.
    #[serde(skip)]
    pub(crate) out_of_reach: &'a [OutOfReach],
}

impl<'a> Summary<'a> {
    pub(crate) fn new(spec: &'a Spec, runs: &'a [Run], wall_seconds: f64) -> Self {
        Self {
            scenario: &spec.name,
            seed: spec.seed,
            trace: Trace {
                requests: spec.pools.iter().map(|pool| pool.arrivals.len()).sum(),
                duration_seconds: spec.duration_seconds,
            },
            wall_seconds,
            runs: runs.iter().map(|run| RunSummary::new(spec, run)).collect(),
        }
    }

    /// The run that the others' costs are put beside: the oracle where it ran, else the first.
    pub(crate) fn yardstick(&self) -> Option<&RunSummary<'a>> {
        self.runs
            .iter()
            .find(|run| run.name == "oracle")
            .or_else(|| self.runs.first())
    }

    /// A sentence for each objective that a baseline could not meet: its cost is then no yardstick
    /// for meeting it.
    pub(crate) fn out_of_reach(&self) -> Vec<String> {
        let runs = self.runs.iter();
        let missed = runs.flat_map(|run| run.out_of_reach.iter().map(move |of| (run.name, of)));
        missed
            .map(|(name, missed)| {
                format!(
                    "{name}: the objective of pool `{}`, {} % of requests, is out of reach; the \
                     cheapest fleet found near the best attains {}",
                    missed.pool,
                    figures::percentile(missed.wanted),
                    figures::share(Some(missed.attained))
                )
            })
            .collect()
    }
}

impl<'a> RunSummary<'a> {
    fn new(spec: &'a Spec, run: &'a Run) -> Self {
        let outcome = &run.outcome;
        Self {
            name: &run.name,
            analyzer: run.policies.as_ref().map(|policies| &policies.analyzer),
            optimizer: run.policies.as_ref().map(|policies| &policies.optimizer),
            requests: outcome.requests,
            attainment: outcome.attainment,
            ttft_seconds: outcome.ttft_seconds,
            itl_seconds: outcome.itl_seconds,
            cost: outcome.cost,
            gpu_hours: &outcome.gpu_hours,
            replica_changes: outcome.replica_changes,
            ticks: outcome.ticks,
            policy_faults: outcome.policy_faults,
            pool_policies: tried::pools(spec, run),
            shadows: tried::shadows(spec, run),
            experiments: tried::experiments(spec, run),
            swaps: tried::swaps(spec, run),
            out_of_reach: &outcome.out_of_reach,
        }
    }

    /// Cost as a multiple of another run's; `None` where that one cost nothing.
    pub(crate) fn relative_cost(&self, yardstick: &RunSummary<'_>) -> Option<f64> {
        (yardstick.cost > 0.0).then(|| self.cost / yardstick.cost)
    }

    pub(crate) fn total_gpu_hours(&self) -> f64 {
        // The sum of nothing would be -0.
        self.gpu_hours.values().fold(0.0, |sum, hours| sum + hours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn the_summary_has_exactly_the_promised_fields() {
        let spec = fixture::spec();
        let runs = fixture::runs(&spec);
        let json = serde_json::to_value(Summary::new(&spec, &runs, 1.5)).unwrap();
        assert_eq!(
            keys(&json),
            ["runs", "scenario", "seed", "trace", "wall_seconds"]
        );
        assert_eq!(keys(&json["trace"]), ["duration_seconds", "requests"]);
        assert_eq!(
            keys(&json["runs"][0]),
            [
                "analyzer",
                "attainment",
                "cost",
                "gpu_hours",
                "itl_seconds",
                "name",
                "optimizer",
                "policy_faults",
                "replica_changes",
                "requests",
                "ticks",
                "ttft_seconds"
            ]
        );
        let tried = fixture::tried(&spec);
        let json = serde_json::to_value(Summary::new(&spec, &tried, 1.5)).unwrap();
        let run = &json["runs"][0];
        assert_eq!(
            keys(&run["shadows"][0]),
            [
                "active_cost_per_hour",
                "candidate",
                "candidate_cost_per_hour",
                "disagreement_rate",
                "faulted_ticks",
                "mean_differences",
                "pool",
                "ticks"
            ]
        );
        assert_eq!(
            keys(&run["experiments"][0]),
            [
                "candidate",
                "control",
                "effects",
                "pairs",
                "phase",
                "pool",
                "stopped_because"
            ]
        );
        assert_eq!(
            keys(&run["experiments"][0]["control"]),
            ["attainment", "cost_per_hour", "slots"]
        );
        assert_eq!(
            keys(&run["experiments"][0]["effects"]),
            ["attainment", "cost_per_hour"]
        );
        assert_eq!(
            keys(&run["experiments"][0]["effects"]["attainment"]),
            ["estimate", "interval", "standard_error"]
        );
        assert_eq!(
            keys(&run["swaps"][0]),
            ["after", "at_seconds", "before", "pool"]
        );
        assert_eq!(keys(&run["swaps"][0]["after"]), ["analyzers", "optimizer"]);
        assert_eq!(
            keys(&run["pool_policies"][0]),
            ["analyzers", "optimizer", "pool"]
        );
        assert!(json["runs"][1]["shadows"].is_null());
    }

    #[test]
    fn the_summary_of_who_decided_has_exactly_the_promised_fields() {
        let spec = fixture::spec();
        let runs = fixture::runs(&spec);
        let json = serde_json::to_value(Summary::new(&spec, &runs, 1.5)).unwrap();
        assert_eq!(
            keys(&json["runs"][0]["analyzer"]),
            ["digest", "name", "version"]
        );
        assert_eq!(keys(&json["runs"][0]["itl_seconds"]), ["p50", "p95", "p99"]);
        assert_eq!(
            keys(&json["runs"][0]["requests"]),
            ["arrived", "dropped", "served", "unfinished"]
        );
        assert!(
            json["runs"][1]["analyzer"].is_null(),
            "a baseline has no policies"
        );
    }

    #[test]
    fn costs_are_measured_by_the_oracle() {
        let spec = fixture::spec();
        let runs = fixture::runs(&spec);
        let summary = Summary::new(&spec, &runs, 0.0);
        let yardstick = summary.yardstick().unwrap();
        assert_eq!(yardstick.name, "oracle");
        assert_eq!(yardstick.relative_cost(yardstick), Some(1.0));
        assert!(summary.runs[0].relative_cost(yardstick).unwrap() > 1.0);
    }

    #[test]
    fn no_gpus_are_no_gpu_hours() {
        let spec = fixture::spec();
        let mut runs = fixture::runs(&spec);
        runs[0].outcome.gpu_hours.clear();
        let summary = Summary::new(&spec, &runs, 0.0);
        assert!(summary.runs[0].total_gpu_hours().is_sign_positive());
    }

    fn keys(value: &serde_json::Value) -> Vec<&str> {
        let mut keys: Vec<&str> = value
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        keys
    }
}
