//! Pools and variants as a tick sees them.

mod scalers;

use super::*;
use crate::config::Config;
use crate::index::testing::*;
use serde_json::{Value, json};
use trimtab_core::fleet::Picker;

fn names(picker: &Picker) -> Vec<&str> {
    let pods = picker.pods.iter();
    pods.map(|pod| pod.name.as_str()).collect()
}

#[test]
fn the_three_ways_in_give_the_same_variant() {
    let claims = [
        variant("a/d", "d").with("/spec/minReplicas", 1),
        hpa("a/h", "d").with("/spec/minReplicas", 1),
        scaled_object("a/s", "d"),
    ];
    let of = |claim: Value| {
        let mut objects = deployed("a/d", 3);
        objects.push(node("node-0", H100, 8));
        objects.push(claim);
        let seen = view_of(&objects);
        seen.pools[0].fleet.clone()
    };
    let [by_variant, by_hpa, by_scaled_object] = claims.map(of);
    assert_eq!(by_variant, by_hpa);
    assert_eq!(by_variant, by_scaled_object);
    let variant = &by_variant.pool.variants[0];
    assert_eq!((variant.name.as_str(), variant.cost), ("d", 10.0));
    assert_eq!(
        (variant.accelerator.as_str(), variant.gpus_per_replica),
        (H100, 1)
    );
    assert_eq!((variant.current_replicas, variant.ready_replicas), (3, 3));
    assert_eq!((variant.min_replicas, variant.max_replicas), (1, 10));
    assert_eq!(variant.startup_time, Some(90.0));
    assert_eq!(by_variant.replicas.len(), 3);
}

#[test]
fn two_claims_on_one_target_refuse_both_and_name_each_other() {
    let mut objects = deployed("a/d", 1);
    objects.push(variant("a/v", "d"));
    objects.push(scaled_object("a/s", "d"));
    let mut index = index_of(&objects);
    let seen = view(&mut index);
    assert_eq!(seen.pools, []);
    let refused = seen.refusal("v");
    assert_eq!(refused.why, Why::Conflict);
    assert_eq!(
        refused.message,
        "Deployment a/d is claimed by ScaledObject a/s too: keep one of them"
    );
    assert_eq!(
        seen.refusal("s").message,
        "Deployment a/d is claimed by VariantAutoscaling a/v too: keep one of them"
    );
    delete(&mut index, &scaled_object("a/s", "d"));
    assert_eq!(view(&mut index).outline(), ["a/model:m: v"]);
}

#[test]
fn two_variants_of_one_name_refuse_both() {
    let mut objects = deployed("a/d", 1);
    objects.push(stateful_set("a/s", 1));
    objects.push(variant_of("a/d", "StatefulSet", "s"));
    objects.push(hpa("a/h", "d"));
    let seen = view_of(&objects);
    assert_eq!(seen.pools, []);
    assert_eq!(seen.refusal("d").why, Why::Conflict);
    assert_eq!(
        seen.refusal("h").message,
        "VariantAutoscaling a/d makes a variant `d` too: rename one"
    );
    assert!(
        seen.refusal("d")
            .message
            .starts_with("HorizontalPodAutoscaler a/h makes")
    );
}

#[test]
fn a_claim_on_what_wraps_a_claimed_target_refuses_both() {
    let wrapped = deployment("a/d", 1).owned_by("apps/v1", "StatefulSet", "s");
    let inner = variant("a/inner", "d");
    let outer = variant_of("a/outer", "StatefulSet", "s");
    let mut index = index_of(&[
        wrapped,
        stateful_set("a/s", 1),
        inner.clone(),
        outer.clone(),
    ]);
    let seen = view(&mut index);
    assert_eq!(seen.pools, []);
    assert_eq!(seen.refusal("inner").why, Why::Conflict);
    assert_eq!(
        seen.refusal("inner").message,
        "Deployment a/d has replicas in common with StatefulSet a/s, which VariantAutoscaling \
         a/outer claims: keep one of them"
    );
    assert_eq!(
        seen.refusal("outer").message,
        "StatefulSet a/s has replicas in common with Deployment a/d, which VariantAutoscaling \
         a/inner claims: keep one of them"
    );
    delete(&mut index, &inner);
    assert_eq!(view(&mut index).outline(), ["a/model:m: outer"]);
    apply(&mut index, &inner);
    delete(&mut index, &outer);
    assert_eq!(view(&mut index).outline(), ["a/model:m: inner"]);
}

#[test]
fn a_target_that_is_missing_or_going_is_said_and_may_come_back() {
    let mut index = index_of(&[variant("a/v", "d")]);
    let refused = view(&mut index).refusal("v").clone();
    assert_eq!(refused.why, Why::TargetNotFound);
    assert_eq!(
        refused.message,
        "Deployment a/d does not exist, or is being deleted"
    );
    apply(&mut index, &deployment("a/d", 1));
    assert_eq!(view(&mut index).outline(), ["a/model:m: v"]);
    apply(&mut index, &terminating(deployment("a/d", 1)));
    assert_eq!(view(&mut index).refusal("v").why, Why::TargetNotFound);
    apply(&mut index, &deployment("a/d", 1));
    delete(&mut index, &deployment("a/d", 1));
    assert_eq!(view(&mut index).refusal("v").why, Why::TargetNotFound);
}

#[test]
fn a_target_without_a_name_is_invalid() {
    let nameless = variant("a/v", "d").with("/spec/scaleTargetRef", Value::Null);
    let seen = view_of(&[nameless]);
    assert_eq!(seen.refusal("v").why, Why::Invalid);
    assert!(seen.refusal("v").message.contains("scaleTargetRef.name"));
}

#[test]
fn a_model_that_the_claim_leaves_out_is_that_of_the_command_line() {
    let claim = hpa("a/h", "d").with("/metadata/annotations/llm-d.ai~1model-id", Value::Null);
    let claim = claim.with("/metadata/annotations", json!({"llm-d.ai/managed": "true"}));
    let arguments =
        |args: Value| deployment("a/d", 1).with("/spec/template/spec/containers/0/args", args);
    let model = ["--model", "org/m", "--served-model-name", "mine"];
    let seen = view_of(&[claim.clone(), arguments(json!(model))]);
    assert_eq!(seen.outline(), ["a/model:mine: d"]);
    let seen = view_of(&[claim, arguments(json!([]))]);
    let refused = seen.refusal("h");
    assert_eq!(refused.why, Why::Invalid);
    assert!(refused.message.contains("llm-d.ai/model-id"));
}

#[test]
fn variants_of_one_model_without_a_pool_form_one_by_themselves() {
    let objects = [
        deployment("a/d", 1),
        deployment("a/e", 1),
        deployment("a/f", 1),
        deployment("b/d", 1),
        variant("a/w", "e"),
        variant("a/v", "d"),
        variant("a/x", "f").with("/spec/modelID", "n"),
        variant("b/v", "d"),
    ];
    let seen = view_of(&objects);
    assert_eq!(
        seen.outline(),
        ["a/model:m: v w", "a/model:n: x", "b/model:m: v"]
    );
    assert_eq!(seen.pools[0].fleet.picker, None);
}

#[test]
fn a_pool_has_the_variants_whose_pods_its_selector_fits() {
    let shared =
        |path: &str| deployment(path, 1).with("/spec/template/metadata/labels/serves", "m");
    let selector = json!({"matchLabels": {"serves": "m"}});
    let objects = [
        shared("a/d"),
        shared("a/e"),
        deployment("a/f", 1),
        pool("a/p", "none").with("/spec/selector", selector),
        variant("a/d", "d"),
        variant("a/e", "e"),
        variant("a/f", "f"),
    ];
    assert_eq!(view_of(&objects).outline(), ["a/model:m: f", "a/p: d e"]);
}

#[test]
fn equal_names_in_two_namespaces_never_meet() {
    let mut objects = Vec::new();
    for namespace in ["a", "b"] {
        objects.extend(deployed(&format!("{namespace}/d"), 2));
        objects.push(pool(&format!("{namespace}/p"), "d"));
        objects.push(service(&format!("{namespace}/p-epp"), "epp"));
        objects.push(pod(&format!("{namespace}/epp-0")).labelled("app", "epp"));
        objects.push(variant(&format!("{namespace}/d"), "d"));
    }
    objects.push(pod("b/epp-1").labelled("app", "epp"));
    objects.push(pod_of("b/d-2", "d-rs"));
    let seen = view_of(&objects);
    assert_eq!(seen.outline(), ["a/p: d", "b/p: d"]);
    let replicas = |at: usize| seen.pools[at].fleet.replicas.len();
    assert_eq!((replicas(0), replicas(1)), (2, 3));
    let pickers = |at: usize| seen.pools[at].fleet.picker.as_ref().unwrap().pods.len();
    assert_eq!((pickers(0), pickers(1)), (1, 2));
    let namespaces = seen
        .pools
        .iter()
        .map(|pool| &pool.variants[0].claimant.namespace);
    assert_eq!(namespaces.collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn one_pool_in_both_versions_of_the_api_is_one_and_the_newer_counts() {
    let objects = [
        deployment("a/d", 1),
        variant("a/d", "d"),
        old_pool("a/p", "d").with("/spec/extensionRef/name", "old"),
        pool("a/p", "d"),
        service("a/old", "old"),
        service("a/p-epp", "epp"),
        pod("a/epp-0").labelled("app", "epp"),
        pod("a/old-0").labelled("app", "old"),
    ];
    let mut index = index_of(&objects);
    let picker = |seen: View| seen.pools[0].fleet.picker.clone().unwrap();
    assert_eq!(view(&mut index).outline(), ["a/p: d"]);
    let of = picker(view(&mut index));
    assert_eq!((of.pool.as_str(), names(&of)), ("p", vec!["epp-0"]));
    delete(&mut index, &pool("a/p", "d"));
    assert_eq!(names(&picker(view(&mut index))), ["old-0"]);
    delete(&mut index, &old_pool("a/p", "d"));
    assert_eq!(view(&mut index).outline(), ["a/model:m: d"]);
}

#[test]
fn a_pool_with_two_models_is_two_and_only_one_of_them_is_asked_at_the_picker() {
    let shared =
        |path: &str| deployment(path, 1).with("/spec/template/metadata/labels/app", "shared");
    let objects = [
        shared("a/d"),
        shared("a/e"),
        pool("a/p", "shared"),
        variant("a/d", "d").with("/spec/modelID", "m1"),
        variant("a/e", "e").with("/spec/modelID", "m2"),
    ];
    let seen = view_of(&objects);
    assert_eq!(seen.outline(), ["a/model:m2: e", "a/p: d"]);
    let pickers = seen.pools.iter().map(|pool| pool.fleet.picker.is_some());
    assert_eq!(pickers.collect::<Vec<_>>(), [false, true]);
    let models = seen.pools.iter().map(|pool| pool.fleet.pool.model.as_str());
    assert_eq!(models.collect::<Vec<_>>(), ["m2", "m1"]);
    for pool in &seen.pools {
        assert_eq!(
            pool.variants[0].warnings,
            [
                "InferencePool `p` has pods of several models: `m1`, `m2`; its endpoint picker counts \
              for `m1` alone: give each model a pool"
            ]
        );
    }
    let alone = view_of(&objects[..4]);
    assert_eq!(alone.only().1.warnings, Vec::<String>::new());
}

#[test]
fn pods_of_several_pools_are_those_of_the_first_and_that_is_said() {
    let objects = [
        deployment("a/d", 1),
        variant("a/d", "d"),
        pool("a/q", "d"),
        pool("a/p", "d"),
        old_pool("a/p", "d"),
        pool("b/o", "d"),
    ];
    let seen = view_of(&objects);
    assert_eq!(seen.outline(), ["a/p: d"]);
    assert_eq!(
        seen.only().1.warnings,
        ["its pods are of several InferencePools: `p`, `q`; the first is taken"]
    );
}

#[test]
fn devices_of_which_nobody_knows_that_they_are_gpus_are_said() {
    let class = "/spec/spec/devices/requests/0/exactly/deviceClassName";
    let pods = "/spec/template/spec";
    let claims = json!([{"name": "one", "resourceClaimTemplateName": "t"}]);
    let claiming = deployment("a/d", 1).with(&format!("{pods}/resourceClaims"), claims);
    let template = claim_template("a/t", 2).with(class, "h100-large");
    let with_gpus = view_of(&[claiming.clone(), variant("a/d", "d"), template.clone()]);
    let warnings = &with_gpus.only().1.warnings;
    assert_eq!(warnings, &[] as &[String], "a network card, perhaps");
    let bare = claiming.with(&format!("{pods}/containers/0/resources"), json!({}));
    let seen = view_of(&[bare, variant("a/d", "d"), template]);
    let (variant, of) = seen.only();
    assert_eq!(variant.gpus_per_replica, 0);
    assert!(of.warnings[0].contains("class `h100-large`"), "{of:?}");
}

#[test]
fn a_claim_template_that_is_not_there_is_said() {
    let claims = json!([
        {"name": "one", "resourceClaimTemplateName": "there"},
        {"name": "two", "resourceClaimTemplateName": "absent"},
        {"name": "three", "resourceClaimTemplateName": "absent"},
    ]);
    let pods = "/spec/template/spec";
    let objects = [
        deployment("a/d", 1)
            .with(&format!("{pods}/resourceClaims"), claims)
            .with(&format!("{pods}/containers/0/resources"), json!({})),
        variant("a/d", "d"),
        claim_template("a/there", 2),
        claim_template("b/absent", 8),
    ];
    let seen = view_of(&objects);
    let (variant, of) = seen.only();
    assert_eq!(variant.gpus_per_replica, 2);
    assert_eq!(
        of.warnings,
        ["ResourceClaimTemplate `absent` is not there: its GPUs are not counted"]
    );
}

#[test]
fn a_picker_is_the_living_pods_behind_its_service() {
    let objects = [
        deployment("a/d", 1),
        variant("a/d", "d"),
        pool("a/p", "d"),
        service("a/p-epp", "epp"),
        pod("a/epp-0").labelled("app", "epp"),
        pending(pod("a/epp-1")).labelled("app", "epp"),
        terminating(pod("a/epp-2")).labelled("app", "epp"),
        finished(pod("a/epp-3")).labelled("app", "epp"),
        pod("a/other").labelled("app", "other"),
        pod("b/epp-9").labelled("app", "epp"),
    ];
    let picker = |objects: &[Value]| view_of(objects).pools[0].fleet.picker.clone().unwrap();
    assert_eq!(names(&picker(&objects)), ["epp-0", "epp-1"]);
    let elsewhere = pool("a/p", "d").with("/spec/endpointPickerRef/kind", "Gateway");
    let mut without = objects.to_vec();
    without[2] = elsewhere;
    assert_eq!(picker(&without).pods, []);
    without[2] = pool("a/p", "d");
    without[3] = service("a/p-epp", "epp").with("/spec/selector", Value::Null);
    assert_eq!(picker(&without).pods, []);
}

#[test]
fn a_pool_without_a_selector_takes_nobody_in() {
    let objects = [
        deployment("a/d", 1),
        variant("a/d", "d"),
        pool("a/p", "d").with("/spec/selector", json!({"matchLabels": {}})),
        old_pool("a/q", "d").with("/spec/selector", json!({})),
        pool("a/r", "d").with("/spec/selector", Value::Null),
    ];
    assert_eq!(view_of(&objects).outline(), ["a/model:m: d"]);
}

#[test]
fn excluded_namespaces_are_left_alone() {
    let objects = [
        deployment("a/d", 1),
        variant("a/d", "d"),
        deployment("b/d", 1),
        variant("b/d", "d"),
        namespace("a").annotated("wva.llmd.ai/exclude", "true"),
        namespace("b").labelled("wva.llmd.ai/exclude", "false"),
    ];
    let mut index = index_of(&objects);
    assert_eq!(view(&mut index).outline(), ["b/model:m: d"]);
    assert_eq!(view(&mut index).refused, []);
    apply(&mut index, &namespace("a"));
    assert_eq!(view(&mut index).pools.len(), 2);
}

#[test]
fn other_kinds_with_a_scale_subresource_are_targets_too() {
    let rollout = deployment("a/r", 2)
        .with("/apiVersion", "argoproj.io/v1alpha1")
        .with("/kind", "Rollout");
    let claim = variant_of("a/v", "Rollout", "r")
        .with("/spec/scaleTargetRef/apiVersion", "argoproj.io/v1beta9");
    let set = replica_set("a/r-rs", "r").owned_by("argoproj.io/v1alpha1", "Rollout", "r");
    let objects = [rollout, claim, set, pod_of("a/r-0", "r-rs")];
    let seen = view_of(&objects);
    assert_eq!(seen.only().0.current_replicas, 2);
    assert_eq!(seen.pools[0].fleet.replicas[0].name, "r-0");
}

#[test]
fn what_cannot_be_scaled_or_keeps_its_count_elsewhere_is_refused_and_not_taken_for_one() {
    let rollout = deployment("a/r", 2)
        .with("/apiVersion", "argoproj.io/v1alpha1")
        .with("/kind", "Rollout")
        .with("/spec/replicas", Value::Null);
    let claim = variant_of("a/v", "Rollout", "r")
        .with("/spec/scaleTargetRef/apiVersion", "argoproj.io/v1alpha1");
    let mut index = index_of(&[rollout, claim]);
    let refused = |index: &mut Index| {
        let seen = view(index);
        assert_eq!(seen.pools, []);
        (seen.refused[0].why, seen.refused[0].message.clone())
    };
    let (why, message) = refused(&mut index);
    assert_eq!(why, Why::Invalid);
    assert!(
        message.contains("does not say how many replicas it has"),
        "{message}"
    );
    let revision = index.revision;
    index.apply_kind("argoproj.io", "Rollout", Some(Unusable::NoScale));
    assert_eq!(index.revision, revision + 1);
    let (_, message) = refused(&mut index);
    assert!(
        message.contains("Rollout.argoproj.io a/r cannot be scaled: its kind has no"),
        "{message}"
    );
    let forbidden = Unusable::Unread("forbidden (403)".to_owned());
    index.apply_kind("argoproj.io", "Rollout", Some(forbidden));
    let (why, message) = refused(&mut index);
    assert_eq!(why, Why::TargetNotFound);
    assert!(message.contains("forbidden (403)"), "{message}");
}

#[test]
fn bounds_that_are_no_counts_are_refused_and_not_widened() {
    for (path, value) in [
        ("/spec/maxReplicas", json!(-4)),
        ("/spec/maxReplicas", json!("8")),
        ("/spec/maxReplicas", json!(99_999_999_999_u64)),
        ("/spec/minReplicas", json!(4.5)),
    ] {
        let claim = variant("a/v", "d").with(path, value.clone());
        let seen = view_of(&[deployment("a/d", 2), claim]);
        let message = &seen.refused[0].message;
        let wanted = format!("spec.{}: {value} is no count of replicas", &path[6..]);
        assert_eq!((seen.refused[0].why, message), (Why::Invalid, &wanted));
    }
}

#[test]
fn a_deployment_without_a_count_has_one_replica() {
    let objects = [
        deployment("a/d", 2).with("/spec/replicas", Value::Null),
        variant("a/v", "d"),
    ];
    assert_eq!(view_of(&objects).only().0.desired_replicas, 1);
}

#[test]
fn how_long_replicas_took_to_start_is_remembered_when_there_are_none() {
    let mut objects = deployed("a/d", 1);
    objects.push(variant("a/v", "d"));
    let mut index = index_of(&objects);
    assert_eq!(view(&mut index).only().0.startup_time, Some(90.0));
    delete(&mut index, &objects[2]);
    apply(&mut index, &deployment("a/d", 0));
    assert_eq!(view(&mut index).only().0.startup_time, Some(90.0));
    delete(&mut index, &objects[0]);
    apply(&mut index, &objects[0]);
    assert_eq!(view(&mut index).only().0.startup_time, None);
}

#[test]
fn what_was_decided_before_is_read_from_the_status() {
    let variant = variant("a/v", "d");
    let decided = |applied: Value| {
        let allocation = json!({"numReplicas": 0});
        json!({"desiredOptimizedAlloc": allocation, "actuation": {"applied": applied}})
    };
    for (status, recorded) in [
        (Value::Null, None),
        (json!({}), None),
        (decided(json!(true)), Some(0)),
        // Nobody was told to act on it.
        (decided(json!(false)), None),
        (decided(Value::Null), None),
    ] {
        let claim = variant.clone().with("/status", status);
        let seen = view_of(&[deployment("a/d", 4), claim]);
        let (variant, of) = seen.only();
        let replicas = of.recorded_count().map(|count| count.replicas);
        assert_eq!((replicas, of.spec_replicas), (recorded, 4));
        assert_eq!(variant.desired_replicas, 4);
    }
}

#[test]
fn claims_of_two_instances_on_one_target_are_refused_by_both() {
    let of =
        |claim: Value, instance: &str| claim.labelled("wva.llmd.ai/controller-instance", instance);
    let mut objects = deployed("a/d", 1);
    objects.push(of(variant("a/v", "d"), "x"));
    objects.push(of(hpa("a/h", "d"), "y"));
    for (instance, claimed) in [("x", "v"), ("y", "h")] {
        let config = Config {
            controller_instance: Some(instance.to_owned()),
            ..Config::default()
        };
        let seen = view(&mut index_with(config, &objects));
        assert_eq!(seen.pools, [], "{instance}");
        assert_eq!(seen.refusal(claimed).why, Why::Conflict);
        assert_eq!(seen.refused.len(), 1, "the other's is the other's");
    }
}
