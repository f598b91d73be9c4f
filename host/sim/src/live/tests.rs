//! A world that somebody else drives: counts, Little's law, and replicas that come and go.

use super::*;
use crate::testing::{poisson, pool, run_fixed, simple, spec, variant};

fn names(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|name| (*name).to_owned()).collect()
}

/// Advances in steps of a tenth of a second, and gives the mean of the requests in the engine.
fn advance_watching(live: &mut Live<'_>, from: f64, to: f64) -> f64 {
    let steps = ((to - from) * 10.0) as u32;
    let mut sum = 0.0;
    for step in 1..=steps {
        live.advance(from + f64::from(step) / 10.0);
        let engine = live.engine(0, 0, "pod-0").unwrap();
        sum += (engine.running + engine.waiting) as f64;
    }
    sum / f64::from(steps)
}

const LENGTHS: Lengths = Lengths {
    mean: 500.0,
    cv: 0.5,
    max: 4000,
};

#[test]
fn the_arrivals_of_a_spec_are_served_as_in_a_run() {
    let spec = simple(300.0, 1, poisson(3, 5.0, 300.0, 800, 150));
    let outcome = run_fixed(&spec, &[&[1]]);
    let arena = Arena::default();
    let mut live = Live::new(&spec, &arena);
    live.set_replicas(0, 0, &names(&["pod-0"]));
    for second in 0..400 {
        live.advance(f64::from(second));
    }
    let engine = live.engine(0, 0, "pod-0").unwrap();
    assert_eq!(engine.finished, outcome.requests.served);
    let mean = engine.distributions.ttft.sum / engine.distributions.ttft.count as f64;
    let of_run = outcome.ttft_seconds;
    let (median, late) = (of_run.p50.unwrap(), of_run.p99.unwrap());
    assert!(mean > median * 0.5 && mean < late, "{mean}");
    assert_eq!(live.picker(0).unwrap().open, 0);
}

#[test]
fn requests_in_the_engine_are_rate_times_time() {
    let spec = spec(1.0, vec![pool(vec![variant(0)], Vec::new())]);
    for factor in [1.0, 10.0] {
        let faster = faster(&spec, factor);
        let arena = Arena::default();
        let mut live = Live::new(&faster, &arena);
        live.set_replicas(0, 0, &names(&["pod-0"]));
        live.set_lengths(0, LENGTHS, LENGTHS);
        live.set_rate(0, 4.0 * factor);
        live.advance(60.0);
        let before = live.engine(0, 0, "pod-0").unwrap();
        let inside = advance_watching(&mut live, 60.0, 360.0);
        let after = live.engine(0, 0, "pod-0").unwrap();

        let rate = (after.finished - before.finished) as f64 / 300.0;
        assert!((rate / (4.0 * factor) - 1.0).abs() < 0.1, "{rate}");
        let (sum, count) = (
            after.distributions.end_to_end.sum - before.distributions.end_to_end.sum,
            after.distributions.end_to_end.count - before.distributions.end_to_end.count,
        );
        let little = rate * sum / count as f64;
        assert!(
            (inside / little - 1.0).abs() < 0.05,
            "{inside} and {little}"
        );
    }
}

#[test]
fn every_token_but_the_first_is_in_the_distribution_between_tokens() {
    let spec = simple(60.0, 1, poisson(3, 5.0, 60.0, 800, 150));
    let arena = Arena::default();
    let mut live = Live::new(&spec, &arena);
    live.set_replicas(0, 0, &names(&["pod-0"]));
    live.advance(31.4159);
    let engine = live.engine(0, 0, "pod-0").unwrap();
    let distributions = engine.distributions;
    assert!(distributions.itl.count > 1000);
    assert_eq!(
        engine.generated_tokens,
        distributions.ttft.count + distributions.itl.count
    );
}

#[test]
fn a_replica_that_is_not_named_any_more_is_gone_and_its_successor_starts_at_zero() {
    let spec = spec(1.0, vec![pool(vec![variant(0)], Vec::new())]);
    let arena = Arena::default();
    let mut live = Live::new(&spec, &arena);
    live.set_lengths(0, LENGTHS, LENGTHS);
    live.set_rate(0, 2.0);
    live.set_replicas(0, 0, &names(&["pod-0"]));
    live.advance(30.0);
    live.set_replicas(0, 0, &names(&["pod-1"]));
    assert_eq!(live.engine(0, 0, "pod-0"), None);
    assert_eq!(live.engine(0, 0, "pod-1").unwrap().finished, 0);
    live.advance(60.0);
    assert!(live.engine(0, 0, "pod-1").unwrap().finished > 20);
}

#[test]
fn without_replicas_requests_wait_at_the_picker_until_one_serves() {
    let spec = spec(1.0, vec![pool(vec![variant(0)], Vec::new())]);
    let arena = Arena::default();
    let mut live = Live::new(&spec, &arena);
    live.set_lengths(0, LENGTHS, LENGTHS);
    live.set_rate(0, 2.0);
    live.advance(10.0);
    let waiting = live.picker(0).unwrap();
    assert!(waiting.queued_requests > 5 && waiting.queued_bytes > 0);
    assert_eq!((waiting.endpoints, waiting.mean), (0, None));
    live.set_replicas(0, 0, &names(&["pod-0"]));
    live.advance(40.0);
    let served = live.picker(0).unwrap();
    assert_eq!((served.queued_requests, served.endpoints), (0, 1));
    assert!(served.ttft.sum / served.ttft.count as f64 > 0.5);
}

#[test]
fn at_a_rate_of_zero_nothing_arrives_any_more() {
    let spec = simple(300.0, 1, poisson(3, 5.0, 300.0, 800, 150));
    let arena = Arena::default();
    let mut live = Live::new(&spec, &arena);
    live.advance(10.0);
    let before = live.picker(0).unwrap().requests;
    live.set_rate(0, 0.0);
    live.advance(300.0);
    assert!(before > 20);
    assert_eq!(live.picker(0).unwrap().requests, before);
}
