//! The engine that strides against one that goes token by token.

mod naive;

use proptest::prelude::*;

use self::naive::{Times, naive};
use super::*;
use crate::spec::Arrival;
use crate::testing::{ITERATION, arrival, poisson, variant};

/// Arrivals go in and boundaries pass in order of time, as the run does it.
fn drive<'a>(engine: &mut Engine<'a>, arrivals: &'a [Arrival], part: Part) -> Times {
    let mut times = Times {
        first_token: vec![f64::NAN; arrivals.len()],
        finished: vec![f64::NAN; arrivals.len()],
        ..Times::default()
    };
    let mut coming = arrivals.iter().enumerate().peekable();
    let mut outputs = Vec::new();
    loop {
        let boundary = engine.next_boundary().unwrap_or(f64::INFINITY);
        let due = coming.next_if(|(_, arrival)| arrival.at_seconds <= boundary);
        if let Some((request, arrival)) = due {
            let job = Job {
                request: request as u32,
                arrival,
                part,
            };
            engine.enqueue(arrival.at_seconds, job);
            continue;
        }
        if boundary.is_infinite() {
            break;
        }
        engine.step(&mut outputs);
        for output in outputs.drain(..) {
            match output {
                Output::FirstToken { request } => times.first_token[request as usize] = boundary,
                Output::Finished { request } => times.finished[request as usize] = boundary,
                Output::PromptDone { .. } => {}
            }
        }
        let reading = engine.reading(boundary);
        assert!(
            (0.0..=1.0).contains(&reading.kv_usage),
            "{}",
            reading.kv_usage
        );
    }
    let counters = engine.reading(0.0).counters;
    times.preemptions = counters.preemptions;
    times.gaps = (counters.itl_seconds, counters.itl_count);
    times.prefix_hits = counters.prefix_hits;
    times
}

fn assert_alike(fast: &Times, slow: &Times) {
    let near = |one: &[f64], other: &[f64]| {
        one.iter()
            .zip(other)
            .all(|(one, other)| (one - other).abs() < 1e-9)
    };
    assert!(
        near(&fast.first_token, &slow.first_token),
        "first tokens\n{fast:?}\n{slow:?}"
    );
    assert!(
        near(&fast.finished, &slow.finished),
        "ends\n{fast:?}\n{slow:?}"
    );
    assert_eq!(fast.preemptions, slow.preemptions);
    assert_eq!(fast.gaps.1, slow.gaps.1);
    assert!(
        (fast.gaps.0 - slow.gaps.0).abs() < 1e-7,
        "{} {}",
        fast.gaps.0,
        slow.gaps.0
    );
    assert_eq!(fast.prefix_hits, slow.prefix_hits);
}

fn limits() -> Limits {
    Limits::of(&variant(1))
}

fn requests(count: usize, longest: u32) -> impl Strategy<Value = Vec<Arrival>> {
    let request = (0.0..1.0_f64, 1..longest, 1..longest);
    prop::collection::vec(request, 1..count).prop_map(|mut requests| {
        requests.sort_by(|one, other| one.0.total_cmp(&other.0));
        requests
            .into_iter()
            .map(|(at, input, output)| arrival(at, input, output))
            .collect()
    })
}

/// Limits so tight that sequences wait, split and preempt each other.
fn tight(longest: u64) -> impl Strategy<Value = Limits> {
    let sizes = (1_u32..20, 0_u64..40, 1_u64..12, 0_u64..60, any::<bool>());
    sizes.prop_map(move |(block_size, spare, max_sequences, extra, chunked)| {
        let budget = if chunked {
            max_sequences + extra
        } else {
            max_sequences.max(longest) + extra
        };
        Limits {
            max_sequences,
            max_batched_tokens: budget,
            chunked_prefill: chunked,
            block_size,
            blocks: longest.div_ceil(u64::from(block_size)) + spare,
            ..limits()
        }
    })
}

/// Prompts over 512 tokens that share heads of a few documents.
fn documents() -> impl Strategy<Value = Vec<Arrival>> {
    let request = (0.0..2.0_f64, 0_u32..4, 0_u32..5, 1_u32..600, 1_u32..60);
    prop::collection::vec(request, 1..25).prop_map(|mut requests| {
        requests.sort_by(|one, other| one.0.total_cmp(&other.0));
        let request = |(at, document, blocks, own, output)| Arrival {
            prefix_blocks: (0..blocks).map(|block| document * 10 + block).collect(),
            ..arrival(at, blocks * 512 + own, output)
        };
        requests.into_iter().map(request).collect()
    })
}

proptest! {
    #[test]
    fn strides_equal_single_iterations(limits in tight(80), arrivals in requests(30, 40)) {
        let fast = drive(&mut Engine::new(limits), &arrivals, Part::Whole);
        assert_alike(&fast, &naive(limits, &arrivals));
    }

    #[test]
    fn shared_prefixes_equal_single_iterations(
        arrivals in documents(), spare in 0_u64..400, budget in 20_u64..3000,
    ) {
        let limits = Limits {
            blocks: 4096 / 16 + spare,
            max_sequences: 20,
            max_batched_tokens: budget,
            ..limits()
        };
        let fast = drive(&mut Engine::new(limits), &arrivals, Part::Whole);
        assert_alike(&fast, &naive(limits, &arrivals));
    }

    #[test]
    fn drained_engines_hold_nothing(limits in tight(80), arrivals in requests(30, 40)) {
        let mut engine = Engine::new(limits);
        drive(&mut engine, &arrivals, Part::Whole);
        prop_assert!(engine.is_empty());
        prop_assert_eq!(engine.blocks.free(), engine.blocks.total());
        prop_assert_eq!((engine.held, engine.backlog, engine.answering), (0, 0, 0));
        prop_assert_eq!(engine.counters.finished, arrivals.len() as u64);
    }
}

#[test]
fn a_lone_request_takes_its_iterations() {
    let arrivals = [arrival(1.0, 100, 3)];
    let times = drive(&mut Engine::new(limits()), &arrivals, Part::Whole);
    let time = ITERATION;
    let prompt = time.base_seconds + 100.0 * (time.per_token_seconds + time.per_kv_token_seconds);
    let token =
        |held: f64| time.base_seconds + time.per_token_seconds + held * time.per_kv_token_seconds;
    assert!((times.first_token[0] - 1.0 - prompt).abs() < 1e-12);
    assert!((times.finished[0] - 1.0 - prompt - token(101.0) - token(102.0)).abs() < 1e-12);
}

/// Waiting time of the M/D/1 queue: `ρ D / (2 (1 − ρ))` (Pollaczek–Khinchine).
#[test]
fn one_at_a_time_is_the_m_d_1_queue() {
    let limits = Limits {
        max_sequences: 1,
        ..limits()
    };
    let service = 0.006 + 1000.0 * (32e-6 + 0.05e-6);
    for utilization in [0.3, 0.6, 0.8] {
        let mut arrivals = poisson(9, utilization / service, 4000.0, 1, 1);
        for arrival in &mut arrivals {
            (arrival.input_tokens, arrival.output_tokens) = (1000, 1);
        }
        let times = drive(&mut Engine::new(limits), &arrivals, Part::Whole);
        let waits = times
            .finished
            .iter()
            .zip(&arrivals)
            .map(|(end, arrival)| end - arrival.at_seconds - service);
        let mean = waits.sum::<f64>() / arrivals.len() as f64;
        let expected = utilization * service / (2.0 * (1.0 - utilization));
        assert!(
            (mean / expected - 1.0).abs() < 0.03,
            "{utilization}: {mean} for {expected}"
        );
    }
}

#[test]
fn the_latest_gives_way_when_blocks_run_out() {
    let arrivals = [arrival(0.0, 160, 200), arrival(0.1, 160, 200)];
    let limits = Limits {
        blocks: 30,
        ..limits()
    };
    let times = drive(&mut Engine::new(limits), &arrivals, Part::Whole);
    assert_eq!(times.preemptions, 1);
    // It begins again when the other has ended, with the tokens that it had answered computed anew.
    assert!(times.finished[1] > times.finished[0] + 0.1);
    assert_alike(&times, &naive(limits, &arrivals));
}

#[test]
fn an_arrival_joins_at_the_next_boundary() {
    let arrivals = [arrival(0.0, 100, 1000), arrival(0.5, 100, 1)];
    let mut engine = Engine::new(limits());
    let times = drive(&mut engine, &arrivals, Part::Whole);
    let wait = times.first_token[1] - 0.5;
    let prompt = 0.006 + 101.0 * 32e-6;
    assert!(wait > prompt && wait < prompt + 0.0062, "{wait}");
}

#[test]
fn long_prompts_are_split_only_where_chunked() {
    let arrivals = [arrival(0.0, 20_000, 1)];
    let chunked = drive(&mut Engine::new(limits()), &arrivals, Part::Whole);
    let whole = Limits {
        max_batched_tokens: 20_000,
        chunked_prefill: false,
        ..limits()
    };
    let whole = drive(&mut Engine::new(whole), &arrivals, Part::Whole);
    let more = chunked.finished[0] - whole.finished[0];
    // Two iterations more, and what is held is read in each.
    assert!(
        (more - 2.0 * 0.006 - (8192.0 + 16384.0) * 0.05e-6).abs() < 1e-9,
        "{more}"
    );
}

#[test]
fn prompts_without_chunks_have_to_fit_the_budget() {
    let mut of = variant(1);
    of.engine.chunked_prefill = false;
    assert_eq!(Limits::of(&of).longest, 8192);
    of.engine.chunked_prefill = true;
    assert_eq!(Limits::of(&of).longest, 400_001);
    of.engine.max_model_length = Some(4096);
    assert_eq!(Limits::of(&of).longest, 4096);
}

#[test]
fn a_computed_prompt_keeps_its_blocks_until_released() {
    let arrivals = [arrival(0.0, 160, 50)];
    let mut engine = Engine::new(limits());
    let times = drive(&mut engine, &arrivals, Part::Prompt);
    assert!(times.first_token[0].is_nan());
    assert_eq!(engine.running(), 0);
    assert_eq!(engine.blocks.total() - engine.blocks.free(), 10);
    assert_eq!(engine.requests(), vec![0]);
    engine.release(1.0, 0);
    assert!(engine.is_empty());
    assert_eq!(engine.blocks.free(), engine.blocks.total());
}

#[test]
fn a_delivered_prompt_computes_one_token_before_its_first() {
    let arrivals = [arrival(0.0, 1000, 2)];
    let times = drive(&mut Engine::new(limits()), &arrivals, Part::Answer);
    let expected = 0.006 + 32e-6 + 1000.0 * 0.05e-6;
    assert!((times.first_token[0] - expected).abs() < 1e-12);
}

#[test]
fn the_same_prompt_again_hits_the_cache() {
    let prompt = |at| Arrival {
        prefix_blocks: [1, 2].into(),
        ..arrival(at, 1024, 2)
    };
    let arrivals = [prompt(0.0), prompt(5.0)];
    let times = drive(&mut Engine::new(limits()), &arrivals, Part::Whole);
    // All but the one token whose logits are needed.
    assert_eq!(times.prefix_hits, 1023);
}

#[test]
fn readings_count_iterations_that_have_ended() {
    let arrivals = [arrival(0.0, 16, 1001)];
    let mut engine = Engine::new(limits());
    engine.enqueue(
        0.0,
        Job {
            request: 0,
            arrival: &arrivals[0],
            part: Part::Whole,
        },
    );
    engine.step(&mut Vec::new());
    let start = engine.stride.unwrap().start;
    let before = engine.reading(start + 1.0);
    let after = engine.reading(start + 2.0);
    assert!(before.counters.itl_count > 150 && before.counters.itl_count < 170);
    assert!(after.counters.itl_count > before.counters.itl_count);
    assert!(after.kv_usage > before.kv_usage);
    let mean = after.counters.itl_seconds / after.counters.itl_count as f64;
    assert!((mean - 0.00604).abs() < 1e-4, "{mean}");
}
