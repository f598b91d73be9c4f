//! How long no request was in a pool.

use super::*;

/// What a tick sees.
type Seen = fn(Prometheus) -> Prometheus;

/// Ticks of one pool, seconds after [`NOW`]; its idle seconds after each.
fn watch(pool: &FleetPool, ticks: &[(f64, Seen)]) -> Vec<Option<f64>> {
    let mut measurer = Measurer::default();
    let pools = std::slice::from_ref(pool);
    ticks
        .iter()
        .map(|(after, seen)| {
            let prometheus = seen(Prometheus::at(NOW + after));
            prometheus.measure_with(&mut measurer, pools)[0].idle_seconds
        })
        .collect()
}

fn quiet(prometheus: Prometheus) -> Prometheus {
    prometheus.idle_pod("a")
}

fn busy(prometheus: Prometheus) -> Prometheus {
    prometheus.idle_pod("a").pod("a", Quantity::Running, 1.0)
}

fn absent(prometheus: Prometheus) -> Prometheus {
    prometheus
}

#[test]
fn the_clock_runs_from_the_last_request_seen() {
    let idle = watch(&pool(&["a"]), &[(0.0, busy), (15.0, quiet), (30.0, quiet)]);
    assert_eq!(idle, [Some(0.0), Some(15.0), Some(30.0)]);
}

#[test]
fn what_was_not_watched_is_not_idleness() {
    let idle = watch(&pool(&["a"]), &[(0.0, quiet), (15.0, quiet)]);
    assert_eq!(idle, [Some(0.0), Some(15.0)]);
}

#[test]
fn a_gap_in_what_is_known_starts_the_clock_anew() {
    let ticks: &[(f64, Seen)] = &[(0.0, quiet), (15.0, absent), (30.0, quiet), (45.0, quiet)];
    assert_eq!(
        watch(&pool(&["a"]), ticks),
        [Some(0.0), None, Some(0.0), Some(15.0)]
    );
}

#[test]
fn a_tick_later_than_the_window_starts_the_clock_anew() {
    let ticks: &[(f64, Seen)] = &[(0.0, quiet), (30.0, quiet), (130.0, quiet), (145.0, quiet)];
    assert_eq!(
        watch(&pool(&["a"]), ticks),
        [Some(0.0), Some(30.0), Some(0.0), Some(15.0)]
    );
}

#[test]
fn one_replica_that_is_silent_keeps_the_pool_from_being_idle() {
    let idle = watch(&pool(&["a", "b"]), &[(0.0, quiet), (15.0, quiet)]);
    assert_eq!(idle, [None, None]);
}

#[test]
fn a_pool_at_zero_is_idle_when_its_picker_says_that_nothing_arrives() {
    let picked = with_picker(pool(&[]), &["epp-0"]);
    let none: Seen = |seen| seen.picker(Quantity::Arrivals, 0.0);
    assert_eq!(
        watch(&picked, &[(0.0, none), (15.0, none)]),
        [Some(0.0), Some(15.0)]
    );
    let queued: Seen = |seen| {
        seen.picker(Quantity::Arrivals, 0.0)
            .picker(Quantity::QueuedRequests, 1.0)
    };
    assert_eq!(
        watch(&picked, &[(0.0, none), (15.0, queued)]),
        [Some(0.0), Some(0.0)]
    );
    assert_eq!(watch(&picked, &[(0.0, absent)]), [None]);
}

#[test]
fn a_queue_that_cannot_be_asked_for_keeps_the_pool_from_being_idle() {
    let picked = with_picker(pool(&["a"]), &["epp-0"]);
    let lost: Seen = |seen| {
        seen.idle_pod("a")
            .picker(Quantity::Arrivals, 0.0)
            .fail(Topic::PickerQueue, refused())
    };
    assert_eq!(watch(&picked, &[(0.0, lost)]), [None]);
}
