//! Pools for tests and benchmarks, said in few words.
#![allow(
    dead_code,
    reason = "each of the tests and benchmarks that share it needs a part"
)]

use trimtab_sdk::{
    Accelerator, Capacity, Limits, Objective, Pool, Request, Role, Stage, Variant, Workload,
};

/// Nothing is scarce.
pub(crate) const PLENTY: Limits = Limits {
    accelerators: None,
    budget: None,
};

/// A variant of one GPU a replica, on an accelerator of its own name, at zero of up to a hundred.
pub(crate) fn variant(name: &str, cost: f64) -> Variant {
    Variant {
        name: name.into(),
        accelerator: name.into(),
        gpus_per_replica: 1,
        cost,
        role: Role::Both,
        min_replicas: 0,
        max_replicas: 100,
        current_replicas: 0,
        ready_replicas: 0,
        desired_replicas: 0,
        startup_time: None,
        engine: None,
    }
}

/// The variant with `n` replicas, all of which serve.
pub(crate) fn running(n: u32, variant: Variant) -> Variant {
    Variant {
        current_replicas: n,
        ready_replicas: n,
        desired_replicas: n,
        ..variant
    }
}

/// The variant with `n` replicas, of which only `ready` serve.
pub(crate) fn starting(n: u32, ready: u32, variant: Variant) -> Variant {
    Variant {
        ready_replicas: ready,
        ..running(n, variant)
    }
}

/// A stage to whose supply the pool's variants contribute in their order.
pub(crate) fn stage(role: Role, floor: f64, ceiling: f64, per_replica: &[f64]) -> Stage {
    Stage {
        role,
        unit: "requests/s".into(),
        demand: floor,
        forecast: None,
        floor,
        ceiling,
        capacities: (0..)
            .zip(per_replica)
            .map(|(variant, per_replica)| Capacity {
                variant,
                per_replica: *per_replica,
                load: 0.0,
                predicted_ttft: None,
                predicted_itl: None,
            })
            .collect(),
    }
}

pub(crate) fn request(name: &str, variants: Vec<Variant>, stages: Vec<Stage>) -> Request {
    Request {
        pool: Pool {
            name: name.into(),
            namespace: "default".into(),
            model: "llama".into(),
            objective: Objective {
                ttft: Some(1.0),
                itl: Some(0.05),
                throughput: None,
                percentile: 0.95,
                priority: 1,
            },
            workload: Workload::UNMEASURED,
            variants,
        },
        stages,
    }
}

pub(crate) fn with_priority(priority: u32, mut request: Request) -> Request {
    request.pool.objective.priority = priority;
    request
}

/// An inventory of accelerators with so many free GPUs.
pub(crate) fn gpus(free: &[(&str, u32)]) -> Limits {
    let accelerators = free
        .iter()
        .map(|(name, available)| Accelerator {
            name: (*name).into(),
            total: 1_000,
            available: *available,
            quota: None,
        })
        .collect();
    Limits {
        accelerators: Some(accelerators),
        budget: None,
    }
}
