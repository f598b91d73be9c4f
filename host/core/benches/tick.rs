//! What the core itself costs: a whole tick with policies that do next to nothing.

use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use trimtab_contract::{
    Accelerator, Analysis, Capacity, Context, Descriptor, Knowledge, Limits, Objective, Plan, Pool,
    Replica, Request, Role, Stage, Target, Variant, Workload,
};
use trimtab_core::memory::Memory;
use trimtab_core::policies::{Analyzer, Bound, CallError, Digest, Optimizer, PoolPolicies};
use trimtab_core::snapshot::{PoolRules, PoolSnapshot, Snapshot};
use trimtab_core::tick::tick;

/// One stage over all variants, and one replica more for each third pool.
struct Plain {
    descriptor: Descriptor,
    digest: Digest,
}

impl Plain {
    fn new() -> Self {
        let descriptor = Descriptor {
            name: "plain".to_owned(),
            version: "1".to_owned(),
            summary: String::new(),
            settings_schema: "{}".to_owned(),
            state_format: "1".to_owned(),
        };
        Self {
            descriptor,
            digest: Digest("sha256:plain".to_owned()),
        }
    }
}

impl Analyzer for Plain {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn analyze(
        &self,
        _: &Context,
        pool: &Pool,
        _: &[Replica],
        _: &[Knowledge],
    ) -> Result<Analysis, CallError> {
        let capacities = (0..).zip(&pool.variants).map(|(variant, _)| Capacity {
            variant,
            per_replica: 1.0,
            load: 1.0,
            predicted_ttft: None,
            predicted_itl: None,
        });
        let stage = Stage {
            role: Role::Both,
            unit: "requests/s".to_owned(),
            demand: 30.0,
            forecast: None,
            floor: 31.0,
            ceiling: 40.0,
            capacities: capacities.collect(),
        };
        Ok(Analysis {
            stages: vec![stage],
            learned: Vec::new(),
            notes: Vec::new(),
            state: vec![1; 200],
        })
    }
}

impl Optimizer for Plain {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn optimize(&self, _: &Context, requests: &[Request], _: &Limits) -> Result<Plan, CallError> {
        let targets = (0..).zip(requests).flat_map(|(request, asked)| {
            (0..)
                .zip(&asked.pool.variants)
                .map(move |(variant, v)| Target {
                    request,
                    variant,
                    replicas: v.desired_replicas + u32::from(request % 3 == 0),
                    reason: "keeps what runs".to_owned(),
                })
        });
        Ok(Plan {
            targets: targets.collect(),
            notes: Vec::new(),
            state: Vec::new(),
        })
    }
}

fn variant(name: &str) -> Variant {
    Variant {
        name: name.to_owned(),
        accelerator: "H100".to_owned(),
        gpus_per_replica: 1,
        cost: 1.0,
        role: Role::Both,
        min_replicas: 1,
        max_replicas: 100,
        current_replicas: 10,
        ready_replicas: 10,
        desired_replicas: 10,
        startup_time: Some(120.0),
        engine: None,
    }
}

fn replica(variant: u32, number: u32) -> Replica {
    Replica {
        variant,
        name: format!("replica-{variant}-{number}"),
        instances: 1,
        metrics_age: 5.0,
        kv_usage: Some(0.5),
        waiting: Some(0.0),
        kv_capacity_tokens: Some(400_000),
        running: Some(4.0),
        request_rate: Some(1.0),
        input_tokens: Some(1000.0),
        output_tokens: Some(200.0),
        prefix_hit_ratio: None,
        ttft: Some(0.1),
        itl: Some(0.02),
    }
}

fn pool(number: usize) -> PoolSnapshot {
    PoolSnapshot {
        pool: Pool {
            name: format!("pool-{number}"),
            namespace: format!("team-{}", number % 7),
            model: format!("model-{}", number % 20),
            objective: Objective {
                ttft: Some(1.0),
                itl: Some(0.05),
                throughput: None,
                percentile: 0.99,
                priority: 1,
            },
            workload: Workload {
                request_rate: Some(30.0),
                input_tokens: Some(1000.0),
                output_tokens: Some(200.0),
                prefix_hit_ratio: None,
                queued_requests: Some(0.0),
                queued_bytes: None,
                ttft_mean: None,
                ttft_at_percentile: None,
                itl_mean: None,
                itl_at_percentile: None,
            },
            variants: ["a", "b", "c"].map(variant).to_vec(),
        },
        replicas: (0..3)
            .flat_map(|v| (0..10).map(move |n| replica(v, n)))
            .collect(),
        idle_seconds: Some(0.0),
        warnings: Vec::new(),
        rules: PoolRules::default(),
    }
}

/// `free` GPUs decide whether all growth fits or is granted replica by replica.
fn snapshot(pools: usize, free: u32) -> Snapshot {
    let gpus = Accelerator {
        name: "H100".to_owned(),
        total: 100_000,
        available: free,
        quota: None,
    };
    Snapshot {
        now_ms: 1_800_000_000_000,
        period_seconds: 15.0,
        pools: (0..pools).map(pool).collect(),
        inventory: Some(vec![gpus]),
        budget_per_hour: None,
    }
}

fn ticks(criterion: &mut Criterion) {
    let analyzer: Arc<dyn Analyzer> = Arc::new(Plain::new());
    let optimizer: Arc<dyn Optimizer> = Arc::new(Plain::new());
    let policies = PoolPolicies {
        analyzers: vec![Bound::new(vec![analyzer], "{}")],
        optimizer: Bound::new(vec![optimizer], "{}"),
    };
    for (name, pools, free) in [
        ("one pool", 1, 9),
        ("1,000 pools, all fits", 1000, 90_000),
        ("1,000 pools, scarce", 1000, 600),
    ] {
        let snapshot = snapshot(pools, free);
        let policies = vec![policies.clone(); pools];
        let mut memory = Memory::default();
        let _ = tick(&snapshot, &policies, &mut memory);
        criterion.bench_function(&format!("tick, {name}"), |bencher| {
            bencher.iter_batched_ref(
                || memory.clone(),
                |memory| tick(&snapshot, &policies, memory),
                BatchSize::LargeInput,
            );
        });
    }
}

criterion_group!(benches, ticks);
criterion_main!(benches);
