//! Clients that wait for their answers before they ask again, and loads that look alike and are not.
#![expect(
    clippy::indexing_slicing,
    reason = "a position that is not there fails the test"
)]

use trimtab_sdk::{Analysis, Role};

use crate::fixture::{Fixture, START_MS, needed, pool, says};

const INPUT: f64 = 8192.0;

/// Of a replica that computes 15,928 tokens of prompt a second.
const SERVICE_SECONDS: f64 = INPUT / 15_928.0;

const FLAGGED: &str = "closed loop";

/// So many replicas with so many requests at once, evenly spread: each computes one prompt after the
/// other.
fn serving(replicas: u32, in_flight: f64, arriving: f64) -> Fixture {
    let each = in_flight / f64::from(replicas);
    let running = each.min(1.0);
    pool("meta-llama/Llama-3.1-8B-Instruct")
        .variant("H100", Role::Both, replicas)
        .reporting(|_, replica| {
            replica.kv_usage = Some(0.02 * running);
            replica.running = Some(running);
            replica.waiting = Some(each - running);
            replica.request_rate = Some(running / SERVICE_SECONDS);
            replica.input_tokens = Some(INPUT);
            replica.output_tokens = Some(1.0);
            replica.ttft = Some(each.max(1.0) * SERVICE_SECONDS);
        })
        .arriving(arriving, INPUT, 1.0)
        .with(|fixture| fixture.pool.objective.ttft = Some(1.5))
}

/// Clients that ask again as soon as they are answered: what arrives is what is served.
fn clients(replicas: u32, clients: f64) -> Fixture {
    let running = clients.min(f64::from(replicas));
    serving(replicas, clients, running / SERVICE_SECONDS)
}

/// One call on each of the loads in turn; what was said of each.
fn play(loads: impl IntoIterator<Item = Fixture>) -> Vec<Analysis> {
    let (mut state, mut now) = (Vec::new(), START_MS);
    let call = |load: Fixture| {
        let mut fixture = load.with(|fixture| {
            fixture.state = std::mem::take(&mut state);
            fixture.now = now;
        });
        let analysis = fixture.tick();
        (state, now) = (fixture.state, fixture.now);
        analysis
    };
    loads.into_iter().map(call).collect()
}

/// Twenty minutes of calls with sixty clients: as many replicas serve at the next as the floor of this one
/// needs, at most twice as many. How many each call was made with, and what was said.
fn grow(from: u32) -> Vec<(u32, Analysis)> {
    let (mut replicas, mut fixture) = (from, clients(from, 60.0));
    let call = |_| {
        let analysis = fixture.tick();
        let called_with = replicas;
        replicas = (needed(&analysis.stages[0]) as u32).clamp(replicas, 2 * replicas);
        fixture = go_on(&fixture, clients(replicas, 60.0));
        (called_with, analysis)
    };
    (0..80).map(call).collect()
}

/// The same pool at its next call, with another load.
fn go_on(fixture: &Fixture, load: Fixture) -> Fixture {
    load.with(|load| {
        load.state.clone_from(&fixture.state);
        load.now = fixture.now;
    })
}

/// Sixty clients whose pool has come to rest, at its next call.
fn at_rest() -> Fixture {
    let calls = [vec![4; 20], vec![21; 20]].concat();
    let (mut state, at) = (Vec::new(), calls.len() as u64);
    for analysis in play(calls.into_iter().map(|replicas| clients(replicas, 60.0))) {
        state = analysis.state;
    }
    clients(21, 60.0).with(|fixture| {
        fixture.state = state;
        fixture.now = START_MS + at * 15_000;
    })
}

#[test]
fn clients_that_wait_for_their_answers_are_not_served_without_end() {
    let calls = grow(1);
    for (replicas, analysis) in &calls {
        assert!(*replicas <= 21, "{replicas}");
        assert_eq!(says(analysis, FLAGGED), *replicas >= 2, "{replicas}");
    }
    assert!(calls[40..].iter().all(|(replicas, _)| *replicas == 21));
    assert!(says(&calls[79].1, "60 requests are in flight whatever"));
}

#[test]
fn growth_from_any_number_of_replicas_ends_within_a_doubling() {
    for from in 1..=42 {
        let calls = grow(from);
        let (at_rest, _) = calls[40];
        assert!(at_rest <= 2 * from.max(21), "{from} became {at_rest}");
        assert!(calls[40..].iter().all(|(replicas, _)| *replicas == at_rest));
    }
}

#[test]
fn clients_that_wait_are_recognised_while_replicas_join() {
    // A replica serves two minutes after it is asked for, and all is measured over a minute.
    const STARTUP_CALLS: usize = 8;
    for from in [7, 11, 16, 21] {
        let (mut asked, mut fixture) = (vec![from; STARTUP_CALLS], clients(from, 60.0));
        let mut flagged = false;
        for call in 0..160_usize {
            let minute = &asked[call.saturating_sub(3)..=call];
            let last = asked[asked.len() - 1];
            fixture = go_on(&fixture, over(minute)).with(|fixture| {
                let variant = &mut fixture.pool.variants[0];
                (variant.current_replicas, variant.desired_replicas) = (last, last);
            });
            let analysis = fixture.tick();
            flagged = says(&analysis, FLAGGED);
            asked.push((needed(&analysis.stages[0]) as u32).clamp(last, 2 * last));
        }
        let at_rest = asked[160];
        assert!(flagged && at_rest <= 42, "{from} became {at_rest}");
        assert!(asked[80..].iter().all(|replicas| *replicas == at_rest));
    }
}

/// Sixty clients as measured over a minute of calls, with so many replicas at each.
fn over(minute: &[u32]) -> Fixture {
    let rates = minute
        .iter()
        .map(|replicas| f64::from(*replicas) / SERVICE_SECONDS);
    let rate = rates.sum::<f64>() / minute.len() as f64;
    let replicas = minute[minute.len() - 1];
    clients(replicas, 60.0).with(|fixture| {
        fixture.pool.workload.request_rate = Some(rate);
        for replica in &mut fixture.replicas {
            replica.request_rate = Some(rate / f64::from(replicas));
            // The mean over all that were answered.
            replica.ttft = Some(60.0 / rate);
        }
    })
}

#[test]
fn an_open_loop_that_drains_a_queue_is_not_taken_for_a_closed_one() {
    // Two replicas serve just what arrives, and a queue of 100 stands; then four drain it.
    let arriving = 2.0 / SERVICE_SECONDS;
    let drained_in_a_call = 15.0 * arriving;
    let standing = (0..20).map(|_| serving(2, 100.0, arriving));
    let draining = (0..20).map(|call| {
        let left = 100.0 - f64::from(call) * drained_in_a_call;
        let ttft = (call < 3).then_some(50.0 * SERVICE_SECONDS);
        serving(4, left.max(2.0), arriving).with(|fixture| {
            for replica in &mut fixture.replicas {
                // First those are answered who have waited in the queue.
                replica.ttft = ttft.or(replica.ttft);
            }
        })
    });
    for analysis in play(standing.chain(draining)) {
        assert!(!says(&analysis, FLAGGED));
    }
}

#[test]
fn an_open_loop_whose_load_doubles_is_not_taken_for_a_closed_one() {
    // Twice the requests are in flight at once, the rate is seen over a minute, replicas follow.
    for replicas_follow_after in 0..12 {
        let load = |call: i32| {
            let replicas = if call < 20 + replicas_follow_after {
                40
            } else {
                80
            };
            let in_flight = if call < 20 { 32.0 } else { 64.0 };
            let seen = (f64::from(call - 19) / 4.0).clamp(0.0, 1.0);
            serving(replicas, in_flight, 60.0 * (1.0 + seen))
        };
        for analysis in play((0..60).map(load)) {
            assert!(!says(&analysis, FLAGGED), "{replicas_follow_after}");
        }
    }
}

#[test]
fn a_few_requests_in_flight_are_the_same_by_chance() {
    let load = |call| clients(if call < 20 { 2 } else { 4 }, 12.0);
    assert!(!play((0..40).map(load)).iter().any(|a| says(a, FLAGGED)));
}

#[test]
fn growth_over_more_than_half_an_hour_shows_nothing() {
    let replicas = |call| match call {
        ..110 => 4,
        110..140 => 6,
        _ => 8,
    };
    let calls = play((0..160).map(|call| clients(replicas(call), 60.0)));
    assert!(!calls.iter().any(|analysis| says(analysis, FLAGGED)));
}

#[test]
fn more_clients_or_fewer_end_it() {
    for now in [30.0, 120.0] {
        let mut fixture = at_rest();
        for call in 0..8 {
            fixture = go_on(&fixture, clients(21, now));
            let flagged = says(&fixture.tick(), FLAGGED);
            // What may be a transient, for a minute and a half.
            assert_eq!(flagged, call < 5, "{now} {call}");
        }
    }
}

#[test]
fn what_is_not_measured_flags_nothing_and_stops_no_growth() {
    let changes: [fn(&mut Fixture); 3] = [
        |of| of.pool.workload.request_rate = None,
        |of| of.replicas.iter_mut().for_each(|r| r.request_rate = None),
        |of| of.replicas.iter_mut().for_each(|r| r.ttft = None),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let analysis = at_rest().with(change).analysis();
        assert!(!says(&analysis, FLAGGED), "{at}");
        let stage = &analysis.stages[0];
        assert!(needed(stage) > 21.0, "{at}: {stage:?}");
    }
}

#[test]
fn growth_stops_only_while_all_that_was_promised_is_kept() {
    let enough = at_rest().stage();
    assert_eq!(needed(&enough), 21.0);
    // Else rounding could ask for one more.
    assert!(enough.floor < 21.0 * enough.capacities[0].per_replica);
    let misses: [fn(&mut Fixture); 5] = [
        |of| of.pool.workload.ttft_at_percentile = Some(1.6),
        |of| of.replicas[0].ttft = Some(9.0),
        |of| of.replicas.iter_mut().for_each(|r| r.itl = Some(0.06)),
        // Who waits in the picker waits before the replicas measure.
        |of| of.pool.workload.queued_requests = Some(5.0),
        |of| of.pool.objective.throughput = Some(60.0),
    ];
    for (at, miss) in misses.into_iter().enumerate() {
        let stage = at_rest().with(miss).stage();
        assert!(needed(&stage) > 21.0, "{at}: {stage:?}");
    }
}

#[test]
fn nothing_may_be_spared_that_was_needed_before() {
    let flagged = at_rest().stage();
    let not = at_rest()
        .with(|of| of.pool.workload.ttft_at_percentile = Some(1.6))
        .stage();
    assert!(flagged.floor < not.floor);
    assert_eq!(flagged.ceiling, not.ceiling);
}

#[test]
fn a_state_from_before_closed_loops_were_known_is_read() {
    let state = format!(r#"{{"since":{START_MS},"at":{START_MS}}}"#);
    let analysis = clients(4, 60.0)
        .with(|fixture| fixture.state = state.into())
        .analysis();
    assert!(!says(&analysis, "cannot be read"));
}

#[test]
fn clients_that_wait_are_recognised_after_replicas_went() {
    let counts = [vec![8; 4], vec![4; 8], vec![8; 8]].concat();
    let said = play(counts.iter().map(|replicas| clients(*replicas, 60.0)));
    let flagged: Vec<bool> = said.iter().map(|of| says(of, FLAGGED)).collect();
    assert!(!flagged[..12].contains(&true), "{flagged:?}");
    assert!(flagged[12..].iter().all(|is| *is), "{flagged:?}");
}
