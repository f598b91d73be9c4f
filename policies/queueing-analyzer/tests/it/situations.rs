//! Situations in which autoscalers were seen to go wrong, with the right answer.

use trimtab_sdk::{Knowledge, KnowledgeSource, Refusal, Role};

use crate::fixture::{START_MS, needed, pool, says, warnings};

const LLAMA: &str = "meta-llama/Llama-3.1-8B-Instruct";

#[test]
fn capacity_missing_from_metrics_is_not_tiny() {
    // The info series with the capacity is absent; 100,000 tokens are in use.
    let fixture = pool(LLAMA)
        .variant("H100", Role::Both, 2)
        .reporting(|_, replica| {
            replica.kv_usage = Some(50_000.0 / 411_968.0);
            replica.waiting = Some(0.0);
            replica.running = Some(20.0);
            replica.request_rate = Some(5.0);
        });
    let stage = fixture.stage();
    assert_eq!(stage.unit, "kv-tokens");
    assert!(needed(&stage) <= 2.0, "{stage:?}");
    assert!(says(&fixture.analysis(), "tokens in the KV cache decide"));
}

#[test]
fn capacity_from_blocks_is_what_blocks_hold() {
    let stage = pool(LLAMA)
        .variant("H100", Role::Both, 2)
        .reporting(|_, replica| {
            replica.kv_usage = Some(50_000.0 / 411_968.0);
            replica.kv_capacity_tokens = Some(411_968);
            replica.waiting = Some(0.0);
        })
        .with(|fixture| fixture.pool.variants[0].engine = None)
        .stage();
    assert_eq!(stage.capacities[0].per_replica * 2.0, 659_148.0);
    assert_eq!(stage.demand, 100_000.0);
    assert!((stage.demand / 659_148.0 - 0.152).abs() < 1e-3);
    assert_eq!(needed(&stage), 1.0);
}

#[test]
fn arrivals_of_zero_are_no_idleness_while_replicas_work() {
    let fixture = pool(LLAMA)
        .variant("H100", Role::Both, 3)
        .reporting(|_, replica| {
            replica.kv_usage = Some(0.60);
            replica.kv_capacity_tokens = Some(440_000);
            replica.running = Some(12.0);
            replica.waiting = Some(0.0);
        })
        .with(|fixture| fixture.pool.variants[0].engine = None)
        .arriving(0.0, 1000.0, 200.0);
    let stage = fixture.stage();
    assert_eq!(needed(&stage), 3.0, "{stage:?}");
}

#[test]
fn demand_that_reads_zero_frees_nothing_while_requests_run() {
    let fixture = pool(LLAMA)
        .variant("H100", Role::Both, 3)
        .reporting(|_, replica| {
            replica.running = Some(4.0);
            replica.request_rate = Some(0.0);
            replica.itl = Some(0.01);
            replica.ttft = Some(0.1);
        })
        .arriving(0.0, 1000.0, 200.0);
    let stage = fixture.stage();
    assert!(stage.floor > 0.0);
    assert!(
        stage.ceiling >= 3.0 * stage.capacities[0].per_replica,
        "{stage:?}"
    );
    assert_eq!(warnings(&fixture.analysis()).len(), 1);
}

#[test]
fn a_period_of_zero_makes_nothing_stale() {
    let fixture = pool(LLAMA)
        .variant("H100", Role::Both, 2)
        .reporting(|_, replica| replica.request_rate = Some(5.0))
        .with(|fixture| fixture.period = 0.0);
    assert_eq!(fixture.stage().demand, 10.0);
}

#[test]
fn no_load_needs_nothing_however_often_asked() {
    let mut fixture = pool(LLAMA)
        .variant("H100", Role::Both, 1)
        .reporting(|_, replica| {
            replica.waiting = Some(0.0);
            replica.running = Some(0.0);
        })
        .with(|fixture| fixture.pool.workload.request_rate = Some(0.0));
    for _ in 0..10 {
        let stage = fixture.tick().stages.remove(0);
        assert!(needed(&stage) <= 1.0, "{stage:?}");
    }
}

#[test]
fn the_same_metrics_ask_the_same_again() {
    let mut fixture = pool(LLAMA)
        .variant("H100", Role::Both, 2)
        .reporting(|_, replica| {
            replica.request_rate = Some(13.0);
            replica.waiting = Some(30.0);
        })
        .arriving(40.0, 1000.0, 200.0);
    let first = needed(&fixture.tick().stages[0]);
    fixture.pool.variants[0].current_replicas = 4;
    fixture.pool.variants[0].desired_replicas = 4;
    for _ in 0..3 {
        let again = needed(&fixture.tick().stages[0]);
        assert!((again - first).abs() <= 1.0, "{first} became {again}");
    }
}

#[test]
fn nothing_goes_while_a_queue_drains() {
    let stage = pool(LLAMA)
        .variant("H100", Role::Both, 3)
        .reporting(|_, replica| {
            replica.kv_usage = Some(0.162);
            replica.waiting = Some(3.0);
        })
        .stage();
    assert!(
        stage.ceiling >= 3.0 * stage.capacities[0].per_replica,
        "{stage:?}"
    );
}

#[test]
fn an_objective_below_the_latency_of_a_lone_request_is_said_to_be_infeasible() {
    let fixture = pool(LLAMA)
        .variant("H100", Role::Both, 1)
        .arriving(0.01, 8000.0, 200.0)
        .with(|fixture| fixture.pool.objective.ttft = Some(0.2));
    let stage = fixture.stage();
    assert_eq!(needed(&stage), 1.0, "{stage:?}");
    assert!(says(&fixture.analysis(), "infeasible on this variant"));
}

#[test]
fn a_variant_that_cannot_meet_the_objective_supplies_nothing_beside_one_that_can() {
    let stage = pool(LLAMA)
        .variant("H100", Role::Both, 1)
        .variant("L4", Role::Both, 1)
        .arriving(5.0, 1000.0, 200.0)
        .stage();
    let rates: Vec<f64> = stage
        .capacities
        .iter()
        .map(|capacity| capacity.per_replica)
        .collect();
    assert!(rates[0] > 1.0 && rates[1] == 0.0, "{rates:?}");
}

#[test]
fn an_objective_that_is_met_at_next_to_no_load_does_not_ask_for_a_replica_a_request() {
    // Long prompts: a lone one computes for a second or so.
    let asked = |ttft: f64| {
        let fixture = pool(LLAMA)
            .variant("H100", Role::Both, 4)
            .with(|fixture| fixture.pool.objective.ttft = Some(ttft))
            .arriving(2.0, 30_000.0, 300.0);
        needed(&fixture.stage())
    };
    let comfortable = asked(20.0);
    let mut bound = 20.0;
    while bound > 0.1 {
        let replicas = asked(bound);
        assert!(
            replicas <= 12.0 * comfortable,
            "{replicas} for {bound} s beside {comfortable}"
        );
        bound *= 0.97;
    }
}

#[test]
fn requests_that_run_on_two_whole_variants_add_up() {
    let demand = |variants: usize| {
        let mut fixture = pool(LLAMA);
        for _ in 0..variants {
            fixture = fixture
                .variant("H100", Role::Both, 2)
                .reporting(|_, replica| {
                    replica.running = Some(40.0);
                    replica.itl = Some(0.02);
                });
        }
        fixture.pool.workload.input_tokens = Some(1000.0);
        fixture.pool.workload.output_tokens = Some(200.0);
        fixture.stage().demand
    };
    let (one, two) = (demand(1), demand(2));
    assert!(one > 1.0 && (two / one - 2.0).abs() < 1e-9, "{one} {two}");
}

#[test]
fn prompts_that_run_tell_nothing_of_the_rate_beside_answers_that_do() {
    // 20 requests/s whose answers take 2 s.
    let fixture = pool(LLAMA)
        .variant("H100", Role::Prefill, 1)
        .reporting(|_, replica| replica.running = Some(12.0))
        .variant("H100", Role::Decode, 1)
        .reporting(|_, replica| {
            replica.running = Some(40.0);
            replica.itl = Some(0.01);
        })
        .with(|fixture| fixture.pool.workload.output_tokens = Some(200.0));
    let stages = fixture.analysis().stages;
    assert_eq!(stages.len(), 2);
    for stage in stages {
        assert!((15.0..22.0).contains(&stage.demand), "{stage:?}");
    }
}

#[test]
fn many_running_requests_of_long_answers_need_few_replicas() {
    // 5 requests/s that each run for 25 s: 125 run, a replica takes 256.
    let stage = pool(LLAMA)
        .variant("H100", Role::Both, 1)
        .arriving(5.0, 200.0, 1000.0)
        .stage();
    assert!((1.0..=2.0).contains(&needed(&stage)), "{stage:?}");
}

#[test]
fn a_hot_replica_is_called_imbalance() {
    let fixture = pool(LLAMA)
        .variant("H100", Role::Both, 2)
        .reporting(|at, replica| {
            replica.kv_usage = Some(if at == 0 { 0.85 } else { 0.11 });
            replica.waiting = Some(if at == 0 { 700.0 } else { 0.0 });
            replica.request_rate = Some(5.0);
            replica.ttft = Some(2.0);
            replica.itl = Some(0.03);
        })
        .arriving(10.0, 1000.0, 200.0);
    let stage = fixture.stage();
    assert!(stage.demand > 15.0, "the queue is pressure: {stage:?}");
    assert!(says(&fixture.analysis(), "imbalance, not capacity"));
}

#[test]
fn a_full_decode_stage_grows_and_prefill_does_not() {
    let fixture = pool(LLAMA)
        .variant("H100", Role::Prefill, 2)
        .reporting(|_, replica| {
            replica.request_rate = Some(5.0);
            replica.waiting = Some(60.0);
            replica.ttft = Some(3.0);
        })
        .variant("H100", Role::Decode, 2)
        .reporting(|_, replica| {
            replica.request_rate = Some(5.0);
            replica.kv_usage = Some(0.98);
            replica.itl = Some(0.06);
        })
        .arriving(10.0, 1000.0, 200.0);
    let stages = fixture.analysis().stages;
    assert_eq!(stages.len(), 2);
    let idle = fixture.clone().with(|fixture| {
        for replica in &mut fixture.replicas {
            replica.waiting = Some(0.0);
        }
    });
    let calm = idle.analysis().stages;
    assert_eq!(stages[0].demand, calm[0].demand, "prefill waits for decode");
    assert!(stages[1].demand > calm[1].demand, "decode takes the queue");
}

#[test]
fn a_role_without_evidence_has_no_stage() {
    let fixture = pool(LLAMA)
        .variant("H100", Role::Prefill, 4)
        .variant("H100", Role::Decode, 2)
        .reporting(|_, replica| {
            replica.kv_usage = Some(0.5);
            replica.request_rate = Some(5.0);
        });
    let stages = fixture.analysis().stages;
    assert_eq!(
        stages.iter().map(|stage| stage.role).collect::<Vec<_>>(),
        [Role::Decode]
    );
}

#[test]
fn prefix_hits_relieve_prefill_but_not_decode() {
    let at = |hits: f64| {
        pool(LLAMA)
            .variant("H100", Role::Prefill, 1)
            .variant("H100", Role::Decode, 1)
            .arriving(10.0, 4000.0, 200.0)
            .with(|fixture| fixture.pool.workload.prefix_hit_ratio = Some(hits))
            .analysis()
            .stages
            .iter()
            .map(|stage| stage.capacities[0].per_replica)
            .collect::<Vec<_>>()
    };
    let (cold, warm) = (at(0.0), at(0.75));
    assert!(warm[0] > 3.0 * cold[0], "prefill: {cold:?} became {warm:?}");
    assert!(
        (warm[1] / cold[1] - 1.0).abs() < 1e-9,
        "decode: {cold:?} became {warm:?}"
    );
}

#[test]
fn a_steady_load_is_sized_by_the_knee() {
    // Constants with which a replica meets the objective up to 2 to 3 requests/s.
    let known = |quantity: &str, value: f64| Knowledge {
        model: "Qwen/Qwen3-32B".into(),
        accelerator: "H100".into(),
        gpus_per_replica: 1,
        engine: None,
        quantity: quantity.into(),
        value,
        source: KnowledgeSource::Live,
        learned_at: START_MS,
    };
    let fixture = pool("Qwen/Qwen3-32B")
        .variant("H100", Role::Both, 4)
        .arriving(20.0, 1000.0, 1000.0)
        .with(|fixture| {
            fixture.knowledge = vec![
                known("iteration-base-seconds", 0.024),
                known("iteration-token-seconds", 3.0e-5),
                known("iteration-kv-token-seconds", 1.5e-8),
                known("kv-capacity-tokens", 200_000.0),
            ];
        });
    let stage = fixture.stage();
    assert!((7.0..=12.0).contains(&needed(&stage)), "{stage:?}");
}

#[test]
fn a_cold_pool_with_a_queue_gets_a_first_count() {
    let fixture = pool(LLAMA).variant("H100", Role::Both, 0).with(|fixture| {
        fixture.pool.workload.queued_requests = Some(20.0);
    });
    let stage = fixture.stage();
    assert_eq!(needed(&stage), 1.0, "{stage:?}");
    assert!(stage.demand > 0.3);
}

#[test]
fn nothing_measured_at_all_is_refused() {
    let answer = pool(LLAMA).variant("H100", Role::Both, 0).answer();
    assert!(
        matches!(answer, Err(Refusal::InsufficientData(_))),
        "{answer:?}"
    );
}

#[test]
fn replicas_that_do_not_report_are_taken_to_be_like_the_others() {
    let stage = pool(LLAMA)
        .variant("H100", Role::Both, 4)
        .reporting(|at, replica| replica.request_rate = (at < 2).then_some(3.0))
        .stage();
    assert_eq!(stage.demand, 12.0);
}

#[test]
fn gauges_below_zero_are_not_subtracted() {
    let stage = pool(LLAMA)
        .variant("H100", Role::Both, 3)
        .reporting(|at, replica| replica.request_rate = Some([5.0, -3.0, 4.0][at]))
        .stage();
    assert!(stage.demand >= 9.0, "{stage:?}");
}
