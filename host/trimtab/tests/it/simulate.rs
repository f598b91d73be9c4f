//! `trimtab simulate` on small traces and scenarios.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;

use crate::command::trimtab;

#[test]
fn a_trace_alone_is_a_simulation() {
    let directory = tempdir().unwrap();
    trace(directory.path());
    let table = trimtab(directory.path(), &["simulate", "--trace", "trace.csv"])
        .succeeded()
        .stdout;
    assert!(
        table.contains("trimtab") && table.contains("simulation/report.html"),
        "{table}"
    );
    let summary = summary(&directory.path().join("simulation"));
    assert_eq!(summary["scenario"], "trace");
    assert_eq!(summary["trace"]["requests"], 240);
    let run = &summary["runs"][0];
    assert_eq!(run["requests"]["arrived"], 240);
    assert_eq!(run["requests"]["served"], 240);
    assert!(
        run["attainment"].as_f64().is_some_and(|share| share > 0.5),
        "{run}"
    );
    assert_eq!(run["analyzer"]["name"], "queueing-analyzer");
    assert_eq!(run["optimizer"]["name"], "cost-optimizer");
    assert_eq!(run["policy_faults"], 0);
}

#[test]
fn every_decision_is_recorded_with_its_reasons() {
    let directory = tempdir().unwrap();
    trace(directory.path());
    trimtab(directory.path(), &["simulate", "--trace", "trace.csv"]).succeeded();
    let written = directory.path().join("simulation");
    let ticks = summary(&written)["runs"][0]["ticks"].as_u64().unwrap();
    let decisions = fs::read_to_string(written.join("decisions.jsonl")).unwrap();
    assert_eq!(decisions.lines().count() as u64, ticks);
    for line in decisions.lines() {
        let decision: Value = serde_json::from_str(line).unwrap();
        let answered = &decision["plan"]["call"]["answered-by"]["digest"];
        assert!(
            answered
                .as_str()
                .is_none_or(|digest| digest.starts_with("sha256:")),
            "{line}"
        );
        assert!(
            !decision["variants"].as_array().unwrap().is_empty(),
            "{line}"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let directory = tempdir().unwrap();
    trace(directory.path());
    let decisions = |out: &str, seed: &str| {
        let arguments = [
            "simulate",
            "--trace",
            "trace.csv",
            "--rate-scale",
            "3",
            "--seed",
            seed,
            "--out",
            out,
        ];
        trimtab(directory.path(), &arguments).succeeded();
        fs::read(directory.path().join(out).join("decisions.jsonl")).unwrap()
    };
    let first = decisions("a", "11");
    assert!(!first.is_empty());
    assert!(
        first == decisions("b", "11"),
        "the same command decided otherwise"
    );
    assert!(first != decisions("c", "12"), "the seed changes nothing");
}

#[test]
fn baselines_run_in_the_order_given() {
    let directory = tempdir().unwrap();
    trace(directory.path());
    let arguments = [
        "simulate",
        "--trace",
        "trace.csv",
        "--compare",
        "oracle,hpa,static",
        "--json",
    ];
    let summary = trimtab(directory.path(), &arguments).succeeded().json();
    let names = summary["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["name"].as_str().unwrap());
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["trimtab", "oracle", "hpa", "static"]
    );
    for run in summary["runs"].as_array().unwrap() {
        assert_eq!(run["requests"]["arrived"], 240, "{run}");
        assert_eq!(run["analyzer"].is_null(), run["name"] != "trimtab", "{run}");
    }
}

#[test]
fn json_is_what_is_in_the_file() {
    let directory = tempdir().unwrap();
    trace(directory.path());
    let arguments = ["simulate", "--trace", "trace.csv", "--out", "out", "--json"];
    let printed = trimtab(directory.path(), &arguments).succeeded().json();
    assert_eq!(printed, summary(&directory.path().join("out")));
}

#[test]
fn the_report_stands_alone() {
    let directory = tempdir().unwrap();
    trace(directory.path());
    trimtab(directory.path(), &["simulate", "--trace", "trace.csv"]).succeeded();
    let page = fs::read_to_string(directory.path().join("simulation/report.html")).unwrap();
    assert!(page.contains("Simulation of trace") && page.ends_with("</html>"));
    assert!(
        !page
            .replace("http://www.w3.org/2000/svg", "")
            .contains("://")
    );
}

#[test]
fn the_printed_scenario_can_be_run() {
    let directory = tempdir().unwrap();
    let printed = trimtab(directory.path(), &["scenario", "print"])
        .succeeded()
        .stdout;
    fs::write(directory.path().join("mine.yaml"), &printed).unwrap();
    let schema = trimtab(directory.path(), &["scenario", "schema"])
        .succeeded()
        .json();
    assert!(schema["properties"]["pools"].is_object(), "{schema}");
    // A hundredth of its requests, so that the test is quick.
    let arguments = ["simulate", "mine.yaml", "--rate-scale", "0.01", "--json"];
    let summary = trimtab(directory.path(), &arguments).succeeded().json();
    assert_eq!(summary["runs"][0]["name"], "trimtab");
    assert!(summary["runs"].as_array().unwrap().len() > 1, "{summary}");
    let alone = [&arguments[..], &["--compare", "none"]].concat();
    let summary = trimtab(directory.path(), &alone).succeeded().json();
    assert_eq!(summary["runs"].as_array().unwrap().len(), 1, "{summary}");
}

#[test]
fn every_built_in_scenario_can_be_printed_by_its_name() {
    let directory = tempdir().unwrap();
    let print = |name| trimtab(directory.path(), &["scenario", "print", name]);
    assert!(print("day").succeeded().stdout.contains("name: day"));
    let default = trimtab(directory.path(), &["scenario", "print"]).succeeded();
    assert_eq!(print("built-in").succeeded().stdout, default.stdout);
    print("night").failed_with(&["`night`", "built-in, day"]);
}

/// Four minutes with a request each second, in Azure's format.
fn trace(directory: &Path) {
    let mut text = String::from("TIMESTAMP,ContextTokens,GeneratedTokens\n");
    for second in 0..240 {
        let (minute, second) = (second / 60, second % 60);
        writeln!(text, "2023-11-16 18:{minute:02}:{second:02}.5000000,512,64").unwrap();
    }
    fs::write(directory.join("trace.csv"), text).unwrap();
}

fn summary(directory: &Path) -> Value {
    serde_json::from_slice(&fs::read(directory.join("summary.json")).unwrap()).unwrap()
}
