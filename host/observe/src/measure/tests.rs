//! What answers become, case by case. Numbers of situations are those of the list that the project
//! keeps of what autoscalers get wrong.

mod absence;
mod arrivals;
mod identity;
mod idleness;
mod latency;
mod replicas;

use std::sync::Arc;

use serde_json::{Value, json};
use trimtab_contract::{Objective, Pool, Role, Variant, Workload};
use trimtab_core::fleet::{FleetPod, FleetPool, FleetReplica, Measured, MetricsState, Picker};
use trimtab_core::snapshot::PoolRules;

use super::Measurer;
use crate::answer::{Answers, Labels, QueryError, Sample};
use crate::names::{Quantity, Topic, rows};

/// 2026-11-25, in seconds.
const NOW: f64 = 1_795_600_000.0;

/// Answers to all queries, with what a test puts into them.
struct Prometheus {
    answers: Answers,
    at: f64,
}

impl Prometheus {
    fn at(at: f64) -> Self {
        let empty = |topic| (topic, Ok(Arc::default()));
        Self {
            answers: Answers {
                by_topic: Topic::ALL.map(empty).into(),
                stats: Vec::new(),
            },
            at,
        }
    }

    fn now() -> Self {
        Self::at(NOW)
    }

    /// One series with any labels.
    fn with(mut self, quantity: Quantity, labels: Value, value: f64) -> Self {
        let topic = rows().find(|row| row.quantity == quantity).unwrap().topic;
        let (mut source, mut bound, mut set) = (None, None, Labels::default());
        for (name, text) in labels.as_object().unwrap() {
            match name.as_str() {
                "source" => source = Some(serde_json::from_value(text.clone()).unwrap()),
                "le" => bound = text.as_str().unwrap().parse().ok(),
                _ => *set.get_mut(name).unwrap() = text.as_str().unwrap().into(),
            }
        }
        if let Some(Ok(answer)) = self.answers.by_topic.get_mut(&topic) {
            let answer = Arc::make_mut(answer);
            let known = answer.labels.iter().position(|known| *known == set);
            let labels = known.unwrap_or_else(|| {
                answer.labels.push(set);
                answer.labels.len() - 1
            });
            answer.samples.push(Sample {
                quantity,
                source,
                labels,
                bound,
                value,
            });
            answer.evaluated_at = Some(self.at);
        }
        self
    }

    /// One series of a pod in `ns`, at the port of a single engine.
    fn pod(self, pod: &str, quantity: Quantity, value: f64) -> Self {
        let labels = json!({"namespace": "ns", "pod": pod, "instance": "10.0.0.1:8000",
                            "engine": "0", "model_name": "m"});
        self.with(quantity, labels, value)
    }

    /// A pod of `ns` that was scraped just now, with nothing to do.
    fn idle_pod(self, pod: &str) -> Self {
        let at = self.at;
        self.pod(pod, Quantity::ReportedAt, at)
            .pod(pod, Quantity::KvUsage, 0.0)
            .pod(pod, Quantity::Waiting, 0.0)
            .pod(pod, Quantity::Running, 0.0)
            .pod(pod, Quantity::Finished, 0.0)
    }

    /// One series of picker pod `epp-0` in `ns`.
    fn picker(self, quantity: Quantity, value: f64) -> Self {
        let labels = json!({"namespace": "ns", "pod": "epp-0", "source": "llm_d_epp"});
        self.with(quantity, labels, value)
    }

    fn fail(mut self, topic: Topic, error: QueryError) -> Self {
        self.answers.by_topic.insert(topic, Err(error));
        self
    }

    fn measure(&self, pools: &[FleetPool]) -> Vec<Measured> {
        self.measure_with(&mut Measurer::default(), pools)
    }

    fn measure_with(&self, measurer: &mut Measurer, pools: &[FleetPool]) -> Vec<Measured> {
        measurer.measure(pools, &self.answers, (self.at * 1000.0) as u64)
    }

    fn measure_one(&self, pool: &FleetPool) -> Measured {
        self.measure(std::slice::from_ref(pool)).remove(0)
    }
}

fn refused() -> QueryError {
    QueryError::Unreachable {
        url: "http://prometheus".to_owned(),
        detail: "connection refused".to_owned(),
    }
}

/// Pool `pool` of `ns` with a replica for each of these pods, ready for ten minutes.
fn pool(pods: &[&str]) -> FleetPool {
    pool_in("ns", "pool", pods)
}

fn pool_in(namespace: &str, name: &str, pods: &[&str]) -> FleetPool {
    FleetPool {
        pool: Pool {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            model: "m".to_owned(),
            objective: Objective {
                ttft: None,
                itl: None,
                throughput: None,
                percentile: 0.9,
                priority: 1,
            },
            workload: Workload::UNMEASURED,
            variants: vec![variant(Role::Both)],
        },
        picker: None,
        replicas: pods.iter().map(|pod| replica(pod, &[pod])).collect(),
        rules: PoolRules::default(),
    }
}

fn variant(role: Role) -> Variant {
    Variant {
        name: format!("{role:?}"),
        accelerator: "H100".to_owned(),
        gpus_per_replica: 1,
        cost: 10.0,
        role,
        min_replicas: 1,
        max_replicas: 10,
        current_replicas: 1,
        ready_replicas: 1,
        desired_replicas: 1,
        startup_time: None,
        engine: None,
    }
}

fn pod(name: &&str) -> FleetPod {
    FleetPod {
        name: (*name).to_owned(),
        ip: None,
    }
}

fn replica(name: &str, pods: &[&str]) -> FleetReplica {
    FleetReplica {
        variant: 0,
        name: name.to_owned(),
        pods: pods.iter().map(pod).collect(),
        ready_since_ms: ((NOW - 600.0) * 1000.0) as u64,
    }
}

fn with_picker(mut pool: FleetPool, pods: &[&str]) -> FleetPool {
    pool.picker = Some(Picker {
        pool: pool.pool.name.clone(),
        pods: pods.iter().map(pod).collect(),
    });
    pool
}

#[track_caller]
fn says(measured: &Measured, part: &str) {
    assert!(
        measured.warnings.iter().any(|said| said.contains(part)),
        "no warning says `{part}`: {:#?}",
        measured.warnings
    );
}
