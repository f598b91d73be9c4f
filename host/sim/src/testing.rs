//! Specs and controllers for tests: one pool of the prototype's replicas, and fixed counts.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use trimtab_contract::{Engine, Objective, Role};
use trimtab_core::snapshot::{PoolRules, Snapshot};

use crate::controller::{Controller, Counts};
use crate::outcome::Outcome;
use crate::run::run;
use crate::spec::{Arrival, IterationTime, PoolSpec, Spec, Startup, Timing, VariantSpec};

/// Asks for the same counts at every tick, and keeps the snapshots that it saw.
pub(crate) struct Fixed {
    pub(crate) counts: Vec<Vec<u32>>,
    pub(crate) seen: Vec<Snapshot>,
}

impl Fixed {
    pub(crate) fn new(counts: &[&[u32]]) -> Self {
        Self {
            counts: counts.iter().map(|pool| pool.to_vec()).collect(),
            seen: Vec::new(),
        }
    }
}

impl Controller for Fixed {
    fn decide(&mut self, snapshot: &Snapshot) -> Counts {
        self.seen.push(snapshot.clone());
        Counts {
            desired: self.counts.clone(),
            decisions: Vec::new(),
        }
    }
}

/// Asks for what a function of the run's time in seconds says.
pub(crate) struct ByTime<F>(pub(crate) F);

impl<F: FnMut(f64) -> Vec<Vec<u32>>> Controller for ByTime<F> {
    fn decide(&mut self, snapshot: &Snapshot) -> Counts {
        let now = (snapshot.now_ms - crate::run::START_MS) as f64 / 1000.0;
        Counts {
            desired: (self.0)(now),
            decisions: Vec::new(),
        }
    }
}

/// Iteration times of the prototype that the issue speaks of: about an 8B model on an H100.
pub(crate) const ITERATION: IterationTime = IterationTime {
    base_seconds: 0.006,
    per_token_seconds: 32e-6,
    per_kv_token_seconds: 0.05e-6,
};

pub(crate) fn variant(initial_replicas: u32) -> VariantSpec {
    VariantSpec {
        name: "h100".to_owned(),
        accelerator: "H100".to_owned(),
        gpus_per_replica: 1,
        cost_per_hour: 4.0,
        role: Role::Both,
        min_replicas: 0,
        max_replicas: 100,
        initial_replicas,
        engine: Engine {
            max_batched_tokens: 8192,
            max_sequences: 256,
            max_model_length: None,
            tensor_parallel: 1,
            block_size: 16,
            gpu_blocks: None,
            gpu_memory_utilization: 0.9,
            kv_cache_dtype: "auto".to_owned(),
            chunked_prefill: true,
        },
        iteration: ITERATION,
        kv_capacity_tokens: 400_000,
        startup: Startup {
            mean_seconds: 120.0,
            spread: 0.0,
        },
        kv_transfer_seconds_per_token: 1e-6,
    }
}

pub(crate) fn pool(variants: Vec<VariantSpec>, arrivals: Vec<Arrival>) -> PoolSpec {
    PoolSpec {
        name: "chat".to_owned(),
        namespace: "llm".to_owned(),
        model: "llama-8b".to_owned(),
        objective: Objective {
            ttft: Some(1.0),
            itl: Some(0.05),
            throughput: None,
            percentile: 0.99,
            priority: 1,
        },
        rules: PoolRules::default(),
        variants,
        arrivals,
    }
}

pub(crate) fn spec(duration_seconds: f64, pools: Vec<PoolSpec>) -> Spec {
    Spec {
        name: "test".to_owned(),
        seed: 1,
        duration_seconds,
        drain_seconds: 600.0,
        timing: Timing::default(),
        pools,
        inventory: None,
        budget_per_hour: None,
        faults: Vec::new(),
    }
}

/// One pool of so many replicas.
pub(crate) fn simple(duration_seconds: f64, replicas: u32, arrivals: Vec<Arrival>) -> Spec {
    spec(
        duration_seconds,
        vec![pool(vec![variant(replicas)], arrivals)],
    )
}

pub(crate) fn arrival(at_seconds: f64, input_tokens: u32, output_tokens: u32) -> Arrival {
    Arrival {
        at_seconds,
        input_tokens,
        output_tokens,
        prefix_blocks: Box::default(),
    }
}

/// Poisson arrivals with lengths uniform from half to one and a half of the mean.
pub(crate) fn poisson(seed: u64, rate: f64, until: f64, input: u32, output: u32) -> Vec<Arrival> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut around = |mean: u32| mean / 2 + (f64::from(mean) * random.random::<f64>()) as u32 + 1;
    let mut gaps = ChaCha8Rng::seed_from_u64(seed ^ 0xa5a5);
    let mut at = 0.0;
    let times = std::iter::from_fn(|| {
        at -= (1.0 - gaps.random::<f64>()).ln() / rate;
        (at < until).then_some(at)
    });
    times
        .map(|at| arrival(at, around(input), around(output)))
        .collect()
}

pub(crate) fn run_fixed(spec: &Spec, counts: &[&[u32]]) -> Outcome {
    run(spec, &mut Fixed::new(counts), &mut |_| {})
}
