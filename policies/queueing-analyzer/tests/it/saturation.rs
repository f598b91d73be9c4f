//! Token saturation, where latency is not measured: the numbers of WVA's second saturation
//! analyzer, of whose tests these are the cases.
#![expect(
    clippy::indexing_slicing,
    reason = "a position that is not there fails the test"
)]

use trimtab_sdk::{Role, Stage};

use crate::fixture::{Fixture, engine, pool};

/// Tokens in use, tokens that the KV cache holds, requests that wait, mean lengths in and out.
struct Row(f64, u64, f64, f64, f64);

fn rows(rows: &'static [Row]) -> Fixture {
    pool("test-model")
        .variant("H100", Role::Both, rows.len() as u32)
        .reporting(|at, replica| {
            let Row(in_use, total, waiting, input, output) = rows[at];
            replica.kv_usage = Some(in_use / total as f64);
            replica.kv_capacity_tokens = Some(total);
            replica.waiting = Some(waiting);
            replica.input_tokens = Some(input);
            replica.output_tokens = Some(output);
        })
        .with(|fixture| fixture.pool.variants[0].engine = None)
}

fn per_replica(stage: &Stage) -> f64 {
    stage.capacities[0].per_replica
}

#[test]
fn memory_bounds_a_replica_without_a_queue() {
    assert_eq!(
        per_replica(&rows(&[Row(5000.0, 16000, 0.0, 100.0, 50.0)]).stage()),
        12800.0
    );
    assert_eq!(
        per_replica(&rows(&[Row(5000.0, 16000, 0.0, 0.0, 0.0)]).stage()),
        12800.0
    );
}

#[test]
fn a_queue_shows_what_a_replica_can_work_on() {
    assert_eq!(
        per_replica(&rows(&[Row(8000.0, 16000, 6.0, 100.0, 50.0)]).stage()),
        8000.0
    );
    assert_eq!(
        per_replica(&rows(&[Row(4000.0, 16000, 10.0, 100.0, 50.0)]).stage()),
        4000.0
    );
}

#[test]
fn what_a_queue_showed_is_remembered_for_like_answers() {
    let mut full = rows(&[Row(8000.0, 16000, 6.0, 100.0, 50.0)]);
    full.tick();
    let mut later = rows(&[Row(6000.0, 16000, 2.0, 100.0, 50.0)]);
    later.state.clone_from(&full.state);
    assert_eq!(per_replica(&later.stage()), 8000.0);
    let mut long = rows(&[Row(6000.0, 16000, 2.0, 100.0, 600.0)]);
    long.state.clone_from(&full.state);
    assert_eq!(per_replica(&long.stage()), 12800.0);
}

#[test]
fn engine_settings_bound_a_replica_with_much_memory() {
    let with = |batched, sequences, rows: Fixture| {
        let mut engine = engine();
        engine.max_batched_tokens = batched;
        engine.max_sequences = sequences;
        per_replica(
            &rows
                .with(|fixture| fixture.pool.variants[0].engine = Some(engine))
                .stage(),
        )
    };
    let small = || rows(&[Row(5000.0, 16000, 2.0, 500.0, 100.0)]);
    assert_eq!(with(2048, 256, small()), 12800.0);
    let large = || rows(&[Row(5000.0, 1_600_000, 2.0, 500.0, 100.0)]);
    assert_eq!(with(4096, 256, large()), 140_800.0);
    let short = || rows(&[Row(5000.0, 1_600_000, 2.0, 100.0, 200.0)]);
    assert_eq!(with(8192, 64, short()), 12800.0);
}

#[test]
fn the_pickers_queue_is_demand_in_tokens() {
    let with = |size: f64, bytes: f64, hits: f64| {
        rows(&[Row(5000.0, 16000, 0.0, 100.0, 50.0)])
            .with(|fixture| {
                fixture.pool.workload.queued_requests = Some(size);
                fixture.pool.workload.queued_bytes = Some(bytes);
                fixture.replicas[0].prefix_hit_ratio = Some(hits);
            })
            .stage()
            .demand
    };
    assert_eq!(
        rows(&[Row(5000.0, 16000, 0.0, 100.0, 50.0)]).stage().demand,
        5000.0
    );
    assert_eq!(with(10.0, 4000.0, 0.5), 6000.0);
    assert_eq!(with(10.0, 20000.0, 0.0), 10500.0);
}

#[test]
fn a_steady_replica_needs_no_other_and_cannot_go() {
    let stage = rows(&[Row(10000.0, 16000, 0.0, 100.0, 50.0)]).stage();
    assert!(stage.floor <= per_replica(&stage), "{stage:?}");
    assert!(stage.ceiling >= per_replica(&stage), "{stage:?}");
}

#[test]
fn a_stage_takes_the_middle_replica_for_typical() {
    let stage = rows(&[
        Row(1000.0, 10000, 0.0, 100.0, 50.0),
        Row(1000.0, 30000, 0.0, 100.0, 50.0),
        Row(1000.0, 16000, 0.0, 100.0, 50.0),
    ]);
    assert_eq!(per_replica(&stage.stage()), 12800.0);
}

#[test]
fn a_variant_without_replicas_is_sized_by_what_is_known() {
    let stage = rows(&[Row(5000.0, 16000, 0.0, 100.0, 50.0)])
        .variant("A100", Role::Both, 0)
        .with(|fixture| {
            let mut engine = engine();
            engine.gpu_blocks = Some(1000);
            engine.max_sequences = 4096;
            fixture.pool.variants[1].engine = Some(engine);
        })
        .stage();
    assert_eq!(stage.capacities[1].per_replica, 12800.0);
    assert_eq!(stage.capacities[1].load, 0.0);
}

#[test]
fn nothing_goes_before_it_is_remembered_what_was_needed() {
    let mut fixture = rows(&[
        Row(1000.0, 16000, 0.0, 100.0, 50.0),
        Row(1000.0, 16000, 0.0, 100.0, 50.0),
    ])
    .with(|fixture| fixture.settings = r#"{"scale-down-window-seconds": 90}"#.into());
    let begin = fixture.now;
    let mut keeps_all = |second: u64| {
        fixture.now = begin + second * 1000;
        let stage = fixture.tick().stages.remove(0);
        assert!(stage.floor <= stage.ceiling, "{stage:?}");
        stage.ceiling >= 2.0 * per_replica(&stage)
    };
    assert_eq!(
        [0, 30, 60, 90].map(&mut keeps_all),
        [true, true, true, false]
    );
    // Rates reach back for 60 s: of what was before, nothing is known.
    assert_eq!(
        [151, 211, 240, 241].map(&mut keeps_all),
        [true, true, true, false]
    );
}
