//! The schema says what the program holds to.

use serde_json::Value;

use super::*;

/// Whether the schema takes a scenario.
fn fits(yaml: &str) -> bool {
    let value: Value = serde_saphyr::from_str(yaml).unwrap();
    jsonschema::is_valid(&schema(), &value)
}

/// Calls `each` with the path and the schema of every property.
fn properties(node: &Value, path: &str, each: &mut dyn FnMut(&str, &Value)) {
    if let Some(list) = node.as_array() {
        list.iter().for_each(|node| properties(node, path, each));
    }
    for (key, child) in node.as_object().into_iter().flatten() {
        if key == "properties" {
            for (name, property) in child.as_object().unwrap() {
                let path = format!("{path}.{name}");
                each(&path, property);
                properties(property, &path, each);
            }
        } else if key != "default" && key != "enum" {
            properties(child, &format!("{path}/{key}"), each);
        }
    }
}

#[test]
fn every_key_is_described() {
    let mut seen = 0;
    let mut bare = Vec::new();
    properties(&schema(), "", &mut |path, property| {
        seen += 1;
        let described = property.get("description").and_then(Value::as_str);
        // The one key of a thing of several kinds is described with the kind.
        let is_kind = path.contains("/oneOf");
        if described.is_none_or(str::is_empty) && !(is_kind && path.matches('.').count() == 1) {
            bare.push(path.to_owned());
        }
    });
    assert!(seen > 80, "{seen}");
    assert_eq!(bare, Vec::<String>::new());
}

#[test]
fn every_number_has_bounds() {
    let mut open = Vec::new();
    properties(&schema(), "", &mut |path, property| {
        let kind = property
            .get("type")
            .map(Value::to_string)
            .unwrap_or_default();
        let is_number = kind.contains("number") || kind.contains("integer");
        let has = |key: &str| property.get(key).is_some();
        let bounded = (has("minimum") || has("exclusiveMinimum"))
            && (has("maximum") || has("exclusiveMaximum"));
        if is_number && !bounded && !has("enum") {
            open.push(path.to_owned());
        }
    });
    let seeds = open.iter().all(|path| path.ends_with(".seed"));
    assert!(
        seeds && open.len() == 2,
        "any whole number of 64 bits is a seed: {open:?}"
    );
}

/// What stands in the small scenario, and what takes its place.
type Change = (&'static str, &'static str);

const GOOD: [Change; 23] = [
    ("name: small", "name: \"5\""),
    ("duration-seconds: 120", "duration-seconds: 1.5"),
    (
        "duration-seconds: 120",
        "duration-seconds: 120\nbudget-per-hour: ~",
    ),
    (
        "duration-seconds: 120",
        "duration-seconds: 120\ntiming: {tick-seconds: 0.1}",
    ),
    (
        "duration-seconds: 120",
        "duration-seconds: 120\nseed: 18446744073709551615",
    ),
    ("inventory: {H100: 8, A100: 4}", "inventory: ~"),
    (
        "inventory: {H100: 8, A100: 4}",
        "inventory: {H100: 10000000}",
    ),
    (
        "itl-seconds: 0.05",
        "itl-seconds: ~, percentile: 0.999, throughput: 1e9",
    ),
    (
        "    workload:",
        "    rules: {mode: observe, behavior: ~}\n    workload:",
    ),
    (
        "    workload:",
        "    rules: {behavior: {scaleUp: ~, scaleDown: {selectPolicy: Min}}}\n    workload:",
    ),
    (
        "    workload:",
        "    rules: {behavior: {scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 1800}]}}}\n    workload:",
    ),
    ("poisson: {rate: 30}", "step: {rate: 30, at-seconds: 0}"),
    (
        "poisson: {rate: 30}",
        "bursts: {on-rate: 30, on-seconds: 0.1, off-seconds: 9}",
    ),
    ("mean: 1000", "mean: 1, cv: 0, max: 10000000"),
    (
        "max-replicas: 4",
        "max-replicas: 100000, initial-replicas: auto",
    ),
    (
        "max-replicas: 4",
        "initial-replicas: 2, tensor-parallel: 1024",
    ),
    (
        "max-replicas: 4",
        "engine: {kv-cache-dtype: fp8_e4m3, block-size: 1024, gpu-blocks: 5000}",
    ),
    (
        "max-replicas: 4",
        "constants: {kv-capacity-tokens: 4000000000, base-seconds: 60}",
    ),
    (
        "max-replicas: 4",
        "cost-per-hour: 0, role: both, startup: {mean-seconds: 0, spread: 0}",
    ),
    (
        "    workload:",
        "    policies: {optimizer: {policy: a.wasm, settings: {a: 1}}}\n    workload:",
    ),
    (
        "    workload:",
        "    shadows: [{name: a, analyzers: [{policy: a.wasm}]}]\n    workload:",
    ),
    (
        "    workload:",
        "    experiment: {candidate: {optimizer: {policy: a}}, max-slots: 2, stop-if: {}}\n    workload:",
    ),
    (
        "duration-seconds: 120",
        "duration-seconds: 120\nswaps: [{at-seconds: 120, pool: chat, optimizer: {policy: a}}]",
    ),
];

const BAD: [Change; 59] = [
    ("name: small", "name: 5"),
    ("name: small", "name: ~"),
    ("name: small", "name: ''"),
    ("name: small", "name: \"a\\e[m\""),
    ("name: small", "nome: small"),
    ("name: a100", "name: ''"),
    ("name: a100", "nickname: a100"),
    ("duration-seconds: 120", "duration-seconds: 0"),
    ("duration-seconds: 120", "duration-seconds: -1"),
    ("duration-seconds: 120", "duration-seconds: 31622401"),
    ("duration-seconds: 120", "duration-seconds: '120'"),
    ("duration-seconds: 120", "duration-seconds: 120\nseed: -1"),
    ("duration-seconds: 120", "duration-seconds: 120\nseed: 1.5"),
    (
        "duration-seconds: 120",
        "duration-seconds: 120\ndrain-seconds: ~",
    ),
    (
        "duration-seconds: 120",
        "duration-seconds: 120\ntiming: {tick-seconds: 1e-9}",
    ),
    (
        "duration-seconds: 120",
        "duration-seconds: 120\nbudget-per-hour: 1e300",
    ),
    (
        "duration-seconds: 120",
        "duration-seconds: 120\npolicies: {analyzer: {settings: [1]}}",
    ),
    (
        "duration-seconds: 120",
        "duration-seconds: 120\ncompare: [kpa]",
    ),
    (
        "duration-seconds: 120",
        "duration-seconds: 120\nfaults: [{replica-dies: {at-seconds: 1}}]",
    ),
    (
        "duration-seconds: 120",
        "duration-seconds: 120\naccelerators: {H100: {tflops: 0}}",
    ),
    (
        "duration-seconds: 120",
        "duration-seconds: 120\nmodels: {Llama-3.1-8B: {weight-bits: 5}}",
    ),
    (
        "duration-seconds: 120",
        "duration-seconds: 120\nmodels: {Llama-3.1-8B: {layers: 4294967295}}",
    ),
    (
        "inventory: {H100: 8, A100: 4}",
        "inventory: {H100: 4000000000}",
    ),
    ("inventory: {H100: 8, A100: 4}", "inventory: {H100: -1}"),
    ("ttft-seconds: 1", "ttft-seconds: 0"),
    ("itl-seconds: 0.05", "itl-seconds: 0.05, percentile: 1"),
    ("itl-seconds: 0.05", "itl-seconds: 0.05, throughput: 1e300"),
    ("itl-seconds: 0.05", "itl-seconds: 0.05, priority: 0"),
    ("    workload:", "    rules: {mode: off}\n    workload:"),
    (
        "    workload:",
        "    rules: {behavior: {scaleSideways: {}}}\n    workload:",
    ),
    (
        "    workload:",
        "    rules: {behavior: {scaleUp: {policies: []}}}\n    workload:",
    ),
    (
        "    workload:",
        "    rules: {behavior: {scaleUp: {stabilizationWindowSeconds: 3601}}}\n    workload:",
    ),
    ("poisson: {rate: 30}", "poisson: {rate: -1}"),
    ("poisson: {rate: 30}", "poisson: {rate: 1e7}"),
    (
        "poisson: {rate: 30}",
        "{poisson: {rate: 1}, ramp: {from: 0, to: 1}}",
    ),
    ("[poisson: {rate: 30}]", "[]"),
    ("mean: 1000", "mean: 0"),
    ("max-replicas: 4", "max-replicas: 4000000000"),
    ("max-replicas: 4", "initial-replicas: 4000000000"),
    ("max-replicas: 4", "initial-replicas: none"),
    ("max-replicas: 4", "tensor-parallel: 4294967295"),
    ("max-replicas: 4", "cost-per-hour: 1e308"),
    ("max-replicas: 4", "engine: {kv-cache-dtype: foo}"),
    ("max-replicas: 4", "engine: {block-size: 4294967295}"),
    ("max-replicas: 4", "constants: {kv-capacity-tokens: 0}"),
    ("max-replicas: 4", "role: all"),
    ("max-replicas: 4", "startup: {spread: -0.1}"),
    (
        "    workload:",
        "    policies: {analyzers: []}\n    workload:",
    ),
    (
        "    workload:",
        "    policies: {analyzer: {policy: a}}\n    workload:",
    ),
    (
        "    workload:",
        "    policies: {optimizer: {settings: {}}}\n    workload:",
    ),
    (
        "    workload:",
        "    policies: {optimizer: {policy: ''}}\n    workload:",
    ),
    ("    workload:", "    shadows: [{name: a}]\n    workload:"),
    (
        "    workload:",
        "    shadows: [{analyzers: [{policy: a}]}]\n    workload:",
    ),
    (
        "    workload:",
        "    experiment: {candidate: {}}\n    workload:",
    ),
    (
        "    workload:",
        "    experiment: {candidate: {optimizer: {policy: a}}, slot: 30m}\n    workload:",
    ),
    (
        "    workload:",
        "    experiment: {candidate: {optimizer: {policy: a}}, max-slots: 1}\n    workload:",
    ),
    (
        "    workload:",
        "    experiment: {candidate: {optimizer: {policy: a}}, stop-if: {attainment-below: 2}}\n    workload:",
    ),
    (
        "duration-seconds: 120",
        "duration-seconds: 120\nswaps: [{at-seconds: 1, pool: chat}]",
    ),
    (
        "duration-seconds: 120",
        "duration-seconds: 120\nswaps: [{pool: chat, optimizer: {policy: a}}]",
    ),
];

#[test]
fn schema_and_program_take_the_same_scenarios() {
    for (samples, good) in [(&GOOD[..], true), (&BAD[..], false)] {
        for (from, to) in samples {
            let yaml = SMALL.replacen(from, to, 1);
            assert_ne!(yaml, SMALL, "`{from}` is not in the scenario");
            let answer = resolved(&yaml);
            assert_eq!(
                answer.is_ok(),
                good,
                "the program on `{to}`: {:?}",
                answer.err()
            );
            assert_eq!(fits(&yaml), good, "the schema on `{to}`");
        }
    }
}
