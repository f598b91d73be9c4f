//! What the three kinds of claims ask for.

use super::*;
use crate::config::Config;
use crate::index::testing::*;
use serde_json::{Value, json};

fn claim_of_variant(object: Value) -> Claim {
    Claim::of_variant(&read(&object))
}

fn claim_of_hpa(object: Value) -> Option<Claim> {
    Claim::of_hpa(&read(&object))
}

fn claim_of_scaled_object(object: Value) -> Option<Claim> {
    Claim::of_scaled_object(&read(&object))
}

#[test]
fn a_variant_without_bounds_or_cost_has_those_of_wva() {
    let variant = variant("a/v", "d").with("/spec/maxReplicas", Value::Null);
    let claim = claim_of_variant(variant);
    assert_eq!((claim.min_replicas, claim.max_replicas), (1, u32::MAX));
    assert_eq!(claim.cost, 10.0);
    assert_eq!(claim.model.as_deref(), Some("m"));
    assert_eq!(claim.faults, Vec::<String>::new());
}

#[test]
fn a_variant_may_allow_zero_replicas() {
    let claim = claim_of_variant(variant("a/v", "d").with("/spec/minReplicas", 0));
    assert_eq!(claim.min_replicas, 0);
}

#[test]
fn a_cost_is_a_decimal_number() {
    for (written, cost) in [("40", 40.0), ("0.5", 0.5), (" 3.25 ", 3.25), ("0", 0.0)] {
        let claim = claim_of_variant(variant("a/v", "d").with("/spec/variantCost", written));
        assert_eq!((claim.cost, claim.faults.len()), (cost, 0), "{written}");
    }
}

#[test]
fn a_cost_that_is_none_is_said_and_the_default_taken() {
    for written in ["cheap", "", "-1", "NaN", "inf", "1,5"] {
        let claim = claim_of_variant(variant("a/v", "d").with("/spec/variantCost", written));
        assert_eq!(claim.cost, 10.0, "{written}");
        let expected =
            format!("spec.variantCost: `{written}` is no number of 0 or more; 10 is taken");
        assert_eq!(claim.faults, [expected]);
    }
    let hpa = hpa("a/h", "d").annotated("llm-d.ai/variant-cost", "x");
    let faults = claim_of_hpa(hpa).unwrap().faults;
    assert!(faults[0].starts_with("annotation llm-d.ai/variant-cost: `x`"));
}

#[test]
fn a_minimum_above_the_maximum_is_said() {
    let claim = claim_of_variant(variant("a/v", "d").with("/spec/minReplicas", 11));
    assert_eq!(
        claim.faults,
        ["minReplicas 11 is above maxReplicas 10: the minimum counts"]
    );
}

#[test]
fn an_hpa_claims_with_its_bounds_and_annotations() {
    let hpa = hpa("a/h", "d")
        .annotated("llm-d.ai/variant-cost", "2.5")
        .with("/spec/minReplicas", 2);
    let claim = claim_of_hpa(hpa).unwrap();
    assert_eq!((claim.min_replicas, claim.max_replicas), (2, 10));
    assert_eq!(
        (claim.model.as_deref(), claim.cost, claim.recorded),
        (Some("m"), 2.5, None)
    );
    assert_eq!(claim.target.to_string(), "Deployment a/d");
}

#[test]
fn only_managed_true_makes_a_scaler_a_claim() {
    for value in ["false", "True", "", "yes"] {
        let hpa = hpa("a/h", "d").annotated("llm-d.ai/managed", value);
        assert_eq!(claim_of_hpa(hpa), None, "{value}");
    }
    let bare = hpa("a/h", "d").with("/metadata/annotations", Value::Null);
    assert_eq!(claim_of_hpa(bare), None);
    let labelled = scaled_object("a/s", "d")
        .with("/metadata/annotations", Value::Null)
        .labelled("llm-d.ai/managed", "true");
    assert_eq!(claim_of_scaled_object(labelled), None);
}

#[test]
fn a_scaled_object_has_the_defaults_of_keda() {
    let object = scaled_object("a/s", "d")
        .with("/spec/minReplicaCount", Value::Null)
        .with("/spec/maxReplicaCount", Value::Null);
    let claim = claim_of_scaled_object(object).unwrap();
    assert_eq!((claim.min_replicas, claim.max_replicas), (0, 100));
    assert_eq!(
        (claim.target.group.as_str(), claim.target.kind.as_str()),
        ("apps", "Deployment")
    );
}

#[test]
fn the_hpa_that_keda_makes_is_no_second_claim() {
    // Situation 37.
    let child = hpa("a/keda-hpa-s", "d").owned_by("keda.sh/v1alpha1", "ScaledObject", "s");
    assert_eq!(claim_of_hpa(child), None);
    let other = hpa("a/h", "d").owned_by("example.com/v1", "ScaledObject", "s");
    assert!(claim_of_hpa(other).is_some());
    let mut objects = deployed("a/d", 1);
    objects.push(scaled_object("a/s", "d"));
    objects.push(hpa("a/keda-hpa-s", "d").owned_by("keda.sh/v1alpha1", "ScaledObject", "s"));
    assert_eq!(view_of(&objects).outline(), ["a/model:m: d"]);
}

#[test]
fn a_target_is_the_same_in_every_version_of_its_api() {
    let target = |api_version: Value| {
        let pointer = "/spec/scaleTargetRef/apiVersion";
        claim_of_variant(variant("a/v", "d").with(pointer, api_version)).target
    };
    assert_eq!(target(json!("apps/v1")), target(json!("apps/v1beta2")));
    assert_eq!(target(json!("apps/v1")), target(Value::Null));
    assert_eq!(target(json!("apps/v1")), target(json!("")));
    assert_ne!(
        target(json!("apps/v1")),
        target(json!("argoproj.io/v1alpha1"))
    );
}

#[test]
fn a_target_without_a_kind_is_a_deployment() {
    for kind in [Value::Null, json!("")] {
        let claim = claim_of_variant(variant("a/v", "d").with("/spec/scaleTargetRef/kind", kind));
        assert_eq!(claim.target.to_string(), "Deployment a/d");
    }
    let bare = variant_of("a/v", "LeaderWorkerSet", "l")
        .with("/spec/scaleTargetRef/apiVersion", Value::Null);
    let target = claim_of_variant(bare).target;
    assert_eq!(target.group, "leaderworkerset.x-k8s.io");
}

#[test]
fn an_operator_takes_only_the_claims_of_its_instance() {
    let mut objects = deployed("a/d", 1);
    objects.extend(deployed("a/e", 1));
    objects.push(variant("a/mine", "d").labelled(CONTROLLER_INSTANCE, "east"));
    objects.push(variant("a/other", "e").labelled(CONTROLLER_INSTANCE, "west"));
    objects.extend(deployed("a/f", 1));
    objects.push(variant("a/nobodys", "f"));
    let instance = |name: &str| Config {
        controller_instance: Some(name.to_owned()),
        ..Config::default()
    };
    let mut east = index_with(instance("east"), &objects);
    assert_eq!(view(&mut east).outline(), ["a/model:m: mine"]);
    assert_eq!(view(&mut east).refused, []);
    let mut north = index_with(instance("north"), &objects);
    assert_eq!(view(&mut north).outline(), Vec::<String>::new());
}

#[test]
fn a_claim_that_is_changed_counts_once_and_as_it_is_now() {
    let mut objects = deployed("a/d", 1);
    objects.extend(deployed("a/e", 1));
    objects.push(variant("a/v", "d"));
    let mut index = index_of(&objects);
    apply(
        &mut index,
        &variant("a/v", "e").with("/spec/maxReplicas", 3),
    );
    let seen = view(&mut index);
    let (variant, of) = seen.only();
    assert_eq!((of.target.name.as_str(), variant.max_replicas), ("e", 3));
    // What was claimed before is free for others.
    apply(&mut index, &hpa("a/h", "d"));
    assert_eq!(view(&mut index).outline(), ["a/model:m: d v"]);
}

#[test]
fn a_claim_that_loses_its_annotation_or_is_being_deleted_is_gone() {
    let mut objects = deployed("a/d", 1);
    objects.push(hpa("a/h", "d"));
    let mut index = index_of(&objects);
    apply(
        &mut index,
        &hpa("a/h", "d").annotated("llm-d.ai/managed", "false"),
    );
    assert_eq!(view(&mut index).pools, []);
    apply(&mut index, &variant("a/v", "d"));
    assert_eq!(view(&mut index).outline(), ["a/model:m: v"]);
    apply(&mut index, &terminating(variant("a/v", "d")));
    assert_eq!(view(&mut index).pools, []);
}
