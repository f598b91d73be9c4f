//! A simulation that never ran, for the tests of what is made of one.

mod tried;

use std::collections::BTreeMap;

use trimtab_contract::{Engine, Level, Note, Objective, Role, Stage};
use trimtab_core::decision::{
    Analyzed, Answerer, Call, Condition, GuardStep, Planned, PoolDecision, Rule, RungFault,
    VariantDecision,
};
use trimtab_core::policies::{Digest, Fault, FaultKind};
use trimtab_core::snapshot::{Mode, PoolRules};
use trimtab_sim::outcome::{
    Outcome, Percentiles, PoolSample, PoolSeries, RequestCounts, VariantSeries,
};
use trimtab_sim::run::START_MS;
use trimtab_sim::spec::{
    Arrival, FaultSpec, IterationTime, PoolSpec, Spec, Startup, Timing, VariantSpec,
};
use trimtab_sim::tried::Tried;

use crate::summary::{Identity, Policies, Run};
pub(crate) use tried::tried;

const TICKS: u32 = 480;
const TICK_SECONDS: f64 = 15.0;

/// Two pools, one with two variants, over two hours.
pub(crate) fn spec() -> Spec {
    Spec {
        name: "two-models".to_owned(),
        seed: 7,
        duration_seconds: f64::from(TICKS) * TICK_SECONDS,
        drain_seconds: 600.0,
        timing: Timing::default(),
        pools: vec![pool("chat", &["h100", "l40s"]), pool("code", &["a100"])],
        inventory: None,
        budget_per_hour: None,
        faults: vec![FaultSpec::MetricsVanish {
            from_seconds: 4950.0,
            until_seconds: 5040.0,
            pool: 0,
        }],
    }
}

/// Four runs: the engine's, then what it is compared with.
pub(crate) fn runs(spec: &Spec) -> Vec<Run> {
    let identity = |name: &str| Identity {
        name: name.to_owned(),
        version: "0.1.0".to_owned(),
        digest: Digest(format!("sha256:{}", "5f".repeat(32))),
    };
    let policies = Policies {
        analyzer: identity("queueing-analyzer"),
        optimizer: identity("cost-optimizer"),
        pools: Vec::new(),
    };
    let run = |name: &str, policies, surplus| Run {
        name: name.to_owned(),
        policies,
        outcome: outcome(spec, surplus),
    };
    let mut runs = vec![
        run("trimtab", Some(policies), 1.15),
        run("static", None, 2.0),
        run("hpa", None, 1.4),
        run("oracle", None, 1.0),
    ];
    let decided = runs
        .first()
        .map(|run| decisions(&run.outcome))
        .unwrap_or_default();
    runs.iter_mut()
        .take(1)
        .for_each(|run| run.outcome.decisions = decided.clone());
    runs
}

/// A decision for one variant, whose guard applied `rules`.
pub(crate) fn decision(
    at_seconds: u64,
    pool: &str,
    previous: u32,
    desired: u32,
    rules: &[Rule],
) -> PoolDecision {
    let step = |rule: &Rule| GuardStep {
        rule: *rule,
        before: desired.saturating_sub(1),
        after: desired,
        why: "2 of 5 replicas have not reported".to_owned(),
    };
    PoolDecision {
        now_ms: START_MS + at_seconds * 1000,
        namespace: "serving".to_owned(),
        pool: pool.to_owned(),
        mode: Mode::Enforce,
        arm: None,
        analyses: vec![Analyzed {
            call: call("queueing-analyzer"),
            stages: vec![stage(f64::from(desired) * 3.1)],
            notes: vec![note("sized for TTFT 1 s and ITL 50 ms at 99 %: ITL binds")],
        }],
        plan: Planned {
            call: call("cost-optimizer"),
            notes: vec![note("exact: 12 mixes seen")],
        },
        variants: vec![VariantDecision {
            variant: "h100".to_owned(),
            accelerator: "H100".to_owned(),
            role: Role::Both,
            current: previous,
            previous,
            proposed: Some(if rules.is_empty() {
                desired
            } else {
                desired.saturating_sub(1)
            }),
            desired,
            published: true,
            reason: "floor 14.2 requests/s at the least cost".to_owned(),
            steps: rules.iter().map(step).collect(),
        }],
        conditions: Vec::new(),
    }
}

fn pool(name: &str, variants: &[&str]) -> PoolSpec {
    let arrival = |second: u32| Arrival {
        at_seconds: f64::from(second),
        input_tokens: 1024,
        output_tokens: 128,
        prefix_blocks: Box::default(),
    };
    PoolSpec {
        name: name.to_owned(),
        namespace: "serving".to_owned(),
        model: "llama-3.1-8b".to_owned(),
        objective: Objective {
            ttft: Some(1.0),
            itl: Some(0.05),
            throughput: None,
            percentile: 0.99,
            priority: 1,
        },
        rules: PoolRules::default(),
        variants: variants.iter().map(|name| variant(name)).collect(),
        arrivals: (0..7200).map(arrival).collect(),
    }
}

fn variant(name: &str) -> VariantSpec {
    VariantSpec {
        name: name.to_owned(),
        accelerator: name.to_uppercase(),
        gpus_per_replica: 1,
        cost_per_hour: 4.0,
        role: Role::Both,
        min_replicas: 1,
        max_replicas: 40,
        initial_replicas: 2,
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
            per_kv_token_seconds: 5e-8,
        },
        kv_capacity_tokens: 400_000,
        startup: Startup {
            mean_seconds: 120.0,
            spread: 0.2,
        },
        kv_transfer_seconds_per_token: 0.0,
    }
}

/// A run in which counts follow a daily cycle with a burst, `surplus` times what is needed.
fn outcome(spec: &Spec, surplus: f64) -> Outcome {
    let pools: Vec<PoolSeries> = spec
        .pools
        .iter()
        .map(|pool| series(pool, surplus))
        .collect();
    Outcome {
        requests: RequestCounts {
            arrived: 387_320,
            served: 387_308,
            dropped: 0,
            unfinished: 12,
        },
        attainment: Some(0.9937),
        ttft_seconds: Percentiles {
            p50: Some(0.081),
            p95: Some(0.34),
            p99: Some(0.92),
        },
        itl_seconds: Percentiles {
            p50: Some(0.021),
            p95: Some(0.033),
            p99: Some(0.044),
        },
        cost: 212.4 * surplus,
        gpu_hours: BTreeMap::from([
            ("H100".to_owned(), 31.0 * surplus),
            ("L40S".to_owned(), 22.5 * surplus),
        ]),
        replica_changes: 118,
        ticks: u64::from(TICKS),
        policy_faults: 1,
        pools,
        out_of_reach: Vec::new(),
        decisions: Vec::new(),
        tried: Tried::default(),
    }
}

fn series(pool: &PoolSpec, surplus: f64) -> PoolSeries {
    let samples: Vec<PoolSample> = (1..=TICKS).map(|tick| sample(tick, surplus)).collect();
    let numbered = (2_u32..).zip(&pool.variants);
    let variants = numbered.map(|(divisor, variant)| VariantSeries {
        variant: variant.name.clone(),
        asked: samples
            .iter()
            .map(|sample| needed(sample, surplus) / divisor)
            .collect(),
        serving: std::iter::repeat_n(2, 8)
            .chain(
                samples
                    .iter()
                    .map(|sample| needed(sample, surplus) / divisor),
            )
            .take(samples.len())
            .collect(),
    });
    PoolSeries {
        pool: pool.name.clone(),
        variants: variants.collect(),
        samples,
        attainment: Some(0.9937),
    }
}

fn sample(tick: u32, surplus: f64) -> PoolSample {
    let share = f64::from(tick) / f64::from(TICKS);
    let burst = if (200..215).contains(&tick) {
        40.0
    } else {
        0.0
    };
    let noise = f64::from(tick * 2_654_435 % 97) / 97.0;
    let arrival_rate = 60.0 - 45.0 * (share * std::f64::consts::TAU).cos() + burst + 6.0 * noise;
    let late = if (203..222).contains(&tick) {
        4.0 / surplus
    } else {
        0.0
    };
    let measured = !(330..336).contains(&tick);
    let percentiles = |p50: f64, tail: f64| Percentiles {
        p50: measured.then_some(p50),
        p95: measured.then_some(p50 * (1.6 + noise) + tail / 2.0),
        p99: measured.then_some(p50 * (2.5 + 2.0 * noise) + tail),
    };
    let missed = if late > 0.0 { 70 } else { 2 };
    PoolSample {
        at_seconds: f64::from(tick) * TICK_SECONDS,
        arrival_rate,
        ttft_seconds: percentiles(0.08 + 0.02 * noise, late),
        itl_seconds: percentiles(0.014 + arrival_rate * 5e-5, late / 300.0),
        queued: late * 60.0 * noise,
        cost_per_hour: (arrival_rate * surplus / 4.0).ceil() * 4.0,
        met: 900,
        missed,
    }
}

fn needed(sample: &PoolSample, surplus: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small count"
    )]
    let replicas = (sample.arrival_rate * surplus / 4.0) as u32;
    replicas
}

/// Decisions that fit the series, with one fault and one condition among them.
fn decisions(outcome: &Outcome) -> Vec<PoolDecision> {
    let mut decisions = Vec::new();
    for pool in &outcome.pools {
        let asked = pool
            .variants
            .first()
            .map(|variant| variant.asked.as_slice());
        for (tick, pair) in (1_u64..).zip(asked.unwrap_or_default().windows(2)) {
            let [previous, desired] = *pair else { continue };
            let rules: &[Rule] = if tick % 40 < 5 {
                &[Rule::Evidence]
            } else {
                &[]
            };
            decisions.push(decision(tick * 15, &pool.pool, previous, desired, rules));
        }
    }
    if let Some(decision) = decisions.get_mut(30) {
        let fault = Fault {
            kind: FaultKind::OutOfFuel,
            message: "used up 2,000,000 units of fuel".to_owned(),
        };
        let faults = vec![RungFault {
            digest: Digest("sha256:00".to_owned()),
            fault: Some(fault),
        }];
        decision.plan.call.faults = faults;
        decision.plan.call.answered_by = Some(answerer("cost-optimizer", 1));
        decision.conditions = vec![Condition {
            reason: "EvidencePartial".to_owned(),
            message: "2 of 5 replicas have not reported".to_owned(),
        }];
    }
    decisions.sort_by_key(|decision| decision.now_ms);
    decisions
}

fn call(name: &str) -> Call {
    Call {
        answered_by: Some(answerer(name, 0)),
        ..Call::default()
    }
}

fn answerer(name: &str, rung: usize) -> Answerer {
    Answerer {
        name: name.to_owned(),
        version: "0.1.0".to_owned(),
        digest: Digest(format!("sha256:{}", "5f".repeat(32))),
        rung,
    }
}

fn stage(demand: f64) -> Stage {
    Stage {
        role: Role::Both,
        unit: "requests/s".to_owned(),
        demand,
        forecast: Some(demand * 1.1),
        floor: demand * 1.15,
        ceiling: demand * 1.4,
        capacities: Vec::new(),
    }
}

fn note(text: &str) -> Note {
    Note {
        level: Level::Info,
        variant: None,
        text: text.to_owned(),
    }
}
