//! What a collector sees: windows, lag, and what is missing.

use super::*;
use crate::events::Events;
use crate::fleet::Fleet;
use crate::spec::Spec;
use crate::testing::{simple, variant};

/// As by default.
const LONGEST: f64 = 300.0;

fn reading(waiting: u64, finished: u64, ttft_seconds: f64) -> Reading {
    Reading {
        kv_usage: waiting as f64 / 10.0,
        waiting,
        running: waiting + 1,
        counters: Counters {
            finished,
            input_tokens: finished * 100,
            output_tokens: finished * 20,
            ttft_seconds,
            ttft_count: finished,
            ..Counters::default()
        },
    }
}

fn one_replica(spec: &Spec) -> Fleet<'_> {
    Fleet::new(spec, &mut Events::default())
}

#[test]
fn a_replica_without_samples_gives_no_values() {
    let spec = simple(60.0, 1, Vec::new());
    let fleet = one_replica(&spec);
    let seen = observe_replica((20.0, &Timing::default()), &fleet.replicas[0], &variant(1));
    assert_eq!(
        (seen.kv_usage, seen.waiting, seen.running, seen.request_rate),
        (None, None, None, None)
    );
    assert_eq!(
        (seen.kv_capacity_tokens, seen.ttft, seen.itl),
        (None, None, None)
    );
    assert_eq!(seen.metrics_age.to_bits(), 20.0_f64.to_bits());
}

#[test]
fn gauges_are_the_largest_of_the_last_minute() {
    let spec = simple(60.0, 1, Vec::new());
    let mut fleet = one_replica(&spec);
    for (at, waiting) in [(0.0, 9), (15.0, 4), (30.0, 7), (45.0, 2)] {
        fleet.replicas[0]
            .samples
            .push(at, reading(waiting, 0, 0.0), LONGEST);
    }
    let seen = observe_replica((62.0, &Timing::default()), &fleet.replicas[0], &variant(1));
    assert_eq!(
        (seen.waiting, seen.kv_usage, seen.running),
        (Some(7.0), Some(0.7), Some(3.0))
    );
    assert_eq!(seen.metrics_age.to_bits(), 17.0_f64.to_bits());
}

#[test]
fn rates_are_between_scrapes_and_means_over_what_came() {
    let spec = simple(60.0, 1, Vec::new());
    let mut fleet = one_replica(&spec);
    fleet.replicas[0]
        .samples
        .push(0.0, reading(0, 100, 50.0), LONGEST);
    assert_eq!(
        observe_replica((10.0, &Timing::default()), &fleet.replicas[0], &variant(1)).request_rate,
        None
    );
    fleet.replicas[0]
        .samples
        .push(15.0, reading(0, 130, 56.0), LONGEST);
    let seen = observe_replica((20.0, &Timing::default()), &fleet.replicas[0], &variant(1));
    assert_eq!((seen.request_rate, seen.ttft), (Some(2.0), Some(0.2)));
    assert_eq!(
        (seen.input_tokens, seen.output_tokens),
        (Some(100.0), Some(20.0))
    );
    assert_eq!((seen.itl, seen.prefix_hit_ratio), (None, None));
}

#[test]
fn values_leave_their_windows_when_scrapes_stop() {
    let spec = simple(60.0, 1, Vec::new());
    let mut fleet = one_replica(&spec);
    fleet.replicas[0]
        .samples
        .push(0.0, reading(3, 100, 50.0), LONGEST);
    fleet.replicas[0]
        .samples
        .push(15.0, reading(3, 130, 56.0), LONGEST);
    let seen = observe_replica((80.0, &Timing::default()), &fleet.replicas[0], &variant(1));
    assert_eq!(
        (seen.waiting, seen.ttft, seen.request_rate),
        (None, None, None)
    );
    // The five-minute windows still hold both samples.
    assert_eq!((seen.input_tokens, seen.running), (Some(100.0), Some(4.0)));
    assert_eq!(seen.metrics_age.to_bits(), 65.0_f64.to_bits());
}

#[test]
fn windows_are_as_long_as_the_run_says() {
    let spec = simple(60.0, 1, Vec::new());
    let windows = Timing {
        window_seconds: 20.0,
        long_window_seconds: 40.0,
        ..Timing::default()
    };
    let mut fleet = one_replica(&spec);
    let samples = &mut fleet.replicas[0].samples;
    for (at, waiting, finished) in [(0.0, 9, 100), (15.0, 8, 130), (30.0, 4, 130)] {
        samples.push(at, reading(waiting, finished, 0.0), 40.0);
    }
    let seen = observe_replica((32.0, &windows), &fleet.replicas[0], &variant(1));
    assert_eq!((seen.waiting, seen.request_rate), (Some(8.0), Some(0.0)));
    assert_eq!(seen.input_tokens, Some(100.0));
    let seen = observe_replica((41.0, &windows), &fleet.replicas[0], &variant(1));
    assert_eq!((seen.waiting, seen.request_rate), (Some(4.0), None));
    assert_eq!(seen.input_tokens, None, "none finished in the long window");
}

#[test]
fn the_workload_comes_from_the_router_and_its_percentiles_from_buckets() {
    let mut samples = RouterSamples::default();
    let mut exported = RouterReading::default();
    samples.push(0.0, exported.clone(), LONGEST);
    exported.arrived = 60;
    exported.queued_requests = 4;
    exported.queued_bytes = 1600;
    for _ in 0..10 {
        exported.finished += 1;
        exported.input_tokens += 300;
        exported.output_tokens += 40;
        exported.ttft.observe(0.3);
        exported.itl.observe(0.03);
    }
    samples.push(15.0, exported, LONGEST);
    let seen = observe_workload(
        (16.0, &Timing::default()),
        &samples,
        std::iter::empty(),
        0.9,
    );
    assert_eq!(
        (seen.request_rate, seen.queued_requests, seen.queued_bytes),
        (Some(4.0), Some(4.0), Some(1600.0))
    );
    assert_eq!(
        (seen.input_tokens, seen.output_tokens),
        (Some(300.0), Some(40.0))
    );
    assert!((seen.ttft_mean.unwrap() - 0.3).abs() < 1e-9);
    assert!((seen.ttft_at_percentile.unwrap() - 0.475).abs() < 1e-9);
    assert!((seen.itl_at_percentile.unwrap() - 0.0475).abs() < 1e-9);
    assert_eq!((seen.itl_mean, seen.prefix_hit_ratio), (None, None));
}

#[test]
fn means_of_a_pool_weigh_replicas_by_what_they_served() {
    let spec = simple(60.0, 2, Vec::new());
    let mut fleet = one_replica(&spec);
    let itl = |seconds, count| Reading {
        counters: Counters {
            itl_seconds: seconds,
            itl_count: count,
            ..Counters::default()
        },
        ..reading(0, 0, 0.0)
    };
    for replica in &mut fleet.replicas {
        replica.samples.push(0.0, itl(0.0, 0), LONGEST);
    }
    fleet.replicas[0].samples.push(15.0, itl(3.0, 300), LONGEST);
    fleet.replicas[1].samples.push(15.0, itl(2.0, 100), LONGEST);
    let seen = observe_workload(
        (16.0, &Timing::default()),
        &RouterSamples::default(),
        fleet.replicas.iter(),
        0.9,
    );
    assert_eq!(seen.itl_mean, Some(5.0 / 400.0));
    assert_eq!((seen.request_rate, seen.ttft_at_percentile), (None, None));
}
