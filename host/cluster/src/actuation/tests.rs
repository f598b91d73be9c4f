//! Causes, by what the cluster says.

use serde_json::{Value, json};
use trimtab_contract::Role;

use super::*;
use crate::index::testing::*;

pub(crate) fn decided(current: u32, desired: u32) -> VariantDecision {
    VariantDecision {
        variant: "v".to_owned(),
        accelerator: H100.to_owned(),
        role: Role::Both,
        current,
        previous: desired,
        proposed: Some(desired),
        desired,
        published: true,
        reason: String::new(),
        steps: Vec::new(),
    }
}

/// A Deployment of so many replicas, its claim `v`, and others.
fn variant_of(replicas: u32, others: &[Value]) -> VariantView {
    let mut objects = deployed("a/d", replicas);
    objects.push(variant("a/v", "d"));
    objects.extend_from_slice(others);
    view_of(&objects).pools[0].variants[0].clone()
}

fn reads_us(name: &str) -> Value {
    hpa(name, "d")
        .with("/spec/maxReplicas", 200)
        .with("/metadata/annotations", json!({}))
        .with(
            "/spec/metrics",
            json!([{"type": "External", "external": {"metric": {
                "name": "wva_desired_replicas",
                "selector": {"matchLabels": {"variant_name": "v"}},
            }}}]),
        )
}

fn found(of: &VariantView, decided: &VariantDecision, for_ms: u64) -> Option<&'static str> {
    finding(of, decided, false, Some(for_ms)).map(|finding| finding.reason)
}

#[test]
fn one_more_replica_is_lost_from_ten_on_and_what_helps_is_said() {
    let of = |count| variant_of(count, &[reads_us("a/h")]);
    let swallowed = [(10, 11), (20, 22), (20, 19), (20, 18), (100, 109)];
    for (current, wanted) in swallowed {
        let told = finding(&of(current), &decided(current, wanted), false, Some(0)).unwrap();
        assert_eq!(
            told.reason,
            reason::WITHIN_TOLERANCE,
            "{current} to {wanted}"
        );
        assert!(
            told.message.contains("`actuation` to direct"),
            "{}",
            told.message
        );
    }
    for (current, wanted) in [(9, 10), (20, 23), (20, 17), (100, 111)] {
        assert_eq!(found(&of(current), &decided(current, wanted), 0), None);
    }
    let zero = json!({"scaleUp": {"tolerance": "0"}, "scaleDown": {"tolerance": "50m"}});
    let set = variant_of(20, &[reads_us("a/h").with("/spec/behavior", zero)]);
    assert_eq!(found(&set, &decided(20, 21), 0), None);
    assert_eq!(
        found(&set, &decided(20, 19), 0),
        Some(reason::WITHIN_TOLERANCE)
    );
    assert_eq!(found(&set, &decided(20, 18), 0), None);
}

#[test]
fn where_nobody_reads_what_is_asked_for_it_is_said() {
    // Situation 19.
    assert_eq!(
        found(&variant_of(1, &[]), &decided(1, 2), 0),
        Some(reason::NOBODY_READS)
    );
    let cpu = hpa("a/h", "d").with("/metadata/annotations", json!({}));
    let told = finding(&variant_of(1, &[cpu]), &decided(1, 2), false, Some(0)).unwrap();
    assert_eq!(told.reason, reason::NOBODY_READS);
    assert!(
        told.message
            .starts_with("HorizontalPodAutoscaler a/h scales"),
        "{}",
        told.message
    );
    let direct = finding(&variant_of(1, &[]), &decided(1, 2), true, Some(0));
    assert_eq!(direct, None, "we do");
    assert_eq!(
        finding(&variant_of(1, &[]), &decided(1, 1), false, None),
        None
    );
}

#[test]
fn what_whoever_scales_says_or_allows_is_said() {
    let failing = reads_us("a/h").with(
        "/status/conditions",
        json!([{"type": "ScalingActive", "status": "False",
            "reason": "FailedGetExternalMetric", "message": "no such metric"}]),
    );
    let told = finding(&variant_of(1, &[failing]), &decided(1, 2), false, Some(0)).unwrap();
    assert_eq!(told.reason, reason::SCALER_FAILS);
    assert!(
        told.message
            .ends_with("FailedGetExternalMetric: no such metric"),
        "{}",
        told.message
    );
    let low = reads_us("a/h").with("/spec/maxReplicas", 2);
    assert_eq!(
        found(&variant_of(2, &[low]), &decided(2, 3), 0),
        Some(reason::AT_MAXIMUM)
    );
    let lazy = variant_of(1, &[reads_us("a/h")]);
    assert_eq!(found(&lazy, &decided(1, 2), LONG_MS), None);
    assert_eq!(
        found(&lazy, &decided(1, 2), LONG_MS + 1),
        Some(reason::LAGGING)
    );
    let slow = variant_of(4, &[reads_us("a/h")]);
    assert_eq!(
        found(&slow, &decided(4, 2), LONG_DOWN_MS),
        None,
        "its window"
    );
    assert_eq!(
        found(&slow, &decided(4, 2), LONG_DOWN_MS + 1),
        Some(reason::LAGGING)
    );
}

#[test]
fn a_scaled_object_whose_metric_keda_does_not_know_is_deaf() {
    // Situation 74.
    let triggers = json!([
        {"type": "prometheus", "metadata": {"query": "up"}},
        {"type": "external-push", "metadata": {"scalerAddress": "x:1", "variantName": "v"}},
    ]);
    let object = scaled_object("a/s", "d").with("/metadata/annotations", json!({}));
    let object = object.with("/spec/triggers", triggers);
    let knows = |names: Value| {
        let object = object.clone().with("/status/externalMetricNames", names);
        finding(&variant_of(1, &[object]), &decided(1, 1), false, None)
    };
    let told = knows(json!(["s0-up"])).unwrap();
    assert_eq!(told.reason, reason::SCALER_DEAF);
    assert!(
        told.message.contains("`s1-wva_desired_replicas`"),
        "{}",
        told.message
    );
    assert_eq!(knows(json!(["s0-up", "s1-wva_desired_replicas"])), None);
    assert_eq!(knows(Value::Null), None, "it has not looked yet");

    // Where it knows of none it leaves the list out; and a trigger need not name its variant.
    let ready = json!([{"type": "Ready", "status": "True"}]);
    let triggers = json!([
        {"type": "cpu", "metadata": {"value": "60"}},
        {"type": "external-push", "metadata": {"scalerAddress": "x:1"}},
    ]);
    let object = object.with("/spec/triggers", triggers);
    let object = object.with("/status/conditions", ready);
    let found = finding(&variant_of(1, &[object]), &decided(1, 1), false, None);
    let message = found.unwrap().message;
    assert!(message.contains("`s1-wva_desired_replicas`"), "{message}");
}

#[test]
fn what_is_to_be_scaled_directly_and_has_a_scaler_is_told() {
    let of = variant_of(1, &[reads_us("a/h")]);
    let found = finding(&of, &decided(1, 1), true, None).unwrap();
    assert_eq!(found.reason, reason::ACTUATION_CONFLICT);
    assert!(found.message.contains("a/h scales"), "{}", found.message);
    let alone = variant_of(1, &[]);
    assert_eq!(finding(&alone, &decided(1, 3), true, Some(LONG_MS)), None);
    let found = finding(&alone, &decided(1, 3), true, Some(LONG_MS + 1));
    assert_eq!(found.unwrap().reason, reason::LAGGING);
}

#[test]
fn pods_that_do_not_come_are_told_apart() {
    let long = LONG_MS + 1;
    let mut of = variant_of(1, &[]);
    of.spec_replicas = 3;
    of.unschedulable = 2;
    assert_eq!(found(&of, &decided(3, 3), long), Some(reason::PENDING));
    assert_eq!(found(&of, &decided(3, 3), LONG_MS), None);
    of.not_made = Some("pods \"d-1\" is forbidden: exceeded quota: gpus".to_owned());
    assert_eq!(
        found(&of, &decided(1, 3), long),
        Some(reason::QUOTA_EXCEEDED)
    );
    of.not_made = Some("denied by a webhook".to_owned());
    assert_eq!(
        found(&of, &decided(1, 3), long),
        Some(reason::PODS_NOT_MADE)
    );
    // Not every kind says why.
    (of.not_made, of.unschedulable) = (None, 0);
    assert_eq!(
        found(&of, &decided(1, 3), long),
        Some(reason::PODS_NOT_MADE)
    );
}

#[test]
fn how_long_it_has_been_apart_begins_anew_when_it_was_reached() {
    let mut objects = deployed("a/d", 1);
    objects.push(variant("a/v", "d"));
    objects.push(reads_us("a/h"));
    let view = view_of(&objects).pools.remove(0);
    let mut follower = Follower::default();
    let mut at = |now_ms: u64, desired: u32| {
        let mut decision = decision_of("a", "p");
        decision.variants = vec![decided(1, desired)];
        let found = follower.follow([(&view, &decision, false)].into_iter(), now_ms);
        found[0][0].as_ref().map(|finding| finding.reason)
    };
    assert_eq!(at(0, 2), None);
    assert_eq!(at(LONG_MS, 3), None, "still more");
    assert_eq!(at(LONG_MS + 1, 3), Some(reason::LAGGING));
    assert_eq!(at(LONG_MS + 2, 1), None);
    assert_eq!(at(LONG_MS + 3, 2), None);
    assert_eq!(at(2 * LONG_MS + 3, 2), None);
    assert_eq!(at(2 * LONG_MS + 4, 2), Some(reason::LAGGING));
}

pub(crate) fn decision_of(namespace: &str, pool: &str) -> PoolDecision {
    PoolDecision {
        now_ms: 0,
        namespace: namespace.to_owned(),
        pool: pool.to_owned(),
        mode: trimtab_core::snapshot::Mode::Enforce,
        arm: None,
        analyses: Vec::new(),
        plan: trimtab_core::decision::Planned {
            call: trimtab_core::decision::Call::default(),
            notes: Vec::new(),
        },
        variants: Vec::new(),
        conditions: Vec::new(),
    }
}

#[test]
fn a_step_on_the_way_is_no_standstill() {
    let mut of = variant_of(1, &[]);
    let mut apart_since: Option<Apart> = None;
    let mut for_ms = |set: u32, now_ms: u64| {
        of.spec_replicas = set;
        apart_since = apart(&of, &decided(set, 9), apart_since.as_ref(), now_ms);
        apart_since.map(|apart| now_ms - apart.since_ms)
    };
    assert_eq!(for_ms(1, 0), Some(0));
    assert_eq!(for_ms(1, 60_000), Some(60_000));
    assert_eq!(for_ms(3, 120_000), Some(0), "it grew");
    assert_eq!(for_ms(2, 180_000), Some(60_000), "somebody took one away");
    assert_eq!(for_ms(9, 200_000), None);
}

#[test]
fn a_trigger_of_somebody_else_is_not_ours_and_nobody_asks_for_what_is_paused() {
    let object = |metadata: Value| {
        let triggers = json!([{"type": "external", "metadata": metadata}]);
        scaled_object("a/s", "d")
            .with("/metadata/annotations", json!({}))
            .with("/spec/triggers", triggers)
            .with("/status/externalMetricNames", json!([]))
    };
    let look = |object: Value| {
        let of = variant_of(1, &[object]);
        let scaler = &of.scalers[0];
        (scaler.reads_us, scaler.deaf_to.is_some(), scaler.paused)
    };
    let theirs = object(json!({"scalerAddress": "x:1", "queue": "q"}));
    assert_eq!(look(theirs), (false, false, false));
    let ours = object(json!({"scalerAddress": "x:1"}));
    assert_eq!(look(ours.clone()), (true, true, false));
    let paused = ours.with(
        "/metadata/annotations",
        json!({"autoscaling.keda.sh/paused": "true"}),
    );
    assert_eq!(look(paused.clone()), (true, false, true));
    let of = variant_of(1, &[paused]);
    assert_eq!(found(&of, &decided(1, 3), 0), Some(reason::PAUSED));
}
