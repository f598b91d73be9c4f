//! What a scrape reads, against the decisions that it was made from.

mod cycle;
mod document;
mod trials;

use trimtab_core::decision::{GuardStep, Rule};
use trimtab_core::snapshot::Mode;

use super::testing::{cycle, leading, pool, variant};
use super::*;

const BUILD: Build = Build {
    version: "1.2.3",
    revision: Some("abc"),
};

fn registry() -> Registry {
    Registry::new(&BUILD, &Live::default(), leading(), None)
}

/// Lines of a family's series, without help and type.
fn series(registry: &Registry, family: &str) -> Vec<String> {
    let text = registry.render().unwrap();
    let lines = text.lines().filter(|line| {
        let rest = line.strip_prefix(family);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
    });
    lines.map(str::to_owned).collect()
}

fn value(registry: &Registry, line: &str) -> Option<f64> {
    let text = registry.render().unwrap();
    let found = text.lines().find_map(|of| of.strip_prefix(line));
    found.map(|value| value.trim().parse().unwrap())
}

const A: &str = r#"{variant_name="a",namespace="prod",accelerator_type="H100"}"#;

#[test]
fn every_replica_gauge_equals_the_decision_of_its_cycle() {
    // Situation 20.
    let registry = registry();
    registry.update(&cycle(vec![pool("p", vec![variant("a", 2, 2, 5)])]));
    let read = |name: &str| value(&registry, &format!("{name}{A}"));
    assert_eq!(read("wva_desired_replicas"), Some(5.0));
    assert_eq!(read("wva_current_replicas"), Some(2.0));
    assert_eq!(read("wva_desired_ratio"), Some(2.5));
    registry.update(&cycle(vec![pool("p", vec![variant("a", 5, 5, 4)])]));
    assert_eq!(read("wva_desired_replicas"), Some(4.0));
    assert_eq!(read("wva_current_replicas"), Some(5.0));
    assert_eq!(read("wva_desired_ratio"), Some(0.8));
}

#[test]
fn variants_of_one_name_in_two_namespaces_have_a_count_each() {
    // Situation 38.
    let registry = registry();
    let mut other = pool("p", vec![variant("a", 1, 1, 9)]);
    other.namespace = "test".to_owned();
    registry.update(&cycle(vec![pool("p", vec![variant("a", 1, 1, 2)]), other]));
    assert_eq!(
        series(&registry, "wva_desired_replicas"),
        [
            format!("wva_desired_replicas{A} 2.0"),
            format!("wva_desired_replicas{} 9.0", A.replace("prod", "test")),
        ]
    );
}

#[test]
fn the_ratio_of_a_variant_that_has_no_replica_is_its_desired_count() {
    let registry = registry();
    registry.update(&cycle(vec![pool("p", vec![variant("a", 0, 0, 3)])]));
    assert_eq!(
        value(&registry, &format!("wva_desired_ratio{A}")),
        Some(3.0)
    );
}

#[test]
fn an_unknown_accelerator_is_unresolved_and_not_left_out() {
    let mut unknown = variant("a", 1, 1, 1);
    unknown.accelerator.clear();
    let registry = registry();
    registry.update(&cycle(vec![pool("p", vec![unknown])]));
    let lines = series(&registry, "wva_desired_replicas");
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].contains(r#"accelerator_type="unresolved""#),
        "{lines:?}"
    );
}

#[test]
fn series_of_a_variant_that_is_gone_vanish() {
    let registry = registry();
    let both = vec![variant("a", 1, 1, 2), variant("b", 1, 1, 2)];
    registry.update(&cycle(vec![pool("p", both)]));
    let families = [
        "wva_desired_replicas",
        "wva_current_replicas",
        "wva_desired_ratio",
        "wva_replica_scaling_total",
        "trimtab_decided_replicas",
    ];
    for family in families {
        assert_eq!(series(&registry, family).len(), 2, "{family}");
    }
    registry.update(&cycle(vec![pool("p", vec![variant("b", 2, 2, 2)])]));
    for family in families {
        let left = series(&registry, family);
        assert_eq!(left.len(), 1, "{family}: {left:?}");
        assert!(left[0].contains(r#""b""#), "{left:?}");
    }
}

#[test]
fn a_count_that_is_not_published_is_only_shown_as_decided() {
    let mut observed = pool("p", vec![variant("a", 1, 1, 4)]);
    observed.mode = Mode::Observe;
    observed.variants[0].published = false;
    let registry = registry();
    registry.update(&cycle(vec![observed]));
    assert!(series(&registry, "wva_desired_replicas").is_empty());
    assert!(series(&registry, "wva_desired_ratio").is_empty());
    assert!(series(&registry, "wva_replica_scaling_total").is_empty());
    assert_eq!(
        value(&registry, &format!("wva_current_replicas{A}")),
        Some(1.0)
    );
    let decided =
        r#"trimtab_decided_replicas{namespace="prod",pool="p",variant="a",mode="observe"}"#;
    assert_eq!(value(&registry, decided), Some(4.0));
}

#[test]
fn only_the_leader_shows_counts_of_replicas() {
    let desired = Arc::new(Desired::new(45_000, || 0));
    let registry = Registry::new(&BUILD, &Live::default(), Arc::clone(&desired), None);
    let mut follower = cycle(vec![pool("p", vec![variant("a", 1, 1, 4)])]);
    follower.leader = false;
    registry.update(&follower);
    registry.ended(Outcome::Observed, &[]);
    assert!(series(&registry, "wva_desired_replicas").is_empty());
    assert_eq!(series(&registry, "trimtab_leader"), ["trimtab_leader 0.0"]);
    assert_eq!(
        value(&registry, r#"trimtab_ticks_total{result="observed"}"#),
        Some(1.0)
    );
    assert!(series(&registry, "wva_optimization_duration_seconds_count").is_empty());
    desired.lead(Some(u64::MAX));
    // What it worked out for itself before is not what it decided as leader.
    assert!(series(&registry, "wva_desired_replicas").is_empty());
    registry.update(&cycle(vec![pool("p", vec![variant("a", 1, 1, 4)])]));
    assert_eq!(series(&registry, "wva_desired_replicas").len(), 1);
    desired.lead(None);
    assert!(series(&registry, "wva_desired_replicas").is_empty());
    assert!(series(&registry, "wva_current_replicas").is_empty());
}

#[test]
fn a_follower_shows_what_it_sees() {
    let registry = registry();
    let mut follower = cycle(Vec::new());
    follower.leader = false;
    follower.inventory = Some(Vec::new());
    follower.pools = vec![PoolMetrics {
        namespace: "prod".to_owned(),
        pool: "p".to_owned(),
        state: trimtab_core::fleet::MetricsState::Found,
        age_seconds: Some(4.0),
    }];
    registry.update(&follower);
    let age = r#"trimtab_metrics_age_seconds{namespace="prod",pool="p"}"#;
    assert_eq!(value(&registry, age), Some(4.0));
    assert_eq!(value(&registry, "wva_gpu_discovery_up"), Some(1.0));
    let decided = "trimtab_last_decision_timestamp_seconds";
    assert!(series(&registry, decided).is_empty(), "it decided nothing");
    assert!(series(&registry, "wva_models_processed").is_empty());
}

#[test]
fn a_cycle_that_fails_leaves_what_was_decided_before() {
    let registry = registry();
    registry.update(&cycle(vec![pool("p", vec![variant("a", 2, 2, 5)])]));
    registry.ended(Outcome::Done, &[]);
    registry.ended(Outcome::Failed, &[]);
    registry.ended(Outcome::Skipped, &[]);
    assert_eq!(
        value(&registry, &format!("wva_desired_replicas{A}")),
        Some(5.0)
    );
    assert_eq!(
        series(&registry, "trimtab_ticks_total").len(),
        4,
        "each result has its series from the start"
    );
    for result in ["done", "failed", "skipped"] {
        let line = format!(r#"trimtab_ticks_total{{result="{result}"}}"#);
        assert_eq!(value(&registry, &line), Some(1.0));
    }
}

#[test]
fn changes_are_counted_by_direction_and_by_who_moved_the_count() {
    let registry = registry();
    let planned = variant("a", 2, 2, 5);
    let mut kept = variant("b", 1, 0, 1);
    kept.proposed = Some(0);
    kept.steps = vec![GuardStep {
        rule: Rule::LastReplica,
        before: 0,
        after: 1,
        why: "one must serve".to_owned(),
    }];
    let still = variant("c", 3, 3, 3);
    let fewer = variant("d", 4, 4, 2);
    let decisions = vec![pool("p", vec![planned, kept, still, fewer])];
    registry.update(&cycle(decisions.clone()));
    registry.update(&cycle(decisions));
    let mut lines = series(&registry, "wva_replica_scaling_total");
    lines.sort();
    let line = |name: &str, direction: &str, reason: &str| {
        format!(
            "wva_replica_scaling_total{{variant_name=\"{name}\",namespace=\"prod\",\
             accelerator_type=\"H100\",direction=\"{direction}\",reason=\"{reason}\"}} 2"
        )
    };
    assert_eq!(
        lines,
        [
            line("a", "up", "plan"),
            line("b", "up", "last-replica"),
            line("d", "down", "plan")
        ]
    );
    let steps = r#"trimtab_guard_steps_total{rule="last-replica"}"#;
    assert_eq!(value(&registry, steps), Some(2.0));
}

#[test]
fn the_controller_instance_is_a_label_of_replica_metrics_where_it_is_set() {
    let registry = Registry::new(&BUILD, &Live::default(), leading(), Some("blue"));
    registry.update(&cycle(vec![pool("p", vec![variant("a", 1, 1, 2)])]));
    for family in [
        "wva_desired_replicas",
        "wva_current_replicas",
        "wva_desired_ratio",
        "wva_replica_scaling_total",
    ] {
        let lines = series(&registry, family);
        assert!(
            lines[0].contains(r#"controller_instance="blue""#),
            "{lines:?}"
        );
    }
    let ticks = series(&registry, "trimtab_ticks_total");
    assert!(!ticks[0].contains("controller_instance"), "{ticks:?}");
    let without = Registry::new(&BUILD, &Live::default(), leading(), Some(""));
    without.update(&cycle(vec![pool("p", vec![variant("a", 1, 1, 2)])]));
    let lines = series(&without, "wva_desired_replicas");
    assert!(!lines[0].contains("controller_instance"), "{lines:?}");
}

#[test]
fn variants_with_the_same_labels_give_one_series_the_larger() {
    let registry = registry();
    let pools = vec![
        pool("p", vec![variant("a", 1, 1, 2)]),
        pool("q", vec![variant("a", 1, 1, 7)]),
    ];
    registry.update(&cycle(pools));
    let lines = series(&registry, "wva_desired_replicas");
    assert_eq!(lines, [format!("wva_desired_replicas{A} 7.0")]);
    let errors = r#"wva_errors_total{component="publish",error_type="duplicate_variant"}"#;
    assert_eq!(value(&registry, errors), Some(1.0));
}
