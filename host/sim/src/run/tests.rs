//! Whole runs: nothing is lost, and the same seed gives the same run.

use proptest::prelude::*;
use trimtab_contract::Role;

use super::*;
use crate::spec::{Arrival, VariantSpec};
use crate::testing::{ByTime, Fixed, arrival, poisson, pool, run_fixed, simple, spec, variant};

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-9
}

fn run_by_time(spec: &Spec, counts: impl FnMut(f64) -> Vec<Vec<u32>>) -> Outcome {
    run(spec, &mut ByTime(counts), &mut |_| {})
}

fn disaggregated(prefill: u32, decode: u32, arrivals: Vec<Arrival>) -> Spec {
    let of = |name: &str, role, replicas| VariantSpec {
        name: name.to_owned(),
        role,
        ..variant(replicas)
    };
    let variants = vec![
        of("prefill", Role::Prefill, prefill),
        of("decode", Role::Decode, decode),
    ];
    spec(300.0, vec![pool(variants, arrivals)])
}

#[test]
fn all_that_arrives_is_served_where_there_is_room() {
    let spec = simple(600.0, 2, poisson(1, 10.0, 600.0, 1000, 200));
    let outcome = run_fixed(&spec, &[&[2]]);
    assert_eq!(outcome.requests.served, outcome.requests.arrived);
    assert_eq!(outcome.attainment, Some(1.0));
    assert!(near(outcome.cost, 2.0 * 4.0 / 6.0), "{}", outcome.cost);
    assert!(near(outcome.gpu_hours["H100"], 2.0 / 6.0));
    assert_eq!((outcome.ticks, outcome.replica_changes), (40, 0));
}

#[test]
fn cost_stops_at_the_duration_though_requests_drain() {
    let spec = simple(60.0, 1, vec![arrival(59.0, 100, 5000)]);
    let outcome = run_fixed(&spec, &[&[1]]);
    assert_eq!(outcome.requests.served, 1);
    assert!(near(outcome.cost, 4.0 / 60.0), "{}", outcome.cost);
}

#[test]
fn requests_wait_at_the_router_until_a_replica_serves() {
    let spec = simple(300.0, 0, vec![arrival(1.0, 100, 10)]);
    let mut controller = Fixed::new(&[&[1]]);
    let outcome = run(&spec, &mut controller, &mut |_| {});
    let ttft = outcome.ttft_seconds.p50.unwrap();
    // A tick, at most one look of the HPA, and the start.
    assert!((134.0..150.0).contains(&ttft), "{ttft}");
    assert_eq!(outcome.attainment, Some(0.0));
    let queued: Vec<_> = controller
        .seen
        .iter()
        .map(|seen| seen.pools[0].pool.workload.queued_requests)
        .collect();
    assert_eq!((queued[3], queued[15]), (Some(1.0), Some(0.0)));
    assert_eq!(outcome.replica_changes, 1);
}

#[test]
fn what_does_not_end_in_time_is_unfinished_and_missed() {
    let mut spec = simple(60.0, 0, vec![arrival(1.0, 100, 10), arrival(2.0, 100, 10)]);
    spec.drain_seconds = 30.0;
    let outcome = run_fixed(&spec, &[&[0]]);
    assert_eq!(
        (outcome.requests.arrived, outcome.requests.unfinished),
        (2, 2)
    );
    assert_eq!(
        (outcome.attainment, outcome.ttft_seconds.p50),
        (Some(0.0), None)
    );
}

#[test]
fn no_arrivals_have_no_attainment() {
    let outcome = run_fixed(&simple(60.0, 1, Vec::new()), &[&[1]]);
    assert_eq!((outcome.attainment, outcome.requests.arrived), (None, 0));
}

#[test]
fn one_token_answers_have_no_time_between_tokens() {
    let outcome = run_fixed(&simple(60.0, 1, vec![arrival(1.0, 100, 1)]), &[&[1]]);
    assert_eq!(
        (outcome.attainment, outcome.itl_seconds.p50),
        (Some(1.0), None)
    );
}

#[test]
fn a_scaled_down_replica_finishes_what_it_has() {
    let arrivals = vec![arrival(10.0, 100, 20_000); 2];
    let mut spec = simple(600.0, 2, arrivals);
    spec.timing.actuation_seconds = 1.0;
    let outcome = run_by_time(&spec, |_| vec![vec![0]]);
    assert_eq!(outcome.requests.served, 2);
    let ends = 10.0 + 20_000.0 * 0.0061;
    assert!(
        (outcome.cost - 2.0 * 4.0 * ends / 3600.0).abs() < 0.05,
        "{}",
        outcome.cost
    );
    assert_eq!(outcome.pools[0].variants[0].serving[1], 0);
}

#[test]
fn bounds_of_the_variant_hold_as_the_hpa_has_them() {
    let mut of = variant(2);
    (of.min_replicas, of.max_replicas) = (1, 3);
    let spec = spec(600.0, vec![pool(vec![of], Vec::new())]);
    let last = |asked: u32| {
        *run_fixed(&spec, &[&[asked]]).pools[0].variants[0]
            .serving
            .last()
            .unwrap()
    };
    assert_eq!((last(0), last(9)), (1, 3));
}

#[test]
fn a_dead_replicas_requests_start_again() {
    let mut spec = simple(300.0, 2, vec![arrival(10.0, 100, 2000); 4]);
    spec.faults = vec![FaultSpec::ReplicaDies {
        at_seconds: 12.0,
        pool: 0,
        variant: 0,
    }];
    let mut controller = Fixed::new(&[&[2]]);
    let outcome = run(&spec, &mut controller, &mut |_| {});
    assert_eq!(outcome.requests.served, 4);
    // Two began anew, so that their first tokens come late: and the objective was missed.
    assert_eq!(outcome.attainment, Some(0.5));
    assert!(outcome.ttft_seconds.p99.unwrap() > 2.0);
    let variant = |tick: usize| &controller.seen[tick].pools[0].pool.variants[0];
    assert_eq!(
        (variant(0).current_replicas, variant(0).ready_replicas),
        (2, 1)
    );
    assert_eq!(
        (
            variant(10).ready_replicas,
            variant(10).startup_time.map(f64::round)
        ),
        (2, Some(120.0))
    );
}

#[test]
fn a_failed_start_is_tried_again() {
    let mut spec = simple(600.0, 0, vec![arrival(1.0, 100, 10)]);
    spec.faults = vec![FaultSpec::StartFails {
        at_seconds: 0.0,
        pool: 0,
        variant: 0,
    }];
    let ttft = run_fixed(&spec, &[&[1]]).ttft_seconds.p50.unwrap();
    assert!((254.0..270.0).contains(&ttft), "{ttft}");
}

#[test]
fn vanished_metrics_age_and_then_are_none() {
    let mut spec = simple(600.0, 1, poisson(3, 2.0, 600.0, 500, 100));
    spec.faults = vec![FaultSpec::MetricsVanish {
        from_seconds: 200.0,
        until_seconds: 400.0,
        pool: 0,
    }];
    let mut controller = Fixed::new(&[&[1]]);
    run(&spec, &mut controller, &mut |_| {});
    // Ticks come every 15 s, the first at 15 s.
    let seen = |tick: usize| {
        (
            &controller.seen[tick].pools[0].replicas[0],
            &controller.seen[tick].pools[0].pool,
        )
    };
    let (replica, pool) = seen(12);
    assert!(
        replica.kv_usage.is_some()
            && replica.metrics_age < 15.1
            && pool.workload.request_rate.is_some()
    );
    let (replica, pool) = seen(20);
    assert!(
        replica.kv_usage.is_none()
            && replica.metrics_age > 100.0
            && pool.workload.request_rate.is_none()
    );
    assert!(replica.input_tokens.is_some());
    let (replica, pool) = seen(34);
    assert!(
        replica.kv_usage.is_some()
            && replica.metrics_age < 15.1
            && pool.workload.request_rate.is_some()
    );
}

#[test]
fn a_snapshot_shows_the_rate_and_lengths_that_arrive() {
    let spec = simple(600.0, 2, poisson(4, 20.0, 600.0, 1000, 200));
    let mut controller = Fixed::new(&[&[2]]);
    run(&spec, &mut controller, &mut |_| {});
    let first = &controller.seen[0];
    assert_eq!(
        (first.now_ms, first.period_seconds.to_bits()),
        (START_MS + 15_000, 15.0_f64.to_bits())
    );
    let workload = &controller.seen[30].pools[0].pool.workload;
    assert!((workload.request_rate.unwrap() - 20.0).abs() < 4.0);
    assert!((workload.input_tokens.unwrap() - 1000.0).abs() < 50.0);
    assert!((workload.output_tokens.unwrap() - 200.0).abs() < 10.0);
    let replica = &controller.seen[30].pools[0].replicas[0];
    assert!((replica.request_rate.unwrap() - 10.0).abs() < 3.0);
    assert!(replica.itl.unwrap() > 0.006 && replica.itl.unwrap() < 0.02);
    assert_eq!(controller.seen[30].pools[0].idle_seconds, Some(0.0));
}

#[test]
fn idle_seconds_count_from_the_last_request() {
    let spec = simple(300.0, 1, vec![arrival(20.0, 100, 100)]);
    let mut controller = Fixed::new(&[&[1]]);
    run(&spec, &mut controller, &mut |_| {});
    let idle = |tick: usize| controller.seen[tick].pools[0].idle_seconds.unwrap();
    assert!(near(idle(0), 15.0));
    assert!((idle(9) - 129.4).abs() < 0.2, "{}", idle(9));
}

#[test]
fn a_prompt_is_handed_over_before_its_first_token() {
    let spec = disaggregated(1, 1, vec![arrival(1.0, 2000, 11)]);
    let outcome = run_fixed(&spec, &[&[1, 1]]);
    let prompt = 0.006 + 2000.0 * (32e-6 + 0.05e-6);
    let token = 0.006 + 32e-6 + 2000.0 * 0.05e-6;
    assert!(near(
        outcome.ttft_seconds.p50.unwrap(),
        prompt + 0.002 + token
    ));
    let between = token + 5.5 * 0.05e-6;
    assert!(
        near(outcome.itl_seconds.p50.unwrap(), between),
        "{:?}",
        outcome.itl_seconds.p50
    );
}

#[test]
fn roles_report_what_their_engines_do() {
    let spec = disaggregated(1, 1, poisson(5, 5.0, 300.0, 1000, 100));
    let mut controller = Fixed::new(&[&[1, 1]]);
    let outcome = run(&spec, &mut controller, &mut |_| {});
    assert_eq!(outcome.requests.served, outcome.requests.arrived);
    let [prefill, decode] = &controller.seen[18].pools[0].replicas[..] else {
        panic!("two replicas")
    };
    assert!(prefill.ttft.unwrap() > 0.03 && prefill.itl.is_none());
    assert!((prefill.output_tokens.unwrap() - 1.0).abs() < 1e-9);
    assert!(decode.ttft.unwrap() < 0.03 && decode.itl.unwrap() > 0.006);
}

#[test]
fn requests_survive_the_death_of_either_role() {
    for variant in [0, 1] {
        let mut spec = disaggregated(2, 2, poisson(6, 8.0, 300.0, 3000, 300));
        spec.faults = vec![FaultSpec::ReplicaDies {
            at_seconds: 100.0,
            pool: 0,
            variant,
        }];
        let outcome = run_fixed(&spec, &[&[2, 2]]);
        assert_eq!(
            outcome.requests.served, outcome.requests.arrived,
            "variant {variant}"
        );
    }
}

#[test]
fn pools_share_the_inventory() {
    let mut spec = spec(
        600.0,
        vec![
            pool(vec![variant(1)], vec![]),
            pool(vec![variant(1)], vec![]),
        ],
    );
    spec.inventory = Some(vec![("H100".to_owned(), 3)]);
    let mut controller = Fixed::new(&[&[2], &[2]]);
    let outcome = run(&spec, &mut controller, &mut |_| {});
    let serving = |pool: usize| *outcome.pools[pool].variants[0].serving.last().unwrap();
    assert_eq!((serving(0), serving(1)), (2, 1));
    let seen = controller.seen.last().unwrap();
    assert_eq!(seen.inventory.as_ref().unwrap()[0].available, 0);
    assert_eq!(seen.pools[1].pool.variants[0].current_replicas, 2);
    assert!(outcome.cost < 3.0 * 4.0 / 6.0 + 1e-9);
}

#[test]
fn the_nth_start_is_the_same_for_every_controller() {
    let mut of = variant(0);
    of.startup.spread = 0.3;
    let spec = spec(1000.0, vec![pool(vec![of], vec![])]);
    let cost = |from: f64| run_by_time(&spec, |now| vec![vec![u32::from(now >= from)]]).pools;
    let first_serving = |series: &[crate::outcome::PoolSeries]| {
        series[0].variants[0]
            .serving
            .iter()
            .position(|serving| *serving > 0)
            .unwrap()
    };
    assert_eq!(first_serving(&cost(0.0)) + 20, first_serving(&cost(315.0)));
}

#[test]
fn met_and_missed_are_told_by_interval_of_arrival() {
    let spec = simple(
        60.0,
        1,
        vec![
            arrival(1.0, 100, 10),
            arrival(20.0, 100, 10),
            arrival(21.0, 100_000, 10),
        ],
    );
    let samples = &run_fixed(&spec, &[&[1]]).pools[0].samples;
    let judged: Vec<_> = samples
        .iter()
        .map(|sample| (sample.met, sample.missed))
        .collect();
    assert_eq!(judged, [(1, 0), (1, 1), (0, 0), (0, 0)]);
    assert!(near(samples[1].arrival_rate, 2.0 / 15.0));
    assert!(near(samples[1].cost_per_hour, 4.0));
}

#[test]
fn progress_ends_at_one() {
    let mut told = Vec::new();
    run(
        &simple(60.0, 1, Vec::new()),
        &mut Fixed::new(&[&[1]]),
        &mut |share| told.push(share),
    );
    assert_eq!(told, [0.25, 0.5, 0.75, 1.0, 1.0]);
}

/// Pools of two variants with little KV cache under a controller without sense.
fn wild() -> impl Strategy<Value = (Spec, Vec<u32>)> {
    let faults = prop::collection::vec((0.0..200.0, 0_usize..2, any::<bool>()), 0..4);
    let sizes = (
        0_u64..u64::MAX,
        1.0..15.0,
        0_u32..3,
        0_u32..3,
        0_u32..6,
        any::<bool>(),
    );
    (sizes, prop::collection::vec(0_u32..5, 2..20), faults).prop_map(|(sizes, counts, faults)| {
        let (seed, rate, first, second, gpus, roles) = sizes;
        let arrivals = poisson(seed, rate, 200.0, 800, 60);
        let mut variants = vec![variant(first), variant(second)];
        for (index, of) in variants.iter_mut().enumerate() {
            of.kv_capacity_tokens = 4000;
            of.startup.mean_seconds = 20.0;
            of.startup.spread = 0.5;
            if roles {
                of.role = if index == 0 {
                    Role::Prefill
                } else {
                    Role::Decode
                };
            }
        }
        let mut spec = spec(200.0, vec![pool(variants, arrivals)]);
        spec.seed = seed;
        spec.drain_seconds = 50.0;
        spec.inventory = Some(vec![("H100".to_owned(), gpus)]);
        let fault = |(at_seconds, variant, dies)| match dies {
            true => FaultSpec::ReplicaDies {
                at_seconds,
                pool: 0,
                variant,
            },
            false => FaultSpec::StartFails {
                at_seconds,
                pool: 0,
                variant,
            },
        };
        spec.faults = faults.into_iter().map(fault).collect();
        (spec, counts)
    })
}

fn run_wild(spec: &Spec, counts: &[u32]) -> Outcome {
    let mut turn = counts.iter().cycle();
    run_by_time(spec, |_| {
        vec![vec![*turn.next().unwrap(), *turn.next().unwrap()]]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_request_is_lost_or_counted_twice((spec, counts) in wild()) {
        let outcome = run_wild(&spec, &counts);
        let requests = outcome.requests;
        prop_assert_eq!(requests.arrived, spec.pools[0].arrivals.len() as u64);
        prop_assert_eq!(requests.arrived, requests.served + requests.dropped + requests.unfinished);
        let gpus = f64::from(spec.inventory.as_ref().unwrap()[0].1);
        let hours: f64 = outcome.gpu_hours.values().sum();
        prop_assert!(hours <= gpus * 200.0 / 3600.0 + 1e-9);
        prop_assert!(near(outcome.cost, hours * 4.0));
        let judged: u64 = outcome.pools[0].samples.iter().map(|sample| sample.met + sample.missed).sum();
        prop_assert!(judged <= requests.served + requests.dropped);
    }

    #[test]
    fn the_same_spec_gives_the_same_outcome((spec, counts) in wild()) {
        let (one, other) = (run_wild(&spec, &counts), run_wild(&spec, &counts));
        prop_assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }
}
