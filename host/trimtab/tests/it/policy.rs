//! `trimtab policy`.

use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::command::{command, trimtab};

const ANALYZER: &str = "builtin:queueing-analyzer";
const OPTIMIZER: &str = "builtin:cost-optimizer";

#[test]
fn a_policy_says_what_it_is() {
    let directory = tempdir().unwrap();
    let text = trimtab(directory.path(), &["policy", "inspect", ANALYZER])
        .succeeded()
        .stdout;
    for part in [
        "queueing-analyzer 0.1.0",
        "roles     analyzer",
        "sha256:",
        "imports   none",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

#[test]
fn a_policy_says_the_same_as_json() {
    let directory = tempdir().unwrap();
    let inspect = ["policy", "inspect", OPTIMIZER, "--json"];
    let json = trimtab(directory.path(), &inspect).succeeded().json();
    assert_eq!(json["descriptor"]["name"], "cost-optimizer");
    assert_eq!(json["roles"], json!(["optimizer"]));
    assert_eq!(json["imports"], json!([]));
    assert!(json["size"].as_u64().is_some_and(|bytes| bytes > 1000));
    let schema = json["descriptor"]["settings-schema"].as_str().unwrap();
    assert!(serde_json::from_str::<Value>(schema).unwrap().is_object());
}

#[test]
fn a_call_answers_in_the_contracts_words() {
    let directory = tempdir().unwrap();
    write(directory.path(), &analyze_input());
    let call = ["policy", "call", ANALYZER, "analyze", "input.json"];
    let answer = trimtab(directory.path(), &call).succeeded().json();
    assert!(
        answer["stages"]
            .as_array()
            .is_some_and(|stages| !stages.is_empty()),
        "{answer}"
    );
    assert!(
        answer["stages"][0]["capacities"][0]["per-replica"].is_f64(),
        "{answer}"
    );
}

#[test]
fn an_answer_feeds_the_next_policy() {
    let directory = tempdir().unwrap();
    let input = analyze_input();
    write(directory.path(), &input);
    let call = ["policy", "call", ANALYZER, "analyze", "input.json"];
    let analysis = trimtab(directory.path(), &call).succeeded().json();
    let request = json!({"pool": input["pool"], "stages": analysis["stages"]});
    write(
        directory.path(),
        &json!({"context": input["context"], "requests": [request], "limits": {}}),
    );
    let call = ["policy", "call", OPTIMIZER, "optimize", "input.json"];
    let plan = trimtab(directory.path(), &call).succeeded().json();
    assert!(
        plan["targets"][0]["replicas"]
            .as_u64()
            .is_some_and(|count| count >= 1),
        "{plan}"
    );
}

#[test]
fn a_refusal_has_its_own_exit_code() {
    let directory = tempdir().unwrap();
    let mut input = analyze_input();
    input["context"]["settings"] = json!("{\"no-such-setting\": 1}");
    write(directory.path(), &input);
    let ended = trimtab(
        directory.path(),
        &["policy", "call", ANALYZER, "analyze", "input.json"],
    );
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let why = ended.json()["refused"]["settings"]
        .as_str()
        .map(str::to_owned);
    assert!(
        why.is_some_and(|why| why.contains("no-such-setting")),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_wrong_input_is_named_by_its_field() {
    let directory = tempdir().unwrap();
    let mut input = analyze_input();
    input["pool"]["variants"][0]["cost"] = json!("four");
    write(directory.path(), &input);
    let call = ["policy", "call", ANALYZER, "analyze", "input.json"];
    trimtab(directory.path(), &call).failed_with(&[
        "input.json",
        "pool.variants[0].cost",
        "\"four\"",
    ]);

    let mut input = analyze_input();
    input["pool"]["workload"]["request_rate"] = json!(3.0);
    write(directory.path(), &input);
    trimtab(directory.path(), &call).failed_with(&[
        "pool.workload",
        "request_rate",
        "request-rate",
    ]);
}

#[test]
fn a_role_that_a_policy_lacks_is_named() {
    let directory = tempdir().unwrap();
    write(directory.path(), &analyze_input());
    let call = ["policy", "call", OPTIMIZER, "analyze", "input.json"];
    trimtab(directory.path(), &call).failed_with(&[
        OPTIMIZER,
        "no role `analyzer`",
        "is optimizer",
    ]);
}

#[test]
fn what_is_no_policy_is_refused_with_the_reason() {
    let directory = tempdir().unwrap();
    let cases: [(&str, Vec<u8>, &str); 5] = [
        ("text.wasm", b"hello".to_vec(), "not a component"),
        (
            "module.wasm",
            wat::parse_str("(module)").unwrap(),
            "not a component",
        ),
        (
            "empty.wasm",
            wat::parse_str("(component)").unwrap(),
            "exports neither",
        ),
        (
            "importing.wasm",
            wat::parse_str(r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance)))"#)
                .unwrap(),
            "wasi:clocks/wall-clock@0.2.0",
        ),
        (
            "broken.wasm",
            [wat::parse_str("(component)").unwrap(), vec![0xff; 40]].concat(),
            "not a valid component",
        ),
    ];
    for (file, bytes, reason) in cases {
        std::fs::write(directory.path().join(file), bytes).unwrap();
        trimtab(directory.path(), &["policy", "inspect", file]).failed_with(&[file, reason]);
    }
}

#[test]
fn a_policy_that_is_not_there_is_named() {
    let directory = tempdir().unwrap();
    trimtab(directory.path(), &["policy", "inspect", "nowhere.wasm"])
        .failed_with(&["nowhere.wasm", "No such file"]);
    trimtab(directory.path(), &["policy", "inspect", "builtin:nothing"])
        .failed_with(&["`nothing`", "queueing-analyzer"]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let directory = tempdir().unwrap();
    let mut child = command(directory.path())
        .args(["policy", "inspect", ANALYZER])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(status.success() && said.is_empty(), "{status}: {said}");
}

#[test]
fn without_a_cache_no_directory_is_made() {
    let directory = tempdir().unwrap();
    std::fs::write(directory.path().join("bad.wasm"), "").unwrap();
    let made = |arguments: &[&str]| {
        let mut command = command(directory.path());
        command
            .env_remove("TRIMTAB_CACHE")
            .env("XDG_CACHE_HOME", directory.path())
            .args(["policy", "inspect", "bad.wasm"])
            .args(arguments);
        assert_eq!(command.output().unwrap().status.code(), Some(1));
        directory.path().join("trimtab").exists()
    };
    assert!(!made(&["--no-cache"]));
    assert!(made(&[]));
}

#[test]
fn a_cache_that_cannot_be_is_an_error_only_where_asked_for() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let inspect = ["policy", "inspect", "file"];
    let asked = command(directory.path())
        .env("TRIMTAB_CACHE", &file)
        .args(inspect)
        .output();
    let said = String::from_utf8(asked.unwrap().stderr).unwrap();
    assert!(said.contains("cache of compiled policies"), "{said}");
    let fallen_back = command(directory.path())
        .env_remove("TRIMTAB_CACHE")
        .env("XDG_CACHE_HOME", &file)
        .args(inspect)
        .output();
    let said = String::from_utf8(fallen_back.unwrap().stderr).unwrap();
    assert!(
        said.contains("not kept") && said.contains("not a component"),
        "{said}"
    );
}

fn write(directory: &Path, input: &Value) {
    std::fs::write(directory.join("input.json"), input.to_string()).unwrap();
}

/// One pool of two H100 replicas under moderate load.
fn analyze_input() -> Value {
    let engine = json!({
        "max-batched-tokens": 8192, "max-sequences": 256, "tensor-parallel": 1, "block-size": 16,
        "gpu-memory-utilization": 0.9, "kv-cache-dtype": "auto", "chunked-prefill": true,
    });
    let replica = |name: &str| {
        json!({
            "variant": 0, "name": name, "instances": 1, "metrics-age": 10.0, "kv-usage": 0.3,
            "waiting": 0.0, "kv-capacity-tokens": 400_000, "running": 12.0, "request-rate": 3.0,
            "input-tokens": 1024.0, "output-tokens": 200.0, "ttft": 0.09, "itl": 0.012,
        })
    };
    json!({
        "context": {"now": 1_700_000_000_000_u64, "period": 15.0, "settings": "{}", "state": []},
        "pool": {
            "name": "chat", "namespace": "serving", "model": "meta-llama/Llama-3.1-8B-Instruct",
            "objective": {"ttft": 1.0, "itl": 0.05, "percentile": 0.99, "priority": 1},
            "workload": {
                "request-rate": 6.0, "input-tokens": 1024.0, "output-tokens": 200.0,
                "queued-requests": 0.0, "ttft-mean": 0.09, "itl-mean": 0.012,
            },
            "variants": [{
                "name": "h100", "accelerator": "H100", "gpus-per-replica": 1, "cost": 4.0,
                "role": "both", "min-replicas": 1, "max-replicas": 10, "current-replicas": 2,
                "ready-replicas": 2, "desired-replicas": 2, "startup-time": 120.0, "engine": engine,
            }],
        },
        "replicas": [replica("h100-0"), replica("h100-1")],
        "knowledge": [],
    })
}
