//! What holds for any parameters: numbers are finite or refused, and more load is never better.

use proptest::prelude::*;
use trimtab_models::{
    Batch, Iteration, Lengths, Observation, Replica, Role, Spread, Tail, Targets, Tracker, size,
};

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Both), Just(Role::Prefill), Just(Role::Decode)]
}

/// Uniform in its logarithm.
fn scale(least: f64, most: f64) -> impl Strategy<Value = f64> {
    (least.ln()..most.ln()).prop_map(f64::exp)
}

/// Engines and requests as they may well occur.
fn replica() -> impl Strategy<Value = Replica> {
    replica_in(role())
}

fn replica_in(role: impl Strategy<Value = Role>) -> impl Strategy<Value = Replica> {
    let iteration = (scale(1e-3, 0.1), scale(1e-6, 1e-3), scale(1e-9, 1e-6));
    let lengths = (scale(10.0, 1e4), scale(1.0, 2e3), 0.0..1.5, 0.0..1.5);
    let batch = (
        1u32..2048,
        512u32..32_768,
        proptest::option::of(20_000u64..2_000_000),
    );
    (role, iteration, lengths, batch).prop_map(|(role, iteration, lengths, batch)| {
        let (base_seconds, token_seconds, kv_token_seconds) = iteration;
        let (input, output, input_spread, output_spread) = lengths;
        let (max_sequences, max_batched_tokens, kv_capacity_tokens) = batch;
        Replica::in_role(
            role,
            Iteration {
                base_seconds,
                token_seconds,
                kv_token_seconds,
            },
            Lengths::new(input, output).with_spread(Spread {
                input: input_spread,
                output: output_spread,
            }),
            Batch {
                max_sequences,
                max_batched_tokens,
                kv_capacity_tokens,
                max_waiting: 4 * max_sequences,
            },
        )
        .expect("within the ranges")
    })
}

/// Any number at all, finite or not.
fn anything() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        scale(1e-12, 1e12),
        Just(0.0),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(-1.0),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_figure_is_finite_and_not_negative(replica in replica(), share in 1e-6..1.0f64) {
        let rate = share * replica.max_rate();
        let at = replica.at(rate).unwrap();
        let quantiles = Tail::prior().quantiles(&replica, &at, 0.99);
        for figure in [
            at.rate, at.throughput, at.response_seconds, at.wait_seconds, at.concurrency,
            at.prefill_seconds, at.itl_seconds, at.ttft_seconds, at.utilisation,
            quantiles.ttft_seconds, quantiles.itl_seconds,
        ] {
            prop_assert!(figure.is_finite() && figure >= 0.0, "{at:?} {quantiles:?}");
        }
        prop_assert!(at.throughput <= rate && at.utilisation <= 1.0);
    }

    #[test]
    fn more_load_is_never_faster(replica in replica(), low in 0.01..0.97f64, more in 1.01..1.5f64) {
        let high = (low * more).min(0.98);
        let (few, many) = (
            replica.at(low * replica.max_rate()).unwrap(),
            replica.at(high * replica.max_rate()).unwrap(),
        );
        prop_assert!(many.itl_seconds >= few.itl_seconds * (1.0 - 1e-9), "{few:?} {many:?}");
        prop_assert!(many.ttft_seconds >= few.ttft_seconds * (1.0 - 1e-9), "{few:?} {many:?}");
    }

    #[test]
    fn looser_targets_never_lower_the_rate(
        replica in replica(),
        ttft in scale(0.05, 20.0),
        itl in scale(0.005, 1.0),
        looser in 1.0..3.0f64,
        percentile in 0.9..0.995f64,
    ) {
        let rate = |ttft, itl, percentile| {
            let targets = Targets { ttft_seconds: Some(ttft), itl_seconds: Some(itl), percentile };
            size(&replica, &targets, &Tail::prior(), None).map_or(0.0, |sized| sized.rate)
        };
        let strict = rate(ttft, itl, percentile);
        let slack = 1.01;
        prop_assert!(rate(looser * ttft, itl, percentile) * slack >= strict);
        prop_assert!(rate(ttft, looser * itl, percentile) * slack >= strict);
        let laxer = rate(ttft, itl, 2.0 * percentile - 1.0);
        prop_assert!(laxer * slack >= strict, "{laxer} < {strict}");
    }

    #[test]
    fn sized_rate_meets_its_own_prediction(
        replica in replica_in(prop_oneof![Just(Role::Both), Just(Role::Prefill)]),
        itl in scale(0.005, 1.0)) {
        let targets = Targets { ttft_seconds: Some(5.0), itl_seconds: Some(itl), percentile: 0.95 };
        if let Ok(sized) = size(&replica, &targets, &Tail::prior(), None) {
            prop_assert!(sized.rate > 0.0 && sized.rate <= replica.max_rate());
            prop_assert!(sized.quantiles.ttft_seconds <= 5.05, "{sized:?}");
        }
    }

    #[test]
    fn absurd_numbers_are_refused_without_panic(
        role in role(),
        iteration in (anything(), anything(), anything()),
        lengths in (anything(), anything(), anything(), anything(), anything()),
        batch in (any::<u32>(), any::<u32>(), any::<Option<u64>>(), any::<u32>()),
        asked in (anything(), anything(), anything(), anything(), anything()),
    ) {
        let replica = Replica::in_role(
            role,
            Iteration {
                base_seconds: iteration.0,
                token_seconds: iteration.1,
                kv_token_seconds: iteration.2,
            },
            Lengths {
                input_tokens: lengths.0,
                output_tokens: lengths.1,
                cached_tokens: lengths.2,
                spread: Spread { input: lengths.3, output: lengths.4 },
            },
            Batch {
                max_sequences: batch.0,
                max_batched_tokens: batch.1,
                kv_capacity_tokens: batch.2,
                max_waiting: batch.3,
            },
        );
        let Ok(replica) = replica else { return Ok(()) };
        prop_assert!(replica.max_rate().is_finite() && replica.max_rate() > 0.0);
        let (ttft, itl, percentile, hint, rate) = asked;
        let targets = Targets { ttft_seconds: Some(ttft), itl_seconds: Some(itl), percentile };
        if let Ok(sized) = size(&replica, &targets, &Tail::prior(), Some(hint)) {
            prop_assert!(sized.rate.is_finite() && sized.rate > 0.0, "{sized:?}");
            prop_assert!(sized.operation.ttft_seconds.is_finite(), "{sized:?}");
        }
        if let Ok(at) = replica.at(rate) {
            prop_assert!(at.ttft_seconds.is_finite() && at.itl_seconds.is_finite(), "{at:?}");
        }
    }

    #[test]
    fn tracker_stays_finite_whatever_it_sees(
        role in role(),
        seen in proptest::collection::vec(
            (anything(), anything(), anything(), anything(), anything(), anything()), 1..30),
    ) {
        let mut tracker = Tracker::new(Iteration {
            base_seconds: 0.01,
            token_seconds: 1e-4,
            kv_token_seconds: 1e-7,
        });
        for (rate, requests, ttft, itl, input, running) in seen {
            tracker.update(&Observation {
                role,
                rate,
                requests,
                lengths: Lengths::new(input, 200.0),
                batch: Batch {
                    max_sequences: 256,
                    max_batched_tokens: 8192,
                    kv_capacity_tokens: None,
                    max_waiting: 2560,
                },
                ttft_seconds: Some(ttft),
                itl_seconds: Some(itl),
                running: Some(running),
            });
            prop_assert!(tracker.state.iter().all(|x| x.is_finite() && *x > 0.0));
            prop_assert!(tracker.covariance.iter().all(|x| x.is_finite()), "{tracker:?}");
            prop_assert!(tracker.confidence().relative_error.is_finite());
        }
    }
}
