//! How the analyzer goes about a pool over time: what it foresees, keeps, learns and gives back.

use trimtab_queueing_analyzer::QueueingAnalyzer;
use trimtab_sdk::{Analyzer as _, Knowledge, KnowledgeSource, Refusal, Role, Stage};

use crate::fixture::{Fixture, START_MS, engine, needed, pool, says};

const LLAMA: &str = "meta-llama/Llama-3.1-8B-Instruct";

/// Replicas on H100s that serve 10 requests/s each as the model has it, evenly spread.
fn serving(replicas: u32) -> Fixture {
    pool(LLAMA)
        .variant("H100", Role::Both, replicas)
        .reporting(|_, replica| {
            replica.request_rate = Some(10.0);
            replica.running = Some(26.0);
            replica.waiting = Some(0.0);
            replica.kv_usage = Some(0.08);
            replica.kv_capacity_tokens = Some(440_000);
            replica.input_tokens = Some(1000.0);
            replica.output_tokens = Some(200.0);
            replica.ttft = Some(0.06);
            replica.itl = Some(0.0125);
        })
        .arriving(10.0 * f64::from(replicas), 1000.0, 200.0)
}

/// One call a tick with the rate that `rate` gives at that second; the stage of each.
fn play(fixture: &mut Fixture, seconds: u32, rate: impl Fn(f64) -> f64) -> Vec<Stage> {
    let ticks = (0..seconds).step_by(15);
    let mut tick = |second: u32| {
        fixture.pool.workload.request_rate = Some(rate(f64::from(second)));
        fixture.tick().stages.remove(0)
    };
    ticks.map(&mut tick).collect()
}

#[test]
fn a_ramp_is_provided_for_before_it_comes() {
    let ramp = |second: f64| 40.0 + 0.05 * second;
    let stages = play(&mut serving(6), 1200, ramp);
    let last = stages.last().unwrap();
    // Asked for now, a replica serves after 120 s, a tick and the lag of the window.
    let then = ramp(1185.0 + 165.0);
    assert!(
        (last.forecast.unwrap() / then - 1.0).abs() < 0.03,
        "{last:?}"
    );
    assert!(last.floor > then, "{last:?}");
}

#[test]
fn without_forecast_the_floor_stands_on_what_arrives() {
    let mut fixture = serving(6).with(|f| f.settings = r#"{"forecast": false}"#.into());
    let last = play(&mut fixture, 600, |second| 40.0 + 0.05 * second)
        .pop()
        .unwrap();
    assert_eq!(last.forecast, None);
    let noise = 1.75 * (last.demand / 60.0).sqrt();
    assert!((last.floor - last.demand - noise).abs() < 1e-9, "{last:?}");
}

#[test]
fn margins_shrink_as_pools_grow() {
    let margin = |rate: f64| {
        let mut fixture = serving(6).with(|fixture| {
            for replica in &mut fixture.replicas {
                replica.request_rate = Some(rate / 6.0);
            }
        });
        let last = play(&mut fixture, 1200, |_| rate).pop().unwrap();
        last.floor / last.demand - 1.0
    };
    let (small, large) = (margin(1.0), margin(300.0));
    assert!(small > 1.5 * large && large < 0.13, "{small} and {large}");
}

#[test]
fn where_more_may_be_late_less_room_is_kept() {
    let noise = |percentile: f64| {
        let mut fixture = serving(6).with(|f| {
            f.settings = r#"{"forecast": false}"#.into();
            f.pool.objective.percentile = percentile;
        });
        let last = play(&mut fixture, 300, |_| 60.0).pop().unwrap();
        last.floor - last.demand
    };
    // Normal quantiles 2.326 and 1.645; a median leaves the least, three tenths.
    assert!((noise(0.99) - 1.75).abs() < 1e-6, "{}", noise(0.99));
    assert!((noise(0.95) / noise(0.99) - 1.645 / 2.326).abs() < 1e-3);
    assert!((noise(0.5) / noise(0.99) - 0.3).abs() < 1e-9);
}

#[test]
fn a_load_that_proves_smooth_is_given_less_room() {
    let mut fixture = serving(6);
    let stages = play(&mut fixture, 7200, |_| 60.0);
    let margin = |stage: &Stage| stage.floor / stage.demand - 1.0;
    let (first, last) = (margin(&stages[20]), margin(stages.last().unwrap()));
    assert!(last < 0.6 * first && last < 0.06, "{first} became {last}");
}

#[test]
fn what_was_needed_a_moment_ago_is_kept() {
    let mut fixture = serving(8);
    let before = play(&mut fixture, 600, |_| 80.0).pop().unwrap();
    let drop = play(&mut fixture, 400, |_| 40.0);
    // In the end all but half of the room for doubt.
    assert!(drop[0].ceiling > 0.95 * before.floor, "{:?}", drop[0]);
    assert!(drop[18].ceiling > 80.0, "{:?}", drop[18]);
    let last = drop.last().unwrap();
    assert!(last.ceiling < 0.8 * before.floor, "{last:?}");
    assert!(last.floor <= last.ceiling);
}

#[test]
fn requests_that_become_light_for_a_while_free_nothing_yet() {
    let mut fixture = serving(8);
    let before = play(&mut fixture, 900, |_| 80.0).pop().unwrap();
    fixture.pool.workload.input_tokens = Some(500.0);
    fixture.pool.workload.output_tokens = Some(100.0);
    let light = play(&mut fixture, 240, |_| 80.0);
    let replicas = |stage: &Stage| stage.ceiling / stage.capacities[0].per_replica;
    let lightest = light.last().unwrap();
    assert!(
        lightest.capacities[0].per_replica > 1.5 * before.capacities[0].per_replica,
        "{lightest:?}"
    );
    let needed = 80.0 / before.capacities[0].per_replica;
    for stage in &light {
        assert!(replicas(stage) > needed, "{needed} were needed: {stage:?}");
    }
    let later = play(&mut fixture, 300, |_| 80.0).pop().unwrap();
    assert!(replicas(&later) < 0.8 * needed, "{later:?}");
}

#[test]
fn what_others_learn_of_a_kind_of_engine_moves_no_load_that_is_remembered() {
    let learned = |fixture: &mut Fixture, second: u32, factor: f64| {
        let quantities = [
            ("iteration-base-seconds", 0.007),
            ("iteration-token-seconds", 2e-5),
            ("iteration-kv-token-seconds", 6e-8),
        ];
        fixture.knowledge = quantities
            .into_iter()
            .map(|(quantity, value)| Knowledge {
                model: LLAMA.into(),
                accelerator: "H100".into(),
                gpus_per_replica: 1,
                engine: Some(engine()),
                quantity: quantity.into(),
                value: value * factor,
                source: KnowledgeSource::Live,
                learned_at: START_MS + u64::from(second) * 1000,
            })
            .collect();
    };
    // The kind that serves is not the first, and nothing of the first is ever measured here.
    let mut fixture = pool(LLAMA).variant("H100", Role::Both, 0);
    fixture = fixture
        .variant("A100", Role::Both, 4)
        .reporting(|_, replica| {
            replica.request_rate = Some(3.0);
            replica.running = Some(18.0);
            replica.itl = Some(0.03);
            replica.ttft = Some(0.2);
        });
    fixture = fixture.arriving(12.0, 1000.0, 200.0);
    let forecasts = (0..80).map(|tick| {
        learned(
            &mut fixture,
            15 * tick,
            if tick % 2 == 0 { 1.0 } else { 1.5 },
        );
        fixture.tick().stages.remove(0).forecast.unwrap()
    });
    for forecast in forecasts.skip(40) {
        assert!((forecast / 12.0 - 1.0).abs() < 0.02, "{forecast}");
    }
}

#[test]
fn two_pools_that_learn_of_one_kind_of_engine_do_not_contradict_each_other_at_every_call() {
    let slower = |factor: f64| {
        serving(4).with(|fixture| {
            for replica in &mut fixture.replicas {
                replica.itl = replica.itl.map(|seconds| seconds * factor);
                replica.running = replica.running.map(|running| running * factor);
            }
        })
    };
    let (mut one, mut other) = (slower(1.0), slower(1.6));
    let mut knowledge: Vec<Knowledge> = Vec::new();
    let mut told = 0;
    for _ in 0..240 {
        for fixture in [&mut one, &mut other] {
            fixture.knowledge.clone_from(&knowledge);
            for learned in fixture.tick().learned {
                told += usize::from(learned.quantity == "iteration-base-seconds");
                knowledge.retain(|known| known.quantity != learned.quantity);
                knowledge.push(learned);
            }
        }
    }
    // An hour: every ten minutes.
    assert!((1..=7).contains(&told), "{told}");
}

#[test]
fn an_order_that_does_not_serve_yet_is_not_withdrawn_when_the_trend_pauses() {
    let mut fixture =
        serving(6).with(|f| f.settings = r#"{"scale-down-window-seconds": 0}"#.into());
    let ramp = |second: f64| 40.0 + 0.05 * second.min(600.0);
    let stages = play(&mut fixture, 1200, ramp);
    let (most, at) = (0..stages.len())
        .map(|at| (stages[at].floor, at))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .unwrap();
    // As long as a replica takes to serve.
    for stage in &stages[at..at + 8] {
        assert!(stage.ceiling > 0.99 * most, "{most}: {stage:?}");
    }
    let last = stages.last().unwrap();
    assert!(last.ceiling < 0.95 * most, "{most}: {last:?}");
}

#[test]
fn nothing_is_given_up_before_its_need_is_known() {
    let stage = serving(8).arriving(8.0, 1000.0, 200.0).stage();
    assert!(
        stage.ceiling >= 8.0 * stage.capacities[0].per_replica,
        "{stage:?}"
    );
}

#[test]
fn balanced_replicas_supply_more_than_each_alone() {
    let mut even = serving(8);
    let alone = play(&mut even, 15, |_| 80.0)[0].capacities[0].per_replica;
    let pooled = play(&mut even, 900, |_| 80.0).pop().unwrap().capacities[0].per_replica;
    let mut uneven = serving(8).with(|fixture| {
        for (at, replica) in fixture.replicas.iter_mut().enumerate() {
            replica.running = Some(if at % 2 == 0 { 10.0 } else { 42.0 });
            replica.kv_usage = Some(if at % 2 == 0 { 0.03 } else { 0.13 });
        }
    });
    let scattered = play(&mut uneven, 900, |_| 80.0).pop().unwrap().capacities[0].per_replica;
    assert!(pooled > 1.05 * scattered, "{alone} {pooled} {scattered}");
}

#[test]
fn slower_replicas_than_the_data_sheet_says_are_found_out() {
    let mut slow = serving(4).with(|fixture| {
        for replica in &mut fixture.replicas {
            replica.itl = Some(0.025);
            replica.ttft = Some(0.12);
            replica.running = Some(51.0);
        }
    });
    let capacity = |fixture: &mut Fixture| {
        play(fixture, 900, |_| 40.0).pop().unwrap().capacities[0].per_replica
    };
    let (slow, usual) = (capacity(&mut slow), capacity(&mut serving(4)));
    assert!(slow < 0.8 * usual, "{slow} beside {usual}");
}

#[test]
fn what_was_learned_is_given_back_once() {
    let mut fixture = serving(4);
    let mut told = Vec::new();
    for _ in 0..60 {
        told.extend(fixture.tick().learned);
        fixture.knowledge.clone_from(&told);
    }
    let of = |quantity: &str| {
        told.iter()
            .filter(|known| known.quantity == quantity)
            .count()
    };
    assert!((1..=5).contains(&of("iteration-base-seconds")), "{told:?}");
    assert_eq!(of("kv-capacity-tokens"), 1, "{told:?}");
    assert!(told.iter().all(|known| known.accelerator == "H100"));
}

#[test]
fn another_pool_starts_from_what_was_learned() {
    let mut fixture = serving(4);
    let mut told = Vec::new();
    for _ in 0..60 {
        told.extend(fixture.tick().learned);
        fixture.knowledge.clone_from(&told);
    }
    let cold = pool(LLAMA)
        .variant("H100", Role::Both, 0)
        .arriving(10.0, 1000.0, 200.0);
    let known = cold.clone().with(|fixture| fixture.knowledge = told);
    let base = |fixture: &Fixture| fixture.stage().capacities[0].per_replica;
    assert!((base(&cold) / base(&known) - 1.0).abs() > 0.01);
}

#[test]
fn a_miss_beyond_the_model_takes_capacity_for_a_while() {
    let mut fixture = serving(8);
    let capacity = |stage: &Stage| stage.capacities[0].per_replica;
    let before = capacity(&play(&mut fixture, 900, |_| 80.0).pop().unwrap());
    fixture.pool.workload.ttft_at_percentile = Some(4.0);
    let missed = capacity(&play(&mut fixture, 300, |_| 80.0).pop().unwrap());
    assert!(
        (0.3 * before..0.9 * before).contains(&missed),
        "{before} became {missed}"
    );
    fixture.pool.workload.ttft_at_percentile = Some(0.2);
    let mended = capacity(&play(&mut fixture, 1800, |_| 80.0).pop().unwrap());
    assert!(mended > 0.95 * before, "{before} came back to {mended}");
}

#[test]
fn a_coarse_histogram_takes_nothing() {
    // Between the buckets of 25 and 50 ms: the truth may be 27.
    let mut fixture = serving(8).with(|f| f.pool.workload.itl_at_percentile = Some(0.0245));
    let capacity = |stage: &Stage| stage.capacities[0].per_replica;
    let stages = play(&mut fixture, 1200, |_| 80.0);
    let settled = capacity(&stages[60]);
    let last = capacity(stages.last().unwrap());
    assert!(
        (last / settled - 1.0).abs() < 0.02,
        "{settled} became {last}"
    );
}

#[test]
fn a_promised_throughput_is_provided_while_little_arrives() {
    let stage = serving(2)
        .with(|f| f.pool.objective.throughput = Some(20_000.0))
        .stage();
    assert!(stage.floor >= 20_000.0 / 200.0, "{stage:?}");
}

#[test]
fn without_an_objective_utilisation_decides() {
    let fixture = serving(2).with(|fixture| {
        fixture.pool.objective.ttft = None;
        fixture.pool.objective.itl = None;
    });
    assert!(says(&fixture.analysis(), "by utilisation"));
    let free = fixture.stage().capacities[0].per_replica;
    assert!(free > serving(2).stage().capacities[0].per_replica);
}

#[test]
fn ranks_of_one_replica_add_up() {
    let one = serving(1).stage().capacities[0].per_replica;
    let eight = serving(1)
        .with(|fixture| {
            fixture.pool.variants[0].gpus_per_replica = 8;
            let replica = &mut fixture.replicas[0];
            replica.instances = 8;
            replica.kv_capacity_tokens = Some(8 * 440_000);
            replica.request_rate = Some(80.0);
            replica.running = Some(208.0);
        })
        .arriving(80.0, 1000.0, 200.0)
        .stage();
    let ratio = eight.capacities[0].per_replica / one;
    assert!((7.9..8.1).contains(&ratio), "{ratio}");
    assert_eq!(needed(&eight), 1.0);
}

#[test]
fn whole_and_split_replicas_share_the_requests() {
    let fixture = serving(3)
        .variant("H100", Role::Prefill, 1)
        .reporting(|_, replica| replica.request_rate = Some(10.0))
        .variant("H100", Role::Decode, 1)
        .reporting(|_, replica| replica.request_rate = Some(10.0))
        .arriving(40.0, 1000.0, 200.0);
    let demands: Vec<f64> = fixture
        .analysis()
        .stages
        .iter()
        .map(|stage| stage.demand)
        .collect();
    assert_eq!(demands, [30.0, 10.0, 10.0]);
}

#[test]
fn arrivals_that_stay_below_what_is_served_are_not_believed() {
    let mut fixture = serving(8);
    let stages = play(&mut fixture, 600, |_| 8.0);
    assert_eq!(stages[0].demand, 8.0);
    assert_eq!(stages.last().unwrap().demand, 80.0);
}

#[test]
fn settings_that_do_not_fit_are_refused_by_name() {
    let fixture = serving(1).with(|f| f.settings = r#"{"drain-seconds": 0}"#.into());
    let Err(Refusal::Settings(message)) = fixture.answer() else {
        panic!("not refused")
    };
    assert!(message.starts_with("drain-seconds"), "{message}");
}

#[test]
fn the_descriptor_carries_a_schema_of_every_setting() {
    let schema = QueueingAnalyzer::describe().settings_schema;
    for setting in [
        "headroom",
        "noise-margin",
        "drain-seconds",
        "scale-down-window-seconds",
    ] {
        assert!(schema.contains(&format!("\"{setting}\"")), "{schema}");
    }
}

#[test]
fn windows_that_are_not_full_yet_teach_nothing() {
    let capacity = |fixture: &mut Fixture, seconds: u32, share: f64| {
        for replica in &mut fixture.replicas {
            replica.request_rate = Some(10.0 * share);
        }
        let last = play(fixture, seconds, |_| 80.0 * share).pop().unwrap();
        last.capacities[0].per_replica
    };
    let right = capacity(&mut serving(8), 3600, 1.0);
    let near = |given: f64| (given / right - 1.0).abs() < 0.01;
    // Prometheus has started just now, and again after a gap of five minutes.
    let mut fixture = serving(8);
    capacity(&mut fixture, 60, 0.3);
    let learned = capacity(&mut fixture, 3600, 1.0);
    assert!(near(learned), "{learned} instead of {right}");
    fixture.now += 300_000;
    capacity(&mut fixture, 60, 0.3);
    let learned = capacity(&mut fixture, 60, 1.0);
    assert!(near(learned), "{learned} instead of {right}");
}
