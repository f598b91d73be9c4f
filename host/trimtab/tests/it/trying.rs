//! `trimtab simulate` with policies of a pool's own, shadows, an experiment, and swaps.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::{TempDir, tempdir};
use trimtab_sim::run::START_MS;

use crate::command::{Ended, trimtab};

/// Twenty minutes of one pool; `KEYS` stands for keys of the pool, and what is top-level follows.
const SCENARIO: &str = "\
name: small
duration-seconds: 1200
pools:
  - name: chat
    model: Llama-3.1-8B
    objective: {ttft-seconds: 1, itl-seconds: 0.05}
    workload:
      generate:
        arrivals: [{daily-cycle: {trough: 5, peak: 30, period-seconds: 600}}]
        input-tokens: {mean: 512}
        output-tokens: {mean: 64}
    variants:
      - {name: l40s, accelerator: L40S, max-replicas: 8, startup: {mean-seconds: 30}}
    KEYS
";

const SHADOWS: &str = "\
shadows:
      - {name: roomy, analyzers: [{policy: 'builtin:queueing-analyzer', settings: {headroom: 1}}]}
      - {name: alike, optimizer: {policy: 'builtin:cost-optimizer'}}
";

/// A candidate that is what the pool has.
const ALIKE: &str = "\
experiment:
      candidate: {optimizer: {policy: 'builtin:cost-optimizer'}}
      slot-seconds: 120
      washout-seconds: 30
      seed: 7
      max-slots: 8
";

/// The scenario in a directory of its own, with a component beside it: the shipped optimizer, told
/// apart by a section that says nothing.
fn scenario(keys: &str) -> TempDir {
    let directory = tempdir().unwrap();
    let text = SCENARIO.replace("KEYS", keys);
    let folder = directory.path().join("mine");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("s.yaml"), text).unwrap();
    let mut component = trimtab_sandbox::builtin("cost-optimizer").unwrap().to_vec();
    component.extend(b"\0\x05\x04mine");
    fs::write(folder.join("mine.wasm"), component).unwrap();
    directory
}

fn simulate(directory: &TempDir, more: &[&str]) -> Ended {
    let arguments = [&["simulate", "mine/s.yaml"], more].concat();
    trimtab(directory.path(), &arguments)
}

fn written(directory: &TempDir, name: &str) -> String {
    fs::read_to_string(directory.path().join("simulation").join(name)).unwrap()
}

fn run(directory: &TempDir) -> Value {
    let summary: Value = serde_json::from_str(&written(directory, "summary.json")).unwrap();
    summary.pointer("/runs/0").unwrap().clone()
}

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Instant in seconds from the start, and the optimizer's digest.
fn optimizers(decisions: &[Value]) -> Vec<(u64, &str)> {
    let of = |decision| {
        let at = Value::pointer(decision, "/now-ms").unwrap();
        let digest = "/plan/call/answered-by/digest";
        let digest = Value::pointer(decision, digest).unwrap();
        let seconds = (at.as_u64().unwrap() - START_MS) / 1000;
        (seconds, digest.as_str().unwrap())
    };
    decisions.iter().map(of).collect()
}

#[test]
fn shadows_are_told_of_and_change_no_decision() {
    let (with, without) = (scenario(SHADOWS), scenario(""));
    let table = simulate(&with, &[]).succeeded().stdout;
    assert!(
        table.contains("Shadows") && table.contains("roomy"),
        "{table}"
    );
    simulate(&without, &[]).succeeded();
    let decisions = written(&with, "decisions.jsonl");
    assert_eq!(decisions, written(&without, "decisions.jsonl"));
    assert!(run(&without)["shadows"].is_null());
    assert!(!without.path().join("simulation/shadows.jsonl").exists());

    let asked = written(&with, "shadows.jsonl");
    let ticks = decisions.lines().count();
    let lines = lines(&asked);
    assert_eq!(lines.len(), 2 * ticks);
    assert_eq!(lines[0]["candidate"], "alike");
    assert_eq!(lines[1]["candidate"], "roomy");
    assert!(
        lines[1]["proposal"]["variants"][0]["desired"].is_u64(),
        "{}",
        lines[1]
    );
    let shadows = run(&with)["shadows"].clone();
    assert_eq!(shadows[0]["candidate"], "alike");
    assert_eq!(shadows[0]["disagreement_rate"], 0.0);
    assert_eq!(shadows[1]["ticks"], ticks as u64);
    assert!(
        shadows[1]["disagreement_rate"].as_f64().unwrap() > 0.25,
        "{shadows}"
    );
    assert!(
        shadows[1]["mean_differences"]["l40s"].as_f64().unwrap() > 0.25,
        "{shadows}"
    );
    let page = written(&with, "report.html");
    assert!(page.contains("<h3>Shadows</h3>") && page.contains("roomy"));

    // The same again, byte for byte.
    simulate(&with, &[]).succeeded();
    assert_eq!(asked, written(&with, "shadows.jsonl"));

    // A run without shadows leaves none of an earlier one.
    let text = SCENARIO.replace("KEYS", "");
    fs::write(with.path().join("mine/s.yaml"), text).unwrap();
    simulate(&with, &[]).succeeded();
    assert!(!with.path().join("simulation/shadows.jsonl").exists());
}

#[test]
fn an_experiment_of_a_policy_with_itself_has_both_arms_and_finds_nothing() {
    let directory = scenario(ALIKE);
    let table = simulate(&directory, &[]).succeeded().stdout;
    assert!(
        table.contains("No difference in cost can be told"),
        "{table}"
    );
    let decisions = lines(&written(&directory, "decisions.jsonl"));
    for arm in ["control", "candidate"] {
        let ticks = decisions.iter().filter(|decision| decision["arm"] == arm);
        // Four slots of eight ticks.
        assert_eq!(ticks.count(), 32, "{arm}");
    }
    let experiment = run(&directory)["experiments"][0].clone();
    assert_eq!(experiment["pool"], "chat");
    assert_eq!(experiment["phase"], "done");
    assert_eq!(experiment["pairs"], 4);
    assert_eq!(experiment["candidate"]["slots"], 4);
    let interval = &experiment["effects"]["cost_per_hour"]["interval"];
    let end = |index: usize| interval[index].as_f64().unwrap();
    assert!(end(0) <= 0.0 && end(1) >= 0.0, "{experiment}");
    let page = written(&directory, "report.html");
    assert!(page.contains("<h3>Experiment</h3>"));
}

#[test]
fn a_swap_is_the_next_decisions_digest() {
    let swap = "\nswaps:\n  - {at-seconds: 300, pool: chat, optimizer: {policy: ./mine.wasm}}";
    let directory = scenario(swap);
    let table = simulate(&directory, &[]).succeeded().stdout;
    assert!(table.contains("5:00 chat: cost-optimizer"), "{table}");
    let run = run(&directory);
    let swap = &run["swaps"][0];
    assert_eq!(swap["at_seconds"], 300.0);
    let digest = |when: &str| {
        swap[when]["optimizer"]["digest"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (before, after) = (digest("before"), digest("after"));
    assert_ne!(before, after);
    let decisions = lines(&written(&directory, "decisions.jsonl"));
    for (second, digest) in optimizers(&decisions) {
        let expected = if second < 300 { &before } else { &after };
        assert_eq!(digest, expected, "at {second}");
    }
    assert!(written(&directory, "report.html").contains("Swapped at 5:00: cost-optimizer"));
}

#[test]
fn the_command_line_replaces_what_pools_do_not_name() {
    let digests = |keys: &str| {
        let directory = scenario(keys);
        simulate(&directory, &["--optimizer", "mine/mine.wasm"]).succeeded();
        let decisions = lines(&written(&directory, "decisions.jsonl"));
        let decided = optimizers(&decisions)[0].1.to_owned();
        let named = run(&directory)["optimizer"]["digest"].clone();
        (decided, named.as_str().unwrap().to_owned())
    };
    let (decided, named) = digests("");
    assert_eq!(decided, named);
    let (own, _) = digests("policies: {optimizer: {policy: 'builtin:cost-optimizer'}}");
    assert_ne!(own, named);
}

#[test]
fn what_is_wrong_with_a_policy_is_told_before_the_run_with_its_path() {
    let refused = |keys: &str, parts: &[&str]| {
        let directory = scenario(keys);
        simulate(&directory, &[]).failed_with(parts);
        assert!(!directory.path().join("simulation").exists(), "it ran");
    };
    let optimizer = "optimizer: {policy: 'builtin:cost-optimizer', settings: {foo: 1}}";
    refused(
        &format!(
            "shadows: [{{name: a, optimizer: {{policy: mine.wasm}}}}, {{name: b, {optimizer}}}]"
        ),
        &["mine/s.yaml: pools[0].shadows[1].optimizer.settings.foo: `foo` is not known"],
    );
    refused(
        &format!("experiment: {{candidate: {{{optimizer}}}}}"),
        &["mine/s.yaml: pools[0].experiment.candidate.optimizer.settings.foo: "],
    );
    refused(
        &format!("\nswaps: [{{at-seconds: 60, pool: chat, {optimizer}}}]"),
        &["mine/s.yaml: swaps[0].optimizer.settings.foo: "],
    );
    // What the schema does not say, the policy says itself.
    refused(
        "policies: {analyzers: [{policy: 'builtin:queueing-analyzer', settings: {headroom: -1}}]}",
        &[
            "mine/s.yaml: pools[0].policies.analyzers[0].settings: ",
            "headroom",
        ],
    );
    refused(
        "policies: {optimizer: {policy: other.wasm}}",
        &[
            "mine/s.yaml: pools[0].policies.optimizer.policy: cannot be used",
            "mine/other.wasm",
        ],
    );
    refused(
        "policies: {analyzers: [{policy: 'builtin:cost-optimizer'}]}",
        &[
            "pools[0].policies.analyzers[0].policy: cannot be used",
            "no role `analyzer`",
        ],
    );
}

#[test]
fn the_shipped_trial_shows_all_of_it() {
    let directory = tempdir().unwrap();
    let arguments = ["simulate", "trial", "--rate-scale", "0.02", "--json"];
    let summary = trimtab(directory.path(), &arguments).succeeded().json();
    let run = &summary["runs"][0];
    for tried in ["pool_policies", "shadows", "experiments", "swaps"] {
        assert!(run[tried].is_array(), "{tried}");
    }
    assert!(Path::exists(
        &directory.path().join("simulation/shadows.jsonl")
    ));
}
