//! Numbers that are possible and yet absurd: refused before they cost time or memory.

use super::*;

#[test]
fn more_than_fits_a_run_is_refused() {
    refused(
        "duration-seconds: 120",
        "duration-seconds: 1e300",
        "s.yaml: duration-seconds: is 1e300; expected a number above 0 and up to 31622400",
    );
    refused(
        "duration-seconds: 120",
        "duration-seconds: 120\ndrain-seconds: .inf",
        "s.yaml: drain-seconds: is inf; expected a number from 0 to 86400",
    );
    refused(
        "duration-seconds: 120",
        "duration-seconds: 120\ntiming: {tick-seconds: 1e-9}",
        "s.yaml: timing.tick-seconds: is 1e-9; expected a number from 0.1 to 86400",
    );
    refused(
        "duration-seconds: 120",
        "duration-seconds: 8e6\ntiming: {scrape-seconds: 1}",
        "s.yaml: pools[0].workload.generate: would be 240000000 requests; expected at most \
         50000000: a lower rate, or less time",
    );
    let long = SMALL.replace("rate: 30", "rate: 0.001").replace(
        "duration-seconds: 120",
        "duration-seconds: 8e6\ntiming: {scrape-seconds: 1}",
    );
    assert_eq!(
        resolved(&long).unwrap_err(),
        "s.yaml: timing.scrape-seconds: is 1, which is 8000600 turns in the 8000600 s of the run; \
         expected at most 1000000: at least 8.1, or less time"
    );
}

#[test]
fn bursts_in_too_many_turns_are_refused() {
    let turns = SMALL
        .replace("duration-seconds: 120", "duration-seconds: 20e6")
        .replace(
            "poisson: {rate: 30}",
            "bursts: {on-rate: 0, on-seconds: 0.1, off-seconds: 0.1}",
        );
    assert_eq!(
        resolved(&turns).unwrap_err(),
        "s.yaml: pools[0].workload.generate.arrivals[0].bursts: is 200000000 turns; expected at \
         most 10000000: longer ones, or less time"
    );
}

/// What a trace with these options is refused with.
fn refused_options(overrides: Overrides) -> String {
    let file = trace();
    let scenario = Scenario::for_trace(file.path()).unwrap();
    scenario.resolve(&overrides).unwrap_err().to_string()
}

#[test]
fn options_are_refused_by_their_own_name() {
    assert_eq!(
        refused_options(Overrides {
            rate_scale: Some(0.0),
            ..Overrides::default()
        }),
        "--rate-scale: is 0; expected a number above 0 and up to 1000000"
    );
    assert_eq!(
        refused_options(Overrides {
            spread_seconds: Some(-1.0),
            ..Overrides::default()
        }),
        "--spread: is -1; expected a number from 0 to 31622400"
    );
    assert_eq!(
        refused_options(Overrides {
            repeat: Some(0),
            ..Overrides::default()
        }),
        "--repeat: is 0; expected a whole number from 1 to 1000000"
    );
    let scenario = Scenario::parse("s.yaml", SMALL, Path::new("")).unwrap();
    let nothing = Overrides {
        rate_scale: Some(f64::NAN),
        ..Overrides::default()
    };
    assert_eq!(
        scenario.resolve(&nothing).unwrap_err().to_string(),
        "--rate-scale: is NaN; expected a number above 0 and up to 1000000"
    );
    let missing = Overrides {
        trace: Some("no.csv".into()),
        ..Overrides::default()
    };
    assert_eq!(
        scenario.resolve(&missing).unwrap_err().to_string(),
        "--trace: the trace is refused"
    );
}

/// Repeating comes before thinning, so that a small factor does not make a large repeat small.
#[test]
fn repeats_are_bounded_by_requests_and_by_time() {
    let many = refused_options(Overrides {
        repeat: Some(1_000_000),
        rate_scale: Some(1e-6),
        ..Overrides::default()
    });
    assert!(
        many.ends_with(
            "pools[0].workload.trace: would be 600000000 requests; expected at most 50000000: a \
             lower rate, or less time"
        ),
        "{many}"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    let days = "Timestamp,Model,Request tokens,Response tokens\n0,m,9,9\n86400,m,9,9\n";
    std::fs::write(file.path(), days).unwrap();
    let overrides = Overrides {
        repeat: Some(200),
        ..Overrides::default()
    };
    let scenario = Scenario::for_trace(file.path()).unwrap();
    assert_eq!(
        scenario.resolve(&overrides).unwrap_err().to_string(),
        "--repeat: the trace would last 400 days, played 200 times; expected at most 366 days"
    );
}
