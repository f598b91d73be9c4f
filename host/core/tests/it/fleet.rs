//! Builders: pools as they would be observed, and policies that answer whatever a test wants.

use std::sync::Arc;

use trimtab_contract::{
    Accelerator, Analysis, Capacity, Context, Descriptor, Knowledge, Limits, Note, Objective, Plan,
    Pool, Refusal, Replica, Request, Role, Stage, Target, Variant, Workload,
};
use trimtab_core::decision::{Condition, PoolDecision};
use trimtab_core::memory::Memory;
use trimtab_core::policies::{
    Analyzer, Bound, CallError, Digest, Fault, FaultKind, Optimizer, PoolPolicies,
};
use trimtab_core::snapshot::{PoolRules, PoolSnapshot, Snapshot};
use trimtab_core::tick::tick;

pub(crate) const NOW_MS: u64 = 1_800_000_000_000;

/// `replicas` of a variant on one H100 each: asked for, existing and serving.
pub(crate) fn variant(name: &str, replicas: u32) -> Variant {
    Variant {
        name: name.into(),
        accelerator: "H100".into(),
        gpus_per_replica: 1,
        cost: 1.0,
        role: Role::Both,
        min_replicas: 0,
        max_replicas: 10,
        current_replicas: replicas,
        ready_replicas: replicas,
        desired_replicas: replicas,
        startup_time: None,
        engine: None,
    }
}

pub(crate) fn replica(variant: u32, number: u32) -> Replica {
    Replica {
        variant,
        name: format!("{variant}-{number}"),
        instances: 1,
        metrics_age: 5.0,
        kv_usage: Some(0.5),
        waiting: Some(0.0),
        kv_capacity_tokens: None,
        running: Some(4.0),
        request_rate: None,
        input_tokens: None,
        output_tokens: None,
        prefix_hit_ratio: None,
        ttft: None,
        itl: None,
    }
}

/// A pool with complete measurements of each ready replica.
pub(crate) fn pool(name: &str, variants: Vec<Variant>) -> PoolSnapshot {
    let replicas = variants
        .iter()
        .zip(0..)
        .flat_map(|(variant, index)| (0..variant.ready_replicas).map(move |n| replica(index, n)))
        .collect();
    PoolSnapshot {
        pool: Pool {
            name: name.into(),
            namespace: "default".into(),
            model: "model".into(),
            objective: Objective {
                ttft: Some(1.0),
                itl: None,
                throughput: None,
                percentile: 0.95,
                priority: 1,
            },
            workload: workload(),
            variants,
        },
        replicas,
        idle_seconds: Some(0.0),
        warnings: Vec::new(),
        rules: PoolRules::default(),
    }
}

fn workload() -> Workload {
    Workload {
        request_rate: Some(1.0),
        queued_requests: Some(0.0),
        ..Workload::UNMEASURED
    }
}

/// A snapshot with unknown inventory and no budget.
pub(crate) fn snapshot(pools: Vec<PoolSnapshot>) -> Snapshot {
    Snapshot {
        now_ms: NOW_MS,
        period_seconds: 15.0,
        pools,
        inventory: None,
        budget_per_hour: None,
    }
}

pub(crate) fn gpus(name: &str, total: u32, available: u32) -> Accelerator {
    Accelerator {
        name: name.into(),
        total,
        available,
        quota: None,
    }
}

/// A stage in which each variant of the role supplies 1 a replica, and all of it may go.
pub(crate) fn stage(pool: &Pool, role: Role) -> Stage {
    let of_role = (0..)
        .zip(&pool.variants)
        .filter(|(_, variant)| variant.role == role);
    let capacities = of_role.map(|(index, _)| Capacity {
        variant: index,
        per_replica: 1.0,
        load: 0.0,
        predicted_ttft: None,
        predicted_itl: None,
    });
    Stage {
        role,
        unit: "requests/s".into(),
        demand: 0.0,
        forecast: None,
        floor: 0.0,
        ceiling: 0.0,
        capacities: capacities.collect(),
    }
}

/// A stage for each role of the pool.
pub(crate) fn stages(pool: &Pool) -> Vec<Stage> {
    let mut roles: Vec<Role> = pool.variants.iter().map(|variant| variant.role).collect();
    roles.sort();
    roles.dedup();
    roles.into_iter().map(|role| stage(pool, role)).collect()
}

pub(crate) fn analysis(stages: Vec<Stage>) -> Analysis {
    Analysis {
        stages,
        learned: Vec::new(),
        notes: Vec::new(),
        state: Vec::new(),
    }
}

pub(crate) fn fault() -> CallError {
    CallError::Fault(Fault {
        kind: FaultKind::Trap,
        message: "unreachable".into(),
    })
}

pub(crate) fn refused() -> CallError {
    CallError::Refused(Refusal::InsufficientData(
        "no replica has reported yet".into(),
    ))
}

/// A policy made of a function.
pub(crate) struct Fake<F> {
    descriptor: Descriptor,
    digest: Digest,
    answer: F,
}

impl<F> Fake<F> {
    pub(crate) fn new(name: &str, version: &str, answer: F) -> Self {
        Self {
            descriptor: Descriptor {
                name: name.into(),
                version: version.into(),
                summary: String::new(),
                settings_schema: "{}".into(),
                state_format: "1".into(),
            },
            digest: Digest(format!("sha256:{name}-{version}")),
            answer,
        }
    }
}

impl<F> Analyzer for Fake<F>
where
    F: Fn(&Context, &Pool, &[Replica], &[Knowledge]) -> Result<Analysis, CallError> + Send + Sync,
{
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn analyze(
        &self,
        context: &Context,
        pool: &Pool,
        replicas: &[Replica],
        knowledge: &[Knowledge],
    ) -> Result<Analysis, CallError> {
        (self.answer)(context, pool, replicas, knowledge)
    }
}

impl<F> Optimizer for Fake<F>
where
    F: Fn(&Context, &[Request], &Limits) -> Result<Plan, CallError> + Send + Sync,
{
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn optimize(
        &self,
        context: &Context,
        requests: &[Request],
        limits: &Limits,
    ) -> Result<Plan, CallError> {
        (self.answer)(context, requests, limits)
    }
}

pub(crate) fn analyzer(
    name: &str,
    version: &str,
    answer: impl Fn(&Pool) -> Result<Analysis, CallError> + Send + Sync + 'static,
) -> Arc<dyn Analyzer> {
    let answer = move |_: &Context, pool: &Pool, _: &[Replica], _: &[Knowledge]| answer(pool);
    Arc::new(Fake::new(name, version, answer))
}

pub(crate) fn optimizer(
    name: &str,
    version: &str,
    answer: impl Fn(&[Request]) -> Result<Plan, CallError> + Send + Sync + 'static,
) -> Arc<dyn Optimizer> {
    let answer = move |_: &Context, requests: &[Request], _: &Limits| answer(requests);
    Arc::new(Fake::new(name, version, answer))
}

/// Says of each role that nothing is needed and all may go.
pub(crate) fn content() -> Arc<dyn Analyzer> {
    analyzer("content", "1", |pool| Ok(analysis(stages(pool))))
}

/// Asks for `count(pool, variant)` replicas.
pub(crate) fn plans(
    count: impl Fn(&Pool, usize) -> u32 + Send + Sync + 'static,
) -> Arc<dyn Optimizer> {
    optimizer("plans", "1", move |requests| Ok(plan(requests, &count)))
}

pub(crate) fn plan(requests: &[Request], count: &dyn Fn(&Pool, usize) -> u32) -> Plan {
    let targets = (0..).zip(requests).flat_map(|(index, request)| {
        (0..request.pool.variants.len()).map(move |variant| Target {
            request: index,
            variant: variant as u32,
            replicas: count(&request.pool, variant),
            reason: "as the test wants".into(),
        })
    });
    let note = Note {
        level: trimtab_contract::Level::Info,
        variant: None,
        text: "exact".into(),
    };
    Plan {
        targets: targets.collect(),
        notes: vec![note],
        state: Vec::new(),
    }
}

pub(crate) fn bound<P: ?Sized>(rungs: Vec<Arc<P>>) -> Bound<P> {
    Bound::new(rungs, "{}")
}

pub(crate) fn policies(
    analyzer: &Arc<dyn Analyzer>,
    optimizer: &Arc<dyn Optimizer>,
) -> PoolPolicies {
    PoolPolicies {
        analyzers: vec![bound(vec![Arc::clone(analyzer)])],
        optimizer: bound(vec![Arc::clone(optimizer)]),
    }
}

/// One tick on an empty memory, in which all pools have a content analyzer and this plan.
pub(crate) fn decide(
    snapshot: &Snapshot,
    count: impl Fn(&Pool, usize) -> u32 + Send + Sync + 'static,
) -> Vec<PoolDecision> {
    let policies = vec![policies(&content(), &plans(count)); snapshot.pools.len()];
    tick(snapshot, &policies, &mut Memory::default())
}

pub(crate) fn desired(decisions: &[PoolDecision]) -> Vec<Vec<u32>> {
    decisions
        .iter()
        .map(|pool| {
            pool.variants
                .iter()
                .map(|variant| variant.desired)
                .collect()
        })
        .collect()
}

pub(crate) fn has(decision: &PoolDecision, reason: &str) -> bool {
    decision
        .conditions
        .iter()
        .any(|condition: &Condition| condition.reason == reason)
}
