//! How long an hour of a pool takes: the rate and lengths of the Azure conversation trace, once
//! and twenty times over, and prompts with shared prefixes.
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark stops where its set-up fails"
)]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use rand_distr::{Distribution as _, Exp, LogNormal};
use trimtab_contract::{Engine, Objective, Role};
use trimtab_core::snapshot::{PoolRules, Snapshot};
use trimtab_sim::controller::{Controller, Counts};
use trimtab_sim::run::run;
use trimtab_sim::spec::{Arrival, IterationTime, PoolSpec, Spec, Startup, Timing, VariantSpec};

/// Requests a second, and mean and deviation of the logarithms of prompt and answer lengths, near
/// those of the trace.
const RATE: f64 = 5.4;
const INPUT: (f64, f64) = (6.6, 0.95);
const OUTPUT: (f64, f64) = (5.1, 0.7);
const SECONDS: f64 = 3600.0;

struct Same(u32);

impl Controller for Same {
    fn decide(&mut self, _: &Snapshot) -> Counts {
        Counts {
            desired: vec![vec![self.0]],
            decisions: Vec::new(),
        }
    }
}

fn arrivals(rate: f64, documents: u32) -> Vec<Arrival> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let gap = Exp::new(rate).unwrap();
    let input = LogNormal::new(INPUT.0, INPUT.1).unwrap();
    let output = LogNormal::new(OUTPUT.0, OUTPUT.1).unwrap();
    let mut at_seconds = 0.0;
    let requests = std::iter::from_fn(|| {
        at_seconds += gap.sample(&mut random);
        let input_tokens = input.sample(&mut random) as u32 + 1;
        let document = random.random_range(0..documents.max(1)) * 1000;
        let blocks = if documents > 0 { input_tokens / 512 } else { 0 };
        (at_seconds < SECONDS).then(|| Arrival {
            at_seconds,
            input_tokens,
            output_tokens: output.sample(&mut random) as u32 + 1,
            prefix_blocks: (document..document + blocks).collect(),
        })
    });
    requests.collect()
}

fn spec(replicas: u32, arrivals: Vec<Arrival>) -> Spec {
    let variant = VariantSpec {
        name: "h100".to_owned(),
        accelerator: "H100".to_owned(),
        gpus_per_replica: 1,
        cost_per_hour: 4.0,
        role: Role::Both,
        min_replicas: 0,
        max_replicas: 100,
        initial_replicas: replicas,
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
        iteration: IterationTime {
            base_seconds: 0.006,
            per_token_seconds: 32e-6,
            per_kv_token_seconds: 0.05e-6,
        },
        kv_capacity_tokens: 430_000,
        startup: Startup {
            mean_seconds: 120.0,
            spread: 0.25,
        },
        kv_transfer_seconds_per_token: 1e-6,
    };
    let pool = PoolSpec {
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
        variants: vec![variant],
        arrivals,
    };
    Spec {
        name: "bench".to_owned(),
        seed: 1,
        duration_seconds: SECONDS,
        drain_seconds: 600.0,
        timing: Timing::default(),
        pools: vec![pool],
        inventory: None,
        budget_per_hour: None,
        faults: Vec::new(),
    }
}

fn an_hour(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("an hour");
    group.sample_size(10);
    let cases = [
        ("19,000 requests on 1 replica", 1, 1.0, 0),
        ("19,000 requests with prefixes on 2 replicas", 2, 1.0, 50),
        ("390,000 requests on 12 replicas", 12, 20.0, 0),
        ("390,000 requests on 8 replicas, overloaded", 8, 20.0, 0),
    ];
    for (name, replicas, scale, documents) in cases {
        let spec = spec(replicas, arrivals(RATE * scale, documents));
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || Same(replicas),
                |mut controller| run(&spec, &mut controller, &mut |_| {}),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, an_hour);
criterion_main!(benches);
