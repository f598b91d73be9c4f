//! Time of one sizing and of one step of the tracker: both run for each variant at each tick.
//!
//! `cargo bench -p trimtab-models`
#![expect(clippy::expect_used, reason = "fixed parameters that are valid")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use trimtab_models::plain::{PlainReplica, PlainTargets};
use trimtab_models::{
    Batch, Iteration, Lengths, Observation, Replica, Role, Tail, Targets, Tracker, size,
};

const ITERATION: Iteration = Iteration {
    base_seconds: 6e-3,
    token_seconds: 32e-6,
    kv_token_seconds: 0.05e-6,
};

const BATCH: Batch = Batch {
    max_sequences: 256,
    max_batched_tokens: 8192,
    kv_capacity_tokens: Some(440_000),
    max_waiting: 2560,
};

const TARGETS: Targets = Targets {
    ttft_seconds: Some(1.0),
    itl_seconds: Some(0.05),
    percentile: 0.99,
};

fn sizing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("size");
    for (name, input, output) in [("conversation", 1155.0, 211.0), ("code", 2048.0, 28.0)] {
        let replica = Replica::new(ITERATION, Lengths::new(input, output), BATCH).expect("valid");
        let tail = Tail::prior();
        let last = size(&replica, &TARGETS, &tail, None)
            .expect("reachable")
            .rate;
        for (start, hint) in [("cold", None), ("from last", Some(1.005 * last))] {
            group.bench_function(BenchmarkId::new(name, start), |bench| {
                bench.iter(|| size(black_box(&replica), &TARGETS, &tail, hint));
            });
        }
        group.bench_function(BenchmarkId::new(name, "one operation"), |bench| {
            bench.iter(|| black_box(&replica).at(black_box(0.9 * last)));
        });
    }
    group.finish();
}

fn plain(criterion: &mut Criterion) {
    let replica =
        PlainReplica::new(ITERATION, Lengths::new(1155.0, 211.0), 256, 2560).expect("valid");
    let targets = PlainTargets {
        ttft: Some(1.0),
        itl: Some(0.05),
        tokens: None,
    };
    let mut group = criterion.benchmark_group("plain");
    group.bench_function("one operation", |bench| {
        bench.iter(|| black_box(&replica).at(black_box(10.0)));
    });
    group.bench_function("size", |bench| {
        bench.iter(|| black_box(&replica).size(&targets))
    });
    group.finish();
}

fn tracking(criterion: &mut Criterion) {
    let tracker = Tracker::new(ITERATION);
    let observation = Observation {
        role: Role::Both,
        rate: 8.0,
        requests: 120.0,
        lengths: Lengths::new(1155.0, 211.0),
        batch: BATCH,
        ttft_seconds: Some(0.07),
        itl_seconds: Some(0.012),
        running: Some(21.0),
    };
    criterion.bench_function("tracker/update", |bench| {
        bench.iter(|| {
            let mut tracker = black_box(tracker);
            tracker.update(&observation)
        });
    });
}

criterion_group!(benches, sizing, plain, tracking);
criterion_main!(benches);
