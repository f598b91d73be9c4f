//! What the sandbox itself costs: calls of a guest that does next to nothing, by pool size, alone
//! and from all threads at once; and loading, compiled and from the cache.
//! Run with `cargo bench -p trimtab-tests --bench sandbox`.
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot be set up should end"
)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rayon::prelude::*;
use trimtab_contract::{Analysis, Context, Pool, Replica};
use trimtab_core::policies::Analyzer;
use trimtab_sandbox::{Sandbox, SandboxConfig};
use trimtab_tests::fleet;

/// Answers with one stage of one capacity per variant when its settings are empty.
const GUEST: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/trimtab-hostile-guest.wasm"));

/// Calls in one measurement from all threads.
const CALLS: u64 = 1_000;

fn call(criterion: &mut Criterion) {
    let analyzer = analyzer();
    let mut group = criterion.benchmark_group("call");
    for replicas in [1, 30, 1_000, 10_000] {
        let (pool, replicas) = pool(replicas);
        group.bench_function(BenchmarkId::from_parameter(replicas.len()), |bencher| {
            bencher.iter(|| black_box(analyze(&*analyzer, &pool, &replicas)));
        });
    }
}

fn calls_from_all_threads(criterion: &mut Criterion) {
    let analyzer = analyzer();
    let (pool, replicas) = pool(30);
    let mut group = criterion.benchmark_group("calls from all threads");
    group.throughput(Throughput::Elements(CALLS));
    group.bench_function(BenchmarkId::from_parameter(replicas.len()), |bencher| {
        bencher.iter(|| {
            (0..CALLS).into_par_iter().for_each(|_| {
                black_box(analyze(&*analyzer, &pool, &replicas));
            });
        });
    });
}

fn load(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let cached = SandboxConfig {
        cache_directory: Some(directory.path().join("cache")),
        ..SandboxConfig::default()
    };
    let policy = trimtab_sandbox::builtin("queueing-analyzer").unwrap();
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10);
    for (kind, config) in [("compiled", SandboxConfig::default()), ("cached", cached)] {
        let sandbox = Sandbox::new(config).unwrap();
        sandbox.load(policy).unwrap();
        group.bench_function(kind, |bencher| {
            bencher.iter(|| sandbox.load(policy).unwrap())
        });
    }
}

fn analyzer() -> std::sync::Arc<dyn Analyzer> {
    let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
    sandbox.load(GUEST).unwrap().analyzer().unwrap()
}

fn pool(replicas: u32) -> (Pool, Vec<Replica>) {
    let variants = replicas.min(3);
    let mut snapshot = fleet::snapshot(1, variants, replicas / variants, 0);
    let pool = snapshot.pools.remove(0);
    (pool.pool, pool.replicas)
}

fn analyze(analyzer: &dyn Analyzer, pool: &Pool, replicas: &[Replica]) -> Analysis {
    let context = Context {
        now: 0,
        period: 15.0,
        settings: "{}".into(),
        state: vec![0; 1_000],
    };
    analyzer.analyze(&context, pool, replicas, &[]).unwrap()
}

criterion_group!(benches, call, calls_from_all_threads, load);
criterion_main!(benches);
