//! Numbers that are possible and yet absurd: refused before they cost time or memory.

use super::*;

#[test]
fn more_than_fits_a_run_is_refused() {
    refused(
        "duration-seconds: 120",
        "duration-seconds: 1e300",
        "s.yaml: duration-seconds: is 1e300; expected a number from 1 to 31622400",
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
fn windows_that_cannot_be_are_refused() {
    refused(
        "duration-seconds: 120",
        "duration-seconds: 120\ntiming: {window-seconds: 1}",
        "s.yaml: timing.window-seconds: is 1; expected a number from 2 to 3600",
    );
    refused(
        "duration-seconds: 120",
        "duration-seconds: 120\ntiming: {long-window-seconds: 30}",
        "s.yaml: timing.long-window-seconds: is 30; expected at least `window-seconds`, which is 60",
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

#[test]
fn caches_that_hold_no_block_or_no_request_are_refused() {
    let constants = |tokens: u32| format!("constants: {{kv-capacity-tokens: {tokens}}}");
    refused(
        "max-replicas: 4",
        &constants(15),
        "s.yaml: pools[0].variants[1].constants.kv-capacity-tokens: is 15; expected at least one \
         block, which is 16 tokens",
    );
    let fixed = SMALL
        .replace("mean: 1000", "mean: 1000, cv: 0")
        .replace("mean: 200", "mean: 200, cv: 0");
    let with = |setting: &str| resolved(&fixed.replace("max-replicas: 4", setting)).map(|_| ());
    let problem = |longest: u32| {
        format!(
            "s.yaml: pools[0].variants[1]: takes requests of at most {longest} tokens, prompt and \
             answer together, and the shortest of the workload has 1200; expected a larger KV \
             cache, `max-model-length`, or without `chunked-prefill` `max-batched-tokens`"
        )
    };
    // The last token of an answer is never held.
    assert_eq!(with(&constants(1198)).unwrap_err(), problem(1185));
    assert_eq!(
        with("engine: {max-model-length: 1199}").unwrap_err(),
        problem(1199)
    );
    with("engine: {max-model-length: 1200}").unwrap();
    with(&constants(1200)).unwrap();
}

#[test]
fn a_block_that_does_not_fit_is_told_from_weights_that_do_not() {
    let model = "models: {Llama-3.1-8B: {parameters-billions: 40}}\npools:";
    let error = resolved(&SMALL.replace("pools:", model))
        .map(|_| ())
        .unwrap_err();
    assert!(error.contains("the weights of 80.0 GB"), "{error}");
    let heads = "models: {Llama-3.1-8B: {kv-heads: 10000, layers: 10000}}\npools:";
    let error = resolved(&SMALL.replace("pools:", heads))
        .map(|_| ())
        .unwrap_err();
    let wanted = "s.yaml: pools[0].variants[0]: the model does not fit `H100`: weights and \
                  activations leave room for 1 tokens in the KV cache, which is less than one \
                  block of 16; a smaller `block-size`";
    assert!(error.starts_with(wanted), "{error}");
}

/// The guard holds one replica in any case: asking for it is no decision of the run.
#[test]
fn a_pool_that_may_not_be_at_zero_starts_with_a_replica() {
    let initial = |yaml: &str| -> Vec<u32> {
        let spec = resolved(yaml).unwrap();
        let variants = spec.pools[0].variants.iter();
        variants.map(|variant| variant.initial_replicas).collect()
    };
    let quiet = SMALL
        .replace("rate: 30", "rate: 0")
        .replace("min-replicas: 1, ", "");
    assert_eq!(initial(&quiet), [0, 1], "the cheaper one");
    let gone = quiet.replace("A100: 4", "A100: 0");
    assert_eq!(initial(&gone), [1, 0], "the one that there are GPUs for");
    let none = quiet.replace("{H100: 8, A100: 4}", "{}");
    assert_eq!(initial(&none), [0, 1], "it waits for GPUs");
    let may = none.replace(
        "    workload:",
        "    rules: {scale-to-zero-after-seconds: 60}\n    workload:",
    );
    assert_eq!(initial(&may), [0, 0]);
    let given = quiet.replace("max-replicas: 4", "max-replicas: 4, initial-replicas: 0");
    assert_eq!(initial(&given), [1, 0], "what is given stays");
}

#[test]
fn a_behavior_is_what_kubernetes_takes() {
    let rules = |behavior: &str| format!("    rules: {{behavior: {behavior}}}\n    workload:");
    let yaml = SMALL.replace(
        "    workload:",
        &rules("{scaleDown: {stabilizationWindowSeconds: 60}, scaleUp: ~}"),
    );
    let behavior = resolved(&yaml).unwrap().pools[0]
        .rules
        .behavior
        .clone()
        .unwrap();
    assert_eq!(behavior.scale_down.stabilization_window_seconds, 60);
    assert_eq!(behavior.scale_down.policies.len(), 1);
    assert_eq!(behavior.scale_up.policies.len(), 2);
    refused(
        "    workload:",
        &rules("{scaleUp: {policies: []}}"),
        "s.yaml: pools[0].rules.behavior.scaleUp.policies: is empty; expected at least one policy",
    );
    refused(
        "    workload:",
        &rules("{scaleDown: {policies: [{type: Pods, value: 0, periodSeconds: 60}]}}"),
        "s.yaml: pools[0].rules.behavior.scaleDown.policies[0].value: is 0; expected a whole number \
         from 1 to 2147483647",
    );
}

#[test]
fn what_contradicts_its_neighbour_is_refused() {
    refused(
        "pools:",
        "models: {Llama-3.1-8B: {active-parameters-billions: 100}}\npools:",
        "s.yaml: models.Llama-3.1-8B.active-parameters-billions: is 100; expected at most \
         `parameters-billions`, which is 8.03",
    );
    refused(
        "poisson: {rate: 30}",
        "daily-cycle: {trough: 20, peak: 2}",
        "s.yaml: pools[0].workload.generate.arrivals[0].daily-cycle.peak: is 2; expected at least \
         `trough`, which is 20",
    );
}
