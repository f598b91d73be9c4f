//! WVA's ConfigMaps with their traps, and what holds for a pool in the end.

mod process;

use trimtab_sandbox::{Sandbox, SandboxConfig, builtin};

use super::*;
use crate::run::config::pools::PoolSettings;
use crate::run::config::{Config, PoolIdentity, Sources};

fn data(entries: &[(&str, &str)]) -> Data {
    let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    entries.iter().map(owned).collect()
}

fn saturation(entries: &[(&str, &str)]) -> ConfigMaps {
    ConfigMaps {
        global: NamespaceMaps {
            saturation: data(entries),
            ..NamespaceMaps::default()
        },
        ..ConfigMaps::default()
    }
}

fn queueing(entries: &[(&str, &str)]) -> ConfigMaps {
    ConfigMaps {
        global: NamespaceMaps {
            queueing: data(entries),
            ..NamespaceMaps::default()
        },
        ..ConfigMaps::default()
    }
}

fn scale_to_zero(entries: &[(&str, &str)]) -> ConfigMaps {
    ConfigMaps {
        global: NamespaceMaps {
            scale_to_zero: data(entries),
            ..NamespaceMaps::default()
        },
        ..ConfigMaps::default()
    }
}

/// What holds for a model in namespace `prod`.
fn holds(maps: &ConfigMaps, model: &str) -> PoolSettings {
    holds_in(maps, "prod", model)
}

fn holds_in(maps: &ConfigMaps, namespace: &str, model: &str) -> PoolSettings {
    let pool = PoolIdentity {
        namespace,
        pool: "chat",
        model,
    };
    Config::default().pool(&maps.translate(true).pools, None, pool)
}

fn lines(maps: &ConfigMaps) -> Vec<String> {
    let report = maps.translate(true).report;
    report.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn reported(maps: &ConfigMaps, words: &[&str]) {
    let lines = lines(maps);
    let found = lines
        .iter()
        .any(|line| words.iter().all(|word| line.contains(word)));
    assert!(found, "no line with {words:?} in {lines:#?}");
}

#[test]
fn a_model_inherits_the_targets_of_the_default() {
    let maps = queueing(&[
        ("default", "targetTTFT: 500\ntargetITL: 50\n"),
        (
            "llama",
            "model_id: llama\nnamespace: prod\nsloMultiplier: 2\n",
        ),
    ]);
    let objective = holds(&maps, "llama").objective;
    assert_eq!((objective.ttft, objective.itl), (Some(0.5), Some(0.05)));
    reported(&maps, &["llama, sloMultiplier: ignored"]);
    reported(
        &maps,
        &["default, targetTTFT: honoured as objective.ttftSeconds"],
    );
}

#[test]
fn a_model_may_have_one_target_of_its_own_and_inherit_the_other() {
    let maps = queueing(&[
        ("default", "targetTTFT: 500\ntargetITL: 50\n"),
        ("a", "model_id: llama\ntargetTTFT: 900\n"),
    ]);
    let objective = holds(&maps, "llama").objective;
    assert_eq!((objective.ttft, objective.itl), (Some(0.9), Some(0.05)));
}

#[test]
fn a_target_of_zero_takes_the_inherited_one_away() {
    let maps = queueing(&[
        ("default", "targetTTFT: 500\ntargetITL: 50\n"),
        ("a", "model_id: llama\ntargetITL: 0\n"),
    ]);
    let objective = holds(&maps, "llama").objective;
    assert_eq!((objective.ttft, objective.itl), (Some(0.5), None));
    assert_eq!(holds(&maps, "other").objective.itl, Some(0.05));
}

#[test]
fn false_of_a_model_wins_over_true_of_the_default() {
    let maps = scale_to_zero(&[
        (
            "default",
            "enable_scale_to_zero: true\nretention_period: 5m\n",
        ),
        ("a", "model_id: llama\nenable_scale_to_zero: false\n"),
    ]);
    assert_eq!(
        holds(&maps, "llama").rules.scale_to_zero_after_seconds,
        None
    );
    let other = holds(&maps, "other").rules.scale_to_zero_after_seconds;
    assert_eq!(other, Some(300.0));
    let maps = saturation(&[
        ("default", "scaleToZero: {enabled: true}\n"),
        ("a", "model_id: llama\nscaleToZero: {enabled: false}\n"),
    ]);
    assert_eq!(
        holds(&maps, "llama").rules.scale_to_zero_after_seconds,
        None
    );
    let other = holds(&maps, "other").rules.scale_to_zero_after_seconds;
    assert_eq!(other, Some(600.0));
    let maps = queueing(&[
        ("default", "tuningEnabled: true\n"),
        ("a", "model_id: llama\ntuningEnabled: false\n"),
    ]);
    assert_eq!(holds(&maps, "llama").analyzer_settings["tracking"], false);
}

#[test]
fn a_limiter_that_is_off_is_off() {
    let maps = saturation(&[("default", "enableLimiter: false\n")]);
    let url = Setting::new("--prometheus-url", "prometheus.url", "http://p");
    let config = Config::load(&Sources {
        wva: &maps.translate(true).settings,
        flags: &[url],
        ..Sources::default()
    })
    .unwrap();
    assert!(!config.limit_to_inventory);
    let of_a_model = saturation(&[("a", "model_id: llama\nenableLimiter: false\n")]);
    assert!(of_a_model.translate(true).settings.is_empty());
    reported(&of_a_model, &["enableLimiter: ignored", "whole cluster"]);
}

#[test]
fn priority_zero_stays_the_lowest() {
    let maps = saturation(&[
        ("default", "priority: 1\n"),
        ("a", "model_id: low\npriority: 0\n"),
        ("b", "model_id: high\npriority: 7.5\n"),
        ("c", "model_id: lower\npriority: 0.00001\n"),
    ]);
    let rank = |model: &str| holds(&maps, model).objective.priority;
    assert_eq!(
        [rank("high"), rank("other"), rank("lower"), rank("low")],
        [1, 2, 3, 4]
    );
}

#[test]
fn models_without_a_priority_have_that_which_wva_gives_them() {
    let maps = saturation(&[
        ("a", "model_id: low\npriority: 0\n"),
        ("b", "model_id: high\npriority: 2\n"),
        ("c", "model_id: same\npriority: 1.0\n"),
    ]);
    let rank = |model: &str| holds(&maps, model).objective.priority;
    assert_eq!(
        [rank("high"), rank("other"), rank("same"), rank("low")],
        [1, 2, 2, 3]
    );
}

#[test]
fn priorities_are_ordered_across_namespaces() {
    let mut maps = saturation(&[("default", "priority: 1\n")]);
    let local = NamespaceMaps {
        saturation: data(&[("default", "priority: 5\n")]),
        ..NamespaceMaps::default()
    };
    maps.local.insert("prod".to_owned(), local);
    assert_eq!(holds_in(&maps, "prod", "llama").objective.priority, 1);
    assert_eq!(holds_in(&maps, "test", "llama").objective.priority, 2);
}

#[test]
fn without_any_priority_ours_is_left_as_it_is() {
    let maps = saturation(&[("default", "scaleUpThreshold: 0.9\n")]);
    let ours = Config::default().objective.priority;
    assert_eq!(holds(&maps, "llama").objective.priority, ours);
}

#[test]
fn an_entry_that_cannot_be_costs_only_itself() {
    let maps = saturation(&[
        ("default", "scaleUpThreshold: 0.9\nkvCacheThreshold: 80\n"),
        ("broken", "model_id: [\n"),
        ("list", "- 1\n"),
        ("nameless", "priority: 3\n"),
        (
            "llama",
            "model_id: llama\npriority: -1\nqueueLengthThreshold: 8\n",
        ),
    ]);
    let settings = holds(&maps, "llama").analyzer_settings;
    assert_eq!(settings["scale-up-utilization"], 0.9);
    assert_eq!(settings["queue-threshold"], 8.0);
    assert!(!settings.contains_key("kv-threshold"));
    reported(
        &maps,
        &["default, kvCacheThreshold: invalid: 80", "0.01 to 1"],
    );
    reported(&maps, &["broken: invalid"]);
    reported(&maps, &["list: invalid: expected keys with values"]);
    reported(&maps, &["nameless: invalid: names no model", "model_id"]);
    reported(&maps, &["llama, priority: invalid: -1"]);
    assert_eq!(lines(&maps).len(), 7);
}

#[test]
fn a_retention_that_cannot_be_falls_back_to_the_default() {
    for wrong in ["soon", "0s", "-5m", "[]"] {
        let entry =
            format!("model_id: llama\nenable_scale_to_zero: true\nretention_period: {wrong}\n");
        let maps = scale_to_zero(&[("a", &entry), ("default", "retention_period: 1h30m\n")]);
        let after = holds(&maps, "llama").rules.scale_to_zero_after_seconds;
        assert_eq!(after, Some(5400.0), "{wrong}");
        reported(&maps, &["a, retention_period: invalid", "such as 10m"]);
    }
}

#[test]
fn the_first_of_two_entries_for_one_model_counts() {
    let maps = scale_to_zero(&[
        ("a", "model_id: llama\nenable_scale_to_zero: true\n"),
        ("b", "model_id: llama\nenable_scale_to_zero: false\n"),
    ]);
    let after = holds(&maps, "llama").rules.scale_to_zero_after_seconds;
    assert_eq!(after, Some(600.0));
    reported(&maps, &["b: invalid: another entry before it"]);
}

#[test]
fn thresholds_are_settings_of_the_built_in_analyzer_and_of_no_other() {
    let maps = saturation(&[(
        "default",
        "kvCacheThreshold: 0.8\nqueueLengthThreshold: 5\nscaleUpThreshold: 0.85\n\
         scaleDownBoundary: 0.7\nkvSpareTrigger: 0.1\nanalyzerName: saturation\n",
    )]);
    let settings = holds(&maps, "llama").analyzer_settings;
    assert_eq!(settings["kv-threshold"], 0.8);
    assert_eq!(settings["scale-down-utilization"], 0.7);
    reported(&maps, &["kvSpareTrigger: ignored"]);
    reported(&maps, &["analyzerName: ignored", "policies.analyzer"]);
    let other = maps.translate(false);
    assert!(
        other
            .pools
            .iter()
            .all(|pool| pool.analyzer_settings.is_empty())
    );
    let honoured = |line: &Line| matches!(line.verdict, Verdict::Honoured(_));
    assert!(!other.report.iter().any(honoured));
}

#[test]
fn thresholds_that_cannot_be_together_are_left_out_and_the_inherited_ones_stay() {
    let maps = saturation(&[
        ("default", "scaleUpThreshold: 0.6\nscaleDownBoundary: 0.5\n"),
        ("a", "model_id: llama\nscaleDownBoundary: 0.6\n"),
        ("b", "model_id: qwen\nscaleDownBoundary: 0.55\n"),
    ]);
    let down =
        |model: &str| holds(&maps, model).analyzer_settings["scale-down-utilization"].clone();
    assert_eq!((down("llama"), down("qwen")), (0.5.into(), 0.55.into()));
    reported(
        &maps,
        &["a, scaleDownBoundary: invalid", "below scaleUpThreshold"],
    );
    let of_a = lines(&maps)
        .iter()
        .filter(|line| line.contains(", a, "))
        .count();
    assert_eq!(of_a, 1);
}

#[test]
fn the_thresholds_that_stand_in_the_analyzer_are_settings_that_it_takes() {
    let maps = saturation(&[(
        "default",
        "kvCacheThreshold: 0.01\nqueueLengthThreshold: 1\nscaleUpThreshold: 1\n\
         scaleDownBoundary: 0.01\n",
    )]);
    let mut settings = holds(&maps, "llama").analyzer_settings;
    let tuned = queueing(&[("default", "tuningEnabled: false\n")]);
    settings.extend(holds(&tuned, "llama").analyzer_settings);
    let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
    let bytes = builtin("queueing-analyzer").unwrap();
    let policy = sandbox.load(bytes).unwrap();
    let schema: serde_json::Value =
        serde_json::from_str(&policy.descriptor().settings_schema).unwrap();
    for name in settings.keys() {
        assert!(schema["properties"].get(name).is_some(), "{name}");
    }
    assert_eq!(settings.len(), 5);
}

#[test]
fn a_namespace_of_its_own_wins_over_the_cluster_in_that_namespace_only() {
    let mut maps = queueing(&[
        ("default", "targetTTFT: 500\n"),
        ("a", "model_id: llama\ntargetTTFT: 700\n"),
    ]);
    let local = NamespaceMaps {
        queueing: data(&[
            ("default", "targetTTFT: 300\n"),
            ("b", "model_id: qwen\ntargetTTFT: 200\n"),
            ("c", "model_id: gemma\nnamespace: test\ntargetTTFT: 100\n"),
        ]),
        ..NamespaceMaps::default()
    };
    maps.local.insert("prod".to_owned(), local);
    let ttft = |namespace: &str, model: &str| holds_in(&maps, namespace, model).objective.ttft;
    assert_eq!(ttft("prod", "other"), Some(0.3));
    assert_eq!(ttft("prod", "qwen"), Some(0.2));
    assert_eq!(ttft("test", "qwen"), Some(0.5));
    assert_eq!(ttft("test", "llama"), Some(0.7));
    reported(
        &maps,
        &["in namespace prod, c: invalid", "`test`", "`prod`"],
    );
}

#[test]
fn an_entry_for_a_namespace_does_not_hold_in_another() {
    let maps = queueing(&[
        ("llama#prod", "targetTTFT: 500\n"),
        ("b", "model_id: llama\nnamespace: test\ntargetTTFT: 900\n"),
    ]);
    let ttft = |namespace: &str| holds_in(&maps, namespace, "llama").objective.ttft;
    assert_eq!(ttft("prod"), Some(0.5));
    assert_eq!(ttft("test"), Some(0.9));
    assert_eq!(ttft("elsewhere"), None);
}

#[test]
fn keys_that_are_not_there_are_told_what_there_is() {
    let maps = queueing(&[("default", "targetTtft: 500\n")]);
    reported(&maps, &["targetTtft: invalid", "targetTTFT"]);
}

#[test]
fn no_maps_say_nothing() {
    assert_eq!(
        ConfigMaps::default().translate(true),
        Translation::default()
    );
}
