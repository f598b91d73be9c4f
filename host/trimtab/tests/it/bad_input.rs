//! Bad input is refused with what is wrong, where, and what would be right. Nothing panics.

use std::fs;

use tempfile::tempdir;

use crate::command::trimtab;

/// A scenario that is right; each test breaks one thing in it.
const SCENARIO: &str = "\
name: small
duration-seconds: 120
pools:
  - name: chat
    model: Llama-3.1-8B
    objective: {ttft-seconds: 1, itl-seconds: 0.05}
    workload:
      generate:
        arrivals: [{poisson: {rate: 1}}]
        input-tokens: {mean: 512}
        output-tokens: {mean: 64}
    variants:
      - name: h100
        accelerator: H100
        cost-per-hour: 4
        min-replicas: 1
        max-replicas: 4
";

#[test]
fn the_scenario_that_is_broken_here_is_right() {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("scenario.yaml"), SCENARIO).unwrap();
    trimtab(directory.path(), &["simulate", "scenario.yaml"]).succeeded();
}

#[test]
fn an_unknown_key_is_named_with_its_place() {
    refused(
        "min-replicas: 1",
        "minimum-replicas: 1",
        &["variants[0]", "minimum-replicas", "line"],
    );
}

#[test]
fn an_unknown_accelerator_is_named_with_the_known_ones() {
    refused(
        "H100",
        "H900",
        &["pools[0].variants[0].accelerator", "H900", "L40S"],
    );
}

#[test]
fn an_unknown_model_is_named_with_the_known_ones() {
    refused(
        "Llama-3.1-8B",
        "llama-9",
        &["pools[0].model", "llama-9", "Llama-3.1-8B"],
    );
}

#[test]
fn a_minimum_above_the_maximum_is_refused() {
    refused(
        "min-replicas: 1",
        "min-replicas: 9",
        &["pools[0].variants[0]", "9", "4"],
    );
}

#[test]
fn a_negative_price_is_refused() {
    refused(
        "cost-per-hour: 4",
        "cost-per-hour: -4",
        &["pools[0].variants[0].cost-per-hour", "-4"],
    );
}

#[test]
fn a_scenario_that_is_not_there_is_named() {
    let directory = tempdir().unwrap();
    trimtab(directory.path(), &["simulate", "nowhere.yaml"])
        .failed_with(&["nowhere.yaml", "built-in"]);
}

#[test]
fn a_bad_line_of_a_trace_is_named() {
    let text = "TIMESTAMP,ContextTokens,GeneratedTokens\n\
                2023-11-16 18:00:00.0000000,512,64\n\
                2023-11-16 18:00:01.0000000,many,64\n";
    refused_trace(text, &["trace.csv", "3", "many"]);
}

#[test]
fn a_trace_without_requests_is_refused() {
    refused_trace("TIMESTAMP,ContextTokens,GeneratedTokens\n", &["trace.csv"]);
    refused_trace("", &["trace.csv"]);
}

#[test]
fn a_trace_with_an_absurd_time_is_refused_at_once() {
    let azure = "TIMESTAMP,ContextTokens,GeneratedTokens\n\
                 2023-11-16 18:00:00,512,64\n9999-12-30 18:00:01,512,64\n";
    refused_trace(azure, &["--trace", "trace.csv:3", "300 years"]);
    let mooncake = "{\"timestamp\": 0, \"input_length\": 9, \"output_length\": 3}\n\
                    {\"timestamp\": 1e300, \"input_length\": 9, \"output_length\": 3}\n";
    refused_trace(mooncake, &["trace.csv:2", "300 years"]);
}

#[test]
fn an_option_is_blamed_by_its_own_name() {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("scenario.yaml"), SCENARIO).unwrap();
    let arguments = ["simulate", "scenario.yaml", "--rate-scale", "0"];
    trimtab(directory.path(), &arguments)
        .failed_with(&["error: --rate-scale: is 0; expected a number above 0"]);
}

#[test]
fn a_fleet_without_gpus_changes_nothing_and_costs_nothing() {
    let directory = tempdir().unwrap();
    let none = SCENARIO
        .replace("pools:", "inventory: {}\npools:")
        .replace("min-replicas: 1", "min-replicas: 0");
    fs::write(directory.path().join("scenario.yaml"), none).unwrap();
    let ended = trimtab(directory.path(), &["simulate", "scenario.yaml"]).succeeded();
    assert!(!ended.stdout.contains("-0"), "{}", ended.stdout);
    let summary = fs::read(directory.path().join("simulation/summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap();
    assert_eq!(summary["runs"][0]["replica_changes"], 0);
    assert_eq!(summary["runs"][0]["requests"]["served"], 0);
}

#[test]
fn a_trace_that_is_not_there_is_named() {
    let directory = tempdir().unwrap();
    trimtab(directory.path(), &["simulate", "--trace", "nowhere.csv"])
        .failed_with(&["nowhere.csv", "No such file"]);
}

#[test]
fn a_wrong_policy_is_refused_before_anything_runs() {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("bad.wasm"), "no component").unwrap();
    trimtab(directory.path(), &["simulate", "--analyzer", "bad.wasm"])
        .failed_with(&["bad.wasm", "not a component"]);
    trimtab(
        directory.path(),
        &["simulate", "--analyzer", "builtin:cost-optimizer"],
    )
    .failed_with(&["builtin:cost-optimizer", "no role `analyzer`"]);
    assert!(!directory.path().join("simulation").exists());
}

#[test]
fn settings_that_a_policy_does_not_know_or_take_are_refused_before_the_run() {
    let set = |role: &str, settings: &str, parts: &[&str]| {
        let policies = format!("policies: {{{role}: {{settings: {settings}}}}}\npools:");
        refused("pools:", &policies, parts);
    };
    set(
        "analyzer",
        "{foo: 1}",
        &["policies.analyzer.settings.foo", "not known", "headroom"],
    );
    set(
        "analyzer",
        "{headroom: much}",
        &["policies.analyzer.settings.headroom", "number"],
    );
    // The schema does not say this: the policy does.
    set(
        "analyzer",
        "{scale-down-utilization: 0.99}",
        &[
            "policies.analyzer.settings",
            "scale-down-utilization: 0.99 is not below",
        ],
    );
    set(
        "optimizer",
        "{switch-saving-percent: 100}",
        &["policies.optimizer.settings.switch-saving-percent", "99"],
    );
    set("optimizer", "[1]", &["policies.optimizer.settings"]);
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let directory = tempdir().unwrap();
    for arguments in [
        &["simulate", "--compare", "kpa"][..],
        &["simulate", "--seed", "-1"],
        &["simulate", "--rate-scale", "much"],
        &[
            "policy",
            "call",
            "builtin:cost-optimizer",
            "improve",
            "input.json",
        ],
        &["fly"],
    ] {
        let ended = trimtab(directory.path(), arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
    }
}

#[test]
fn an_output_directory_that_cannot_be_is_named() {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("scenario.yaml"), SCENARIO).unwrap();
    fs::write(directory.path().join("taken"), "").unwrap();
    trimtab(
        directory.path(),
        &["simulate", "scenario.yaml", "--out", "taken"],
    )
    .failed_with(&["output directory", "taken"]);
}

#[track_caller]
fn refused(right: &str, wrong: &str, parts: &[&str]) {
    let directory = tempdir().unwrap();
    let broken = SCENARIO.replace(right, wrong);
    assert_ne!(broken, SCENARIO, "nothing was broken");
    fs::write(directory.path().join("scenario.yaml"), broken).unwrap();
    let named: Vec<&str> = parts.iter().copied().chain(["scenario.yaml"]).collect();
    trimtab(directory.path(), &["simulate", "scenario.yaml"]).failed_with(&named);
}

#[track_caller]
fn refused_trace(text: &str, parts: &[&str]) {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("trace.csv"), text).unwrap();
    trimtab(directory.path(), &["simulate", "--trace", "trace.csv"]).failed_with(parts);
}
