//! Numbers published for WVA's analyzer (its version of 2026-02-19). Times in ms, rates in 1/ms
//! inside and 1/s where it gives them so; it computes in single precision.

use trimtab_models::chain::{Chain, solve, solve_constant};
use trimtab_models::plain::{
    Found, PlainOperation, PlainReplica, PlainTargets, bisect, within_tolerance,
};
use trimtab_models::{Iteration, Lengths, ModelError};

#[track_caller]
fn close(value: f64, expected: f64) {
    let off = if expected == 0.0 {
        value
    } else {
        value / expected - 1.0
    };
    assert!(off.abs() < 1e-4, "{value}, expected {expected}");
}

fn replica(constants: [f64; 3], input: f64, output: f64, batch: u32, queue: u32) -> PlainReplica {
    let iteration = Iteration {
        base_seconds: constants[0],
        token_seconds: constants[1],
        kv_token_seconds: constants[2],
    };
    PlainReplica::new(iteration, Lengths::new(input, output), batch, queue).unwrap()
}

fn published() -> PlainReplica {
    replica([1.0, 0.01, 0.001], 100.0, 10.0, 8, 16)
}

#[test]
fn prefill_time_agrees() {
    for (input, n, expected) in [
        (0.0, 4.0, 0.0),
        (1000.0, 1.0, 32.0),
        (2000.0, 8.0, 208.0),
        (500.0, 2.5, 29.25),
    ] {
        close(
            replica([10.0, 0.01, 0.001], input, 0.0, 8, 0).prefill(n),
            expected,
        );
    }
}

#[test]
fn decode_time_agrees() {
    let replica = replica([1.0, 0.1, 0.01], 1.0, 1.0, 8, 0);
    for (n, expected) in [(1.0, 1.23), (4.0, 1.575), (8.0, 2.035), (2.5, 1.4025)] {
        close(replica.decode(n), expected);
    }
}

#[test]
fn tolerance_is_relative() {
    assert!(within_tolerance(1.005, 1.0, 0.01));
    assert!(!within_tolerance(1.02, 1.0, 0.01));
    assert!(!within_tolerance(0.1, 0.0, 0.01));
    assert!(within_tolerance(1.0, 1.0, -0.01));
    assert!(within_tolerance(0.0, 0.0, 0.01));
}

#[test]
fn search_tells_where_a_target_lies() {
    let found = |f: fn(f64) -> f64, least, most, target| {
        bisect(least, most, target, |x| Ok::<_, ModelError>(f(x)))
    };
    let Ok(Found::Inside(x)) = found(|x| x * x, 0.0, 10.0, 4.0) else {
        panic!("not inside")
    };
    close(x, 2.0);
    assert_eq!(
        found(|x| 2.0 * x, 2.0, 5.0, 1.0),
        Ok(Found::Below {
            at: 2.0,
            value: 4.0
        })
    );
    assert_eq!(
        found(|x| 2.0 * x, 1.0, 3.0, 10.0),
        Ok(Found::Above {
            at: 3.0,
            value: 6.0
        })
    );
    let Ok(Found::Inside(x)) = found(|x| -x, 1.0, 5.0, -3.0) else {
        panic!("not inside")
    };
    close(x, 3.0);
    assert!(found(|x| x, 5.0, 1.0, 3.0).is_err());
    assert_eq!(found(|x| 2.0 * x, 1.0, 5.0, 2.0), Ok(Found::Inside(1.0)));
}

#[test]
fn constant_server_takes_the_same_rates() {
    for (arrivals, service, valid) in [
        (1.0, 2.0, true),
        (0.0, 2.0, true),
        (-1.0, 2.0, false),
        (1.0, 0.0, false),
        (1.0, -1.0, false),
        (9.9, 1.0, true),
        (11.0, 1.0, false),
    ] {
        let solved = solve_constant(arrivals, service, 10);
        assert_eq!(solved.is_ok(), valid, "{arrivals} at {service}");
    }
}

#[track_caller]
fn check(chain: &Chain, expected: [f64; 7]) {
    let [empty, full, in_system, throughput, response, service, wait] = expected;
    close(chain.empty, empty);
    close(chain.full, full);
    close(chain.in_system, in_system);
    close(chain.throughput, throughput);
    close(chain.response, response);
    close(chain.service, service);
    close(chain.wait, wait);
    close(chain.waiting, throughput * wait);
}

#[test]
fn constant_server_agrees() {
    check(
        &solve_constant(1.5, 3.0, 5).unwrap(),
        [
            0.5079365, 0.0158730, 0.9047619, 1.4761904, 0.61290324, 0.33333334, 0.2795699,
        ],
    );
    check(
        &solve_constant(2.0, 2.0, 3).unwrap(),
        [0.25, 0.25, 1.5, 1.5, 1.0, 0.5, 0.5],
    );
}

#[test]
fn constant_rates_make_a_constant_server() {
    for arrivals in [0.5, 1.5, 2.9] {
        let constant = solve_constant(arrivals, 3.0, 5).unwrap();
        let by_state = solve(arrivals, 1, 5, |_| 3.0).unwrap();
        close(by_state.in_system, constant.in_system);
        close(by_state.response, constant.response);
    }
}

#[test]
fn state_dependent_server_agrees() {
    let rates = |n: u32| [1.0, 2.0, 3.0][n as usize - 1];
    let at = |arrivals| solve(arrivals, 3, 5, rates).unwrap();
    let little = at(0.5);
    close(little.empty, 0.60610312);
    close(little.in_service, 0.4998246);
    close(little.in_system, 0.50263065);
    close(little.throughput, 0.4998246);
    close(little.response, 1.005614);
    close(little.service, 1.0);
    close(little.wait, 0.0056140);
    let more = at(1.5);
    close(more.empty, 0.21694915);
    close(more.full, 0.03050847);
    close(more.in_service, 1.4542373);
    close(more.in_system, 1.5762712);
    close(more.response, 1.0839161);
    close(more.wait, 0.0839161);
    close(more.waiting, 0.1220339);
    let most = at(2.8);
    close(most.empty, 0.05561572);
    close(most.full, 0.17725315);
    close(most.in_service, 2.3036911);
    close(most.in_system, 2.8481116);
    close(most.response, 1.2363253);
    close(most.wait, 0.2363253);
}

#[test]
fn utilisation_agrees() {
    let chain = solve(1.0, 3, 4, |n| f64::from(2 * n)).unwrap();
    close(chain.empty, 0.60631579);
    close(chain.full, 0.00210526);
    close(chain.in_service, 0.4989474);
    close(chain.throughput, 0.9978948);
    close(chain.response, 0.5021097);
    close(chain.wait, 0.0021097);
}

#[test]
fn replica_has_the_published_rates() {
    let replica = published();
    close(replica.iteration(1.0), 1.205);
    close(replica.iteration(8.0), 2.64);
    close(replica.prefill(1.0), 2.305);
    close(replica.prefill(8.0), 3.74);
    close(replica.decode(1.0), 1.32);
    close(replica.decode(8.0), 2.755);
    let (least, most) = replica.rates();
    close(1000.0 * least, 0.06449532);
    close(1000.0 * most, 255.41708);
}

#[track_caller]
fn check_operation(operation: &PlainOperation, expected: [f64; 8]) {
    let [
        throughput,
        response,
        wait,
        in_service,
        prefill,
        itl,
        ttft,
        utilisation,
    ] = expected;
    close(1000.0 * operation.throughput, throughput);
    close(operation.response, response);
    if wait == 0.0 {
        assert!(operation.wait.abs() < 1e-6);
    } else {
        close(operation.wait, wait);
    }
    close(operation.in_service, in_service);
    close(operation.prefill, prefill);
    close(operation.itl, itl);
    close(operation.ttft, ttft);
    close(operation.utilisation, utilisation);
}

#[test]
fn replica_agrees_at_published_rates() {
    let replica = published();
    let (least, most) = replica.rates();
    check_operation(
        &replica.at(least / 2.0).unwrap(),
        [
            0.03224766,
            15.506128,
            0.0,
            0.00050003635,
            2.1001024,
            1.3406026,
            3.440705,
            6.250454e-05,
        ],
    );
    check_operation(
        &replica.at(0.12774079).unwrap(),
        [
            127.74075, 21.89387, 0.19418716, 2.7719338, 2.6682463, 1.9031436, 4.7655773, 0.34649172,
        ],
    );
    check_operation(
        &replica.at(most).unwrap(),
        [
            243.55475, 56.377525, 26.063812, 7.383049, 3.613525, 2.6700187, 32.347355, 0.9228811,
        ],
    );
    for rate in [0.0, -1.0, 1.1 * most] {
        assert!(replica.at(rate).is_err(), "{rate}");
    }
}

#[test]
fn replica_without_prompts_agrees() {
    let replica = replica([1.0, 0.01, 0.001], 0.0, 10.0, 8, 16);
    let (least, most) = replica.rates();
    close(1000.0 * least, 0.09717315);
    close(1000.0 * most, 708.682);
    let operation = replica.at(0.3543896).unwrap();
    close(operation.response, 10.97311);
    close(operation.wait, 0.1491499);
    assert_eq!(operation.prefill, 0.0);
    close(operation.itl, 1.082396);
    close(operation.ttft, 1.2315459);
    close(operation.utilisation, 0.47948712);
}

#[test]
fn sizing_agrees() {
    let replica = published();
    let sized = replica
        .size(&PlainTargets {
            ttft: Some(50.0),
            itl: Some(5.0),
            tokens: Some(0.1),
        })
        .unwrap();
    close(1000.0 * sized.rate_for_ttft, 255.41708);
    close(1000.0 * sized.rate_for_itl, 255.41708);
    close(1000.0 * sized.rate_for_tokens, 229.87537);
    close(1000.0 * sized.operation.throughput, 226.95076);
    close(sized.operation.ttft, 20.213392);
    close(sized.operation.itl, 2.557836);
    let free = replica.size(&PlainTargets::default()).unwrap();
    close(1000.0 * free.rate_for_tokens, 255.41708);
    close(free.operation.ttft, 32.347355);
    close(free.operation.itl, 2.6700187);
    close(10_000.0 * free.operation.throughput, 2435.5474);
}

#[test]
fn sizing_refuses_what_cannot_be_met() {
    let with_ttft = |ttft| {
        published().size(&PlainTargets {
            ttft: Some(ttft),
            ..PlainTargets::default()
        })
    };
    assert!(matches!(
        with_ttft(1.0),
        Err(ModelError::TargetUnreachable { what: "TTFT", .. })
    ));
    assert!(matches!(with_ttft(-1.0), Err(ModelError::Invalid { .. })));
}
