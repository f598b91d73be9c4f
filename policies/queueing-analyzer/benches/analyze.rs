//! One call of the analyzer, compiled natively: pools of 1, 30, 1,000 and 10,000 replicas on three
//! accelerators, with the state of the calls before.
#![expect(clippy::expect_used, reason = "a benchmark may fail loudly")]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use trimtab_queueing_analyzer::QueueingAnalyzer;
use trimtab_sdk::{Analyzer, Context, Engine, Objective, Pool, Replica, Role, Variant, Workload};

fn variant(accelerator: &str, replicas: u32) -> Variant {
    Variant {
        name: accelerator.to_lowercase(),
        accelerator: accelerator.into(),
        gpus_per_replica: 1,
        cost: 4.0,
        role: Role::Both,
        min_replicas: 0,
        max_replicas: 20_000,
        current_replicas: replicas,
        ready_replicas: replicas,
        desired_replicas: replicas,
        startup_time: Some(120.0),
        engine: Some(Engine {
            max_batched_tokens: 8192,
            max_sequences: 256,
            max_model_length: None,
            tensor_parallel: 1,
            block_size: 16,
            gpu_blocks: None,
            gpu_memory_utilization: 0.9,
            kv_cache_dtype: "auto".into(),
            chunked_prefill: true,
        }),
    }
}

fn replica(variant: u32, number: u32, rate: f64) -> Replica {
    Replica {
        variant,
        name: format!("pool-{variant}-{number}"),
        instances: 1,
        metrics_age: 7.0,
        kv_usage: Some(0.4),
        waiting: Some(1.0),
        kv_capacity_tokens: Some(440_000),
        running: Some(60.0 + f64::from(number % 7)),
        request_rate: Some(rate + 0.01 * f64::from(number % 9)),
        input_tokens: Some(1155.0),
        output_tokens: Some(211.0),
        prefix_hit_ratio: Some(0.0),
        ttft: Some(0.06),
        itl: Some(0.02),
    }
}

fn pool(replicas: u32) -> (Pool, Vec<Replica>) {
    let each = replicas.div_ceil(3);
    let counts = [
        each,
        each.min(replicas - each),
        replicas.saturating_sub(2 * each),
    ];
    let kinds = [("H100", 12.0), ("A100", 4.0), ("L40S", 1.5)];
    let rate: f64 = counts
        .iter()
        .zip(kinds)
        .map(|(n, (_, rate))| f64::from(*n) * rate)
        .sum();
    let pool = Pool {
        name: "pool".into(),
        namespace: "default".into(),
        model: "meta-llama/Llama-3.1-8B-Instruct".into(),
        objective: Objective {
            ttft: Some(1.0),
            itl: Some(0.05),
            throughput: None,
            percentile: 0.99,
            priority: 1,
        },
        workload: Workload {
            request_rate: Some(rate),
            input_tokens: Some(1155.0),
            output_tokens: Some(211.0),
            prefix_hit_ratio: Some(0.0),
            queued_requests: Some(0.0),
            queued_bytes: Some(0.0),
            ttft_mean: Some(0.06),
            ttft_at_percentile: Some(0.2),
            itl_mean: Some(0.02),
            itl_at_percentile: Some(0.04),
        },
        variants: kinds
            .iter()
            .zip(counts)
            .map(|((name, _), n)| variant(name, n))
            .collect(),
    };
    let of = |(at, (count, (_, rate))): (u32, (u32, (&str, f64)))| {
        (0..count).map(move |number| replica(at, number, rate))
    };
    let replicas = (0..)
        .zip(counts.into_iter().zip(kinds))
        .flat_map(of)
        .collect();
    (pool, replicas)
}

fn context(now: u64, state: Vec<u8>) -> Context {
    Context {
        now,
        period: 15.0,
        settings: "{}".into(),
        state,
    }
}

fn analyze(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("analyze");
    for n in [1, 30, 1_000, 10_000] {
        let (pool, replicas) = pool(n);
        let mut now = 1_700_000_000_000;
        let mut state = Vec::new();
        for _ in 0..40 {
            let call = context(now, state);
            let answer = QueueingAnalyzer::analyze(&call, &pool, &replicas, &[]);
            state = answer.expect("an analysis").state;
            now += 15_000;
        }
        let warm = context(now, state);
        group.bench_function(BenchmarkId::from_parameter(n), |bencher| {
            bencher.iter(|| QueueingAnalyzer::analyze(black_box(&warm), &pool, &replicas, &[]));
        });
    }
    group.finish();
}

criterion_group!(benches, analyze);
criterion_main!(benches);
