//! A fleet as production would report it: any number of pools, variants and replicas under load.

use trimtab_contract::{Accelerator, Engine, Objective, Pool, Replica, Role, Variant, Workload};
use trimtab_core::snapshot::{PoolRules, PoolSnapshot, Snapshot};

const ACCELERATORS: [(&str, f64); 3] = [("H100", 4.5), ("A100", 3.5), ("L40S", 1.86)];
/// Load of one replica, well within what any of the accelerators serves.
const RATE_PER_REPLICA: f64 = 2.0;

/// `pools` pools of `variants` variants with `replicas` replicas each, at an instant after `tick`
/// ticks; the load moves a little from tick to tick.
#[must_use]
pub fn snapshot(pools: u32, variants: u32, replicas: u32, tick: u32) -> Snapshot {
    Snapshot {
        now_ms: 1_700_000_000_000 + u64::from(tick) * 15_000,
        period_seconds: 15.0,
        pools: (0..pools)
            .map(|number| pool(number, variants, replicas, tick))
            .collect(),
        inventory: Some(
            ACCELERATORS
                .iter()
                .map(|(name, _)| Accelerator {
                    name: (*name).into(),
                    total: pools * variants * replicas * 2,
                    available: pools * variants * replicas,
                    quota: None,
                })
                .collect(),
        ),
        budget_per_hour: None,
    }
}

fn pool(number: u32, variants: u32, replicas: u32, tick: u32) -> PoolSnapshot {
    let swing = 1.0 + 0.05 * f64::from((number + tick) % 5);
    let rate = f64::from(variants * replicas) * RATE_PER_REPLICA * swing;
    PoolSnapshot {
        pool: Pool {
            name: format!("pool-{number}"),
            namespace: format!("team-{}", number % 50),
            model: "meta-llama/Llama-3.1-8B-Instruct".into(),
            objective: objective(),
            workload: workload(rate),
            variants: (0..variants)
                .map(|position| variant(position, replicas))
                .collect(),
        },
        replicas: (0..variants)
            .flat_map(|position| (0..replicas).map(move |index| (position, index)))
            .map(|(position, index)| {
                replica(position, index, rate / f64::from(variants * replicas))
            })
            .collect(),
        idle_seconds: Some(0.0),
        warnings: Vec::new(),
        rules: PoolRules::default(),
    }
}

fn objective() -> Objective {
    Objective {
        ttft: Some(1.0),
        itl: Some(0.05),
        throughput: None,
        percentile: 0.99,
        priority: 1,
    }
}

fn workload(rate: f64) -> Workload {
    Workload {
        request_rate: Some(rate),
        input_tokens: Some(1155.0),
        output_tokens: Some(211.0),
        prefix_hit_ratio: None,
        queued_requests: Some(0.0),
        queued_bytes: Some(0.0),
        ttft_mean: Some(0.08),
        ttft_at_percentile: Some(0.25),
        itl_mean: Some(0.02),
        itl_at_percentile: Some(0.03),
    }
}

fn variant(position: u32, replicas: u32) -> Variant {
    let (accelerator, cost) = ACCELERATORS[position as usize % ACCELERATORS.len()];
    Variant {
        name: format!("variant-{position}"),
        accelerator: accelerator.into(),
        gpus_per_replica: 1,
        cost,
        role: Role::Both,
        min_replicas: 0,
        max_replicas: 1000,
        current_replicas: replicas,
        ready_replicas: replicas,
        desired_replicas: replicas,
        startup_time: Some(120.0),
        engine: Some(engine()),
    }
}

fn engine() -> Engine {
    Engine {
        max_batched_tokens: 8192,
        max_sequences: 256,
        max_model_length: Some(32_768),
        tensor_parallel: 1,
        block_size: 16,
        gpu_blocks: None,
        gpu_memory_utilization: 0.9,
        kv_cache_dtype: "auto".into(),
        chunked_prefill: true,
    }
}

fn replica(variant: u32, index: u32, rate: f64) -> Replica {
    let wobble = 1.0 + 0.01 * f64::from(index % 7);
    Replica {
        variant,
        name: format!("variant-{variant}-{index}"),
        instances: 1,
        metrics_age: 7.0,
        kv_usage: Some(0.05 * wobble),
        waiting: Some(0.0),
        kv_capacity_tokens: Some(440_000),
        running: Some(8.0 * wobble),
        request_rate: Some(rate * wobble),
        input_tokens: Some(1155.0),
        output_tokens: Some(211.0),
        prefix_hit_ratio: None,
        ttft: Some(0.08 * wobble),
        itl: Some(0.02 * wobble),
    }
}
