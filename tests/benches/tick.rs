//! What the engine costs: one analyzer call by pool size, native and in the sandbox, and one whole
//! tick by number of pools, without I/O. Run with `cargo bench -p trimtab-tests`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot be set up should end"
)]

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use std::sync::Arc;
use trimtab_contract::{Analysis, Context, Knowledge};
use trimtab_core::binding::{Binding, decide};
use trimtab_core::memory::Memory;
use trimtab_core::policies::{Analyzer, Bound, Optimizer, PoolPolicies};
use trimtab_core::shadow::{Shadow, shadows};
use trimtab_core::snapshot::Snapshot;
use trimtab_core::tick::tick;
use trimtab_cost_optimizer::CostOptimizer;
use trimtab_queueing_analyzer::QueueingAnalyzer;
use trimtab_sandbox::{Policy, Sandbox, SandboxConfig};
use trimtab_tests::{fleet, native};

/// Ticks before the measurement, so that trackers and windows are as full as in steady operation.
const WARM_UP_TICKS: u32 = 20;

fn analyze(criterion: &mut Criterion) {
    let sandboxed = sandboxed("queueing-analyzer").analyzer().unwrap();
    let native = native::analyzer::<QueueingAnalyzer>();
    let mut group = criterion.benchmark_group("analyze");
    for replicas in [1, 30, 1_000, 10_000] {
        for (kind, analyzer) in [("native", &native), ("sandbox", &sandboxed)] {
            let call = AnalyzerCall::warm(analyzer.as_ref(), replicas);
            group.bench_function(BenchmarkId::new(kind, replicas), |bencher| {
                bencher.iter(|| black_box(call.make(analyzer.as_ref())));
            });
        }
    }
}

/// The arguments of a call in steady operation.
struct AnalyzerCall {
    snapshot: Snapshot,
    context: Context,
    knowledge: Vec<Knowledge>,
}

impl AnalyzerCall {
    fn warm(analyzer: &dyn Analyzer, replicas: u32) -> Self {
        let mut call = Self::at(replicas, 0, Vec::new(), Vec::new());
        for tick in 1..WARM_UP_TICKS {
            let analysis = call.make(analyzer);
            let mut knowledge = analysis.learned;
            if knowledge.is_empty() {
                knowledge = call.knowledge;
            }
            call = Self::at(replicas, tick, analysis.state, knowledge);
        }
        call
    }

    fn at(replicas: u32, tick: u32, state: Vec<u8>, knowledge: Vec<Knowledge>) -> Self {
        let variants = replicas.min(3);
        let snapshot = fleet::snapshot(1, variants, replicas / variants, tick);
        let context = Context {
            now: snapshot.now_ms,
            period: snapshot.period_seconds,
            settings: "{}".into(),
            state,
        };
        Self {
            snapshot,
            context,
            knowledge,
        }
    }

    fn make(&self, analyzer: &dyn Analyzer) -> Analysis {
        let pool = &self.snapshot.pools[0];
        analyzer
            .analyze(&self.context, &pool.pool, &pool.replicas, &self.knowledge)
            .unwrap()
    }
}

fn whole_tick(criterion: &mut Criterion) {
    let sandboxed = (
        sandboxed("queueing-analyzer").analyzer().unwrap(),
        sandboxed("cost-optimizer").optimizer().unwrap(),
    );
    let native = (
        native::analyzer::<QueueingAnalyzer>(),
        native::optimizer::<CostOptimizer>(),
    );
    let mut group = criterion.benchmark_group("tick");
    group.sample_size(10);
    for pools in [1, 100, 1_000] {
        for (kind, policies) in [("native", &native), ("sandbox", &sandboxed)] {
            let bound = vec![bind(&policies.0, &policies.1); pools as usize];
            let mut memory = Memory::default();
            for number in 0..WARM_UP_TICKS {
                black_box(tick(
                    &fleet::snapshot(pools, 3, 10, number),
                    &bound,
                    &mut memory,
                ));
            }
            let snapshot = fleet::snapshot(pools, 3, 10, WARM_UP_TICKS);
            group.bench_function(BenchmarkId::new(kind, pools), |bencher| {
                bencher.iter_batched_ref(
                    || memory.clone(),
                    |memory| black_box(tick(&snapshot, &bound, memory)),
                    BatchSize::LargeInput,
                );
            });
        }
    }
}

fn bind(analyzer: &Arc<dyn Analyzer>, optimizer: &Arc<dyn Optimizer>) -> PoolPolicies {
    PoolPolicies {
        analyzers: vec![Bound::new(vec![Arc::clone(analyzer)], "{}")],
        optimizer: Bound::new(vec![Arc::clone(optimizer)], "{}"),
    }
}

fn sandboxed(name: &str) -> Policy {
    let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
    sandbox
        .load(trimtab_sandbox::builtin(name).unwrap())
        .unwrap()
}

/// A cycle's decisions and its shadows, through the sandbox, by shadows of each pool; the budget is
/// so large that none is skipped.
fn with_shadows(criterion: &mut Criterion) {
    const POOLS: u32 = 1_000;
    let analyzer = sandboxed("queueing-analyzer").analyzer().unwrap();
    let optimizer = sandboxed("cost-optimizer").optimizer().unwrap();
    let mut group = criterion.benchmark_group("tick with shadows");
    group.sample_size(10);
    for count in [0, 1, 5] {
        let shadows_of_each = (0..count).map(|number| Shadow {
            name: format!("candidate-{number}"),
            policies: PoolPolicies {
                analyzers: vec![Bound::new(
                    vec![Arc::clone(&analyzer)],
                    format!("{{\"headroom\":0.{number}}}"),
                )],
                optimizer: Bound::new(vec![Arc::clone(&optimizer)], "{}"),
            },
        });
        let binding = Binding {
            shadows: shadows_of_each.collect(),
            ..bind(&analyzer, &optimizer).into()
        };
        let bindings = vec![binding; POOLS as usize];
        let cycle = |number: u32, memory: &mut Memory| {
            let snapshot = fleet::snapshot(POOLS, 3, 10, number);
            let decisions = decide(&snapshot, &bindings, memory);
            black_box(shadows(&snapshot, &bindings, &decisions, memory, &|| true));
        };
        let mut memory = Memory::default();
        for number in 0..WARM_UP_TICKS {
            cycle(number, &mut memory);
        }
        let mut number = WARM_UP_TICKS;
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| {
                number += 1;
                cycle(number, &mut memory);
            });
        });
    }
}

criterion_group!(benches, analyze, whole_tick, with_shadows);
criterion_main!(benches);
