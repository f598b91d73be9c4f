//! What holds whatever the host measures, sense or nonsense.
#![expect(
    clippy::indexing_slicing,
    reason = "a position that is not there fails the test"
)]

use proptest::prelude::*;
use trimtab_sdk::{Analysis, Engine, Replica, Role, Variant};

use crate::fixture::{Fixture, engine, pool, silent};

/// A measurement: mostly sane, sometimes missing, sometimes nonsense.
fn measurement(most: f64) -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        6 => (0.0..most).prop_map(Some),
        2 => Just(None),
        1 => prop::sample::select(vec![0.0, -1.0, f64::NAN, f64::INFINITY, -f64::INFINITY, 1e300])
            .prop_map(Some),
    ]
}

fn role() -> impl Strategy<Value = Role> {
    prop::sample::select(vec![Role::Both, Role::Both, Role::Prefill, Role::Decode])
}

fn some_engine() -> impl Strategy<Value = Option<Engine>> {
    let engine = (
        0_u32..20_000,
        0_u32..600,
        0_u32..9,
        prop::option::of(0_u32..100_000),
    )
        .prop_map(
            |(max_batched_tokens, max_sequences, tensor_parallel, gpu_blocks)| Engine {
                max_batched_tokens,
                max_sequences,
                tensor_parallel,
                gpu_blocks,
                ..engine()
            },
        );
    prop::option::of(engine)
}

fn variant() -> impl Strategy<Value = Variant> {
    let accelerator = prop::sample::select(vec!["H100", "A100", "L4", "unresolved", ""]);
    let counts = (0_u32..5, 0_u32..5, 0_u32..9);
    (
        accelerator,
        role(),
        counts,
        0_u32..9,
        measurement(600.0),
        some_engine(),
    )
        .prop_map(
            |(accelerator, role, (current, ready, desired), gpus, startup_time, engine)| {
                let mut fixture =
                    pool("Llama-3.1-8B").variant(accelerator, role, ready.min(current));
                let mut variant = fixture.pool.variants.remove(0);
                variant.current_replicas = current;
                variant.desired_replicas = desired;
                variant.gpus_per_replica = gpus;
                variant.startup_time = startup_time;
                variant.engine = engine;
                variant
            },
        )
}

prop_compose! {
    fn replica()(
        (at, instances, age) in (0_u32..5, 0_u32..4, measurement(90.0)),
        (kv_usage, waiting, running) in (measurement(1.0), measurement(50.0), measurement(256.0)),
        kv_capacity_tokens in prop::option::of(prop_oneof![0_u64..1_000_000, Just(u64::MAX)]),
        (request_rate, ttft, itl) in (measurement(30.0), measurement(3.0), measurement(0.2)),
        (input_tokens, output_tokens) in (measurement(8000.0), measurement(2000.0)),
        prefix_hit_ratio in measurement(1.0),
    ) -> Replica {
        Replica {
            instances,
            metrics_age: age.unwrap_or(f64::NAN),
            kv_usage,
            waiting,
            kv_capacity_tokens,
            running,
            request_rate,
            input_tokens,
            output_tokens,
            prefix_hit_ratio,
            ttft,
            itl,
            ..silent(at, "replica".into())
        }
    }
}

prop_compose! {
    fn fixture()(
        variants in prop::collection::vec(variant(), 0..4),
        mut replicas in prop::collection::vec(replica(), 0..12),
        (ttft, itl, throughput) in (measurement(2.0), measurement(0.2), measurement(9000.0)),
        percentile in prop_oneof![0.5..0.999, Just(f64::NAN), Just(1.0), Just(0.0)],
        (rate, input, output) in (measurement(100.0), measurement(8000.0), measurement(2000.0)),
        (queued, bytes, hits) in (measurement(50.0), measurement(1e6), measurement(1.0)),
        latencies in [measurement(3.0), measurement(9.0), measurement(0.1), measurement(0.3)],
        period in prop_oneof![Just(15.0), Just(0.0), Just(f64::NAN), Just(-1.0), Just(3600.0)],
        model in prop::sample::select(vec!["Llama-3.1-8B", "custom", "Llama-3.1-405B", ""]),
    ) -> Fixture {
        let mut fixture = pool(model);
        fixture.pool.variants = variants;
        for (at, variant) in (0..).zip(&mut fixture.pool.variants) {
            variant.name = format!("variant-{at}");
        }
        for (at, replica) in replicas.iter_mut().enumerate() {
            replica.name = format!("replica-{at}");
        }
        fixture.replicas = replicas;
        let objective = &mut fixture.pool.objective;
        (objective.ttft, objective.itl, objective.throughput) = (ttft, itl, throughput);
        objective.percentile = percentile;
        let workload = &mut fixture.pool.workload;
        (workload.request_rate, workload.input_tokens) = (rate, input);
        (workload.output_tokens, workload.queued_requests) = (output, queued);
        (workload.queued_bytes, workload.prefix_hit_ratio) = (bytes, hits);
        [
            workload.ttft_mean,
            workload.ttft_at_percentile,
            workload.itl_mean,
            workload.itl_at_percentile,
        ] = latencies;
        fixture.period = period;
        fixture
    }
}

fn check(fixture: &Fixture, analysis: &Analysis) -> Result<(), TestCaseError> {
    let variants = fixture.pool.variants.len() as u32;
    for stage in &analysis.stages {
        let numbers = [
            stage.demand,
            stage.floor,
            stage.ceiling,
            stage.forecast.unwrap_or(0.0),
        ];
        prop_assert!(
            numbers.iter().all(|n| n.is_finite() && *n >= 0.0),
            "{stage:?}"
        );
        prop_assert!(stage.floor <= stage.ceiling, "{stage:?}");
        for capacity in &stage.capacities {
            prop_assert!(capacity.variant < variants);
            let of = &fixture.pool.variants[capacity.variant as usize];
            prop_assert_eq!(of.role, stage.role);
            prop_assert!(capacity.per_replica.is_finite() && capacity.per_replica >= 0.0);
            prop_assert!(capacity.load.is_finite() && capacity.load >= 0.0);
            let predicted = [capacity.predicted_ttft, capacity.predicted_itl];
            prop_assert!(
                predicted
                    .iter()
                    .flatten()
                    .all(|seconds| seconds.is_finite())
            );
        }
    }
    prop_assert!(
        analysis
            .learned
            .iter()
            .all(|known| known.value.is_finite() && known.value > 0.0)
    );
    prop_assert!(analysis.notes.len() <= 4 * fixture.pool.variants.len() + 6);
    prop_assert!(
        analysis.state.len() < 20_000,
        "{} bytes",
        analysis.state.len()
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn answers_are_numbers_and_floors_lie_below_ceilings(
        mut fixture in fixture(),
        rates in prop::collection::vec(measurement(200.0), 8),
    ) {
        for rate in rates {
            fixture.pool.workload.request_rate = rate;
            if let Ok(analysis) = fixture.answer() {
                check(&fixture, &analysis)?;
                prop_assert!(!analysis.notes.iter().any(|n| n.text.contains("cannot be read")));
                fixture.state = analysis.state;
            }
            fixture.now += 15_000;
        }
    }

    #[test]
    fn the_order_of_replicas_changes_nothing(fixture in fixture(), turn in 0_usize..12) {
        let mut turned = fixture.clone();
        if !turned.replicas.is_empty() {
            let turn = turn % turned.replicas.len();
            turned.replicas.rotate_left(turn);
            turned.replicas.reverse();
        }
        for _ in 0..3 {
            let (one, other) = (fixture.answer(), turned.answer());
            prop_assert_eq!(format!("{one:?}"), format!("{other:?}"));
        }
    }

    #[test]
    fn the_same_call_gives_the_same_bytes(mut fixture in fixture()) {
        if let Ok(first) = fixture.answer() {
            fixture.state = first.state;
        }
        let (one, other) = (fixture.answer(), fixture.answer());
        prop_assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }

    #[test]
    fn any_bytes_for_a_state_start_anew(bytes in prop::collection::vec(any::<u8>(), 1..60)) {
        let fixture = pool("Llama-3.1-8B").variant("H100", Role::Both, 1).arriving(5.0, 900.0, 200.0);
        let fresh = fixture.analysis().stages;
        let answer = fixture.with(|fixture| fixture.state = bytes).analysis();
        prop_assert_eq!(answer.stages, fresh);
    }
}
