//! What the calls are given, and the guests that are called.

use std::sync::LazyLock;

use trimtab_contract::{
    Analysis, Context, Limits as Supply, Objective, Plan, Pool, Replica, Request, Role, Variant,
    Workload,
};
use trimtab_core::policies::{CallError, Fault};
use trimtab_sandbox::{Called, Limits, Policy, Sandbox, SandboxConfig};

/// The guest that does what its settings name.
pub(super) const HOSTILE: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/trimtab-hostile-guest.wasm"));

/// Shared: compiling the guest takes most of a test's time, and sharing is part of what is tested.
pub(super) static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| {
    Sandbox::new(SandboxConfig::default()).expect("this machine runs WebAssembly")
});

pub(super) static GUEST: LazyLock<Policy> = LazyLock::new(|| {
    SANDBOX
        .load(HOSTILE)
        .expect("the hostile guest is a valid policy")
});

/// The guest under limits of its own.
pub(super) fn with_limits(limits: Limits) -> Policy {
    GUEST.with_limits(limits)
}

pub(super) fn analyze(policy: &Policy, settings: &str) -> Called<Analysis> {
    analyze_pool(policy, settings, &pool(2), &replicas(6))
}

pub(super) fn analyze_pool(
    policy: &Policy,
    settings: &str,
    pool: &Pool,
    replicas: &[Replica],
) -> Called<Analysis> {
    let analyzer = policy
        .sandboxed_analyzer()
        .expect("the guest is an analyzer");
    analyzer.call(&context(settings), pool, replicas, &[])
}

pub(super) fn optimize(policy: &Policy, settings: &str) -> Called<Plan> {
    let optimizer = policy
        .sandboxed_optimizer()
        .expect("the guest is an optimizer");
    let request = Request {
        pool: pool(2),
        stages: Vec::new(),
    };
    let supply = Supply {
        accelerators: None,
        budget: None,
    };
    optimizer.call(&context(settings), &[request], &supply)
}

/// The fault of a call that was to fail.
#[track_caller]
pub(super) fn fault<T: std::fmt::Debug>(called: Called<T>) -> Fault {
    match called.answer {
        Err(CallError::Fault(fault)) => fault,
        other => panic!("a fault was expected, not {other:?}"),
    }
}

/// Settings of the hostile guest.
pub(super) fn behaviour(name: &str, amount: usize) -> String {
    format!(r#"{{"behaviour":"{name}","amount":{amount}}}"#)
}

pub(super) fn context(settings: &str) -> Context {
    Context {
        now: 1_700_000_000_000,
        period: 15.0,
        settings: settings.into(),
        state: vec![7; 3],
    }
}

pub(super) fn pool(variants: u32) -> Pool {
    Pool {
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
            request_rate: Some(12.5),
            input_tokens: Some(1_024.0),
            output_tokens: Some(128.0),
            prefix_hit_ratio: None,
            queued_requests: Some(0.0),
            queued_bytes: None,
            ttft_mean: Some(0.2),
            ttft_at_percentile: None,
            itl_mean: Some(0.02),
            itl_at_percentile: None,
        },
        variants: (0..variants).map(variant).collect(),
    }
}

fn variant(position: u32) -> Variant {
    Variant {
        name: format!("variant-{position}"),
        accelerator: "H100".into(),
        gpus_per_replica: 1,
        cost: 4.5,
        role: Role::Both,
        min_replicas: 0,
        max_replicas: 100,
        current_replicas: 3,
        ready_replicas: 3,
        desired_replicas: 3,
        startup_time: Some(120.0),
        engine: None,
    }
}

pub(super) fn replicas(count: u32) -> Vec<Replica> {
    (0..count)
        .map(|number| Replica {
            variant: number % 2,
            name: format!("replica-{number}"),
            instances: 1,
            metrics_age: 4.0,
            kv_usage: Some(0.4),
            waiting: Some(0.0),
            kv_capacity_tokens: Some(400_000),
            running: Some(12.0),
            request_rate: Some(2.0),
            input_tokens: Some(1_024.0),
            output_tokens: Some(128.0),
            prefix_hit_ratio: None,
            ttft: Some(0.2),
            itl: Some(0.02),
        })
        .collect()
}
