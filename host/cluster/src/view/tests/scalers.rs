//! KEDA's ScaledObjects as what scales, and as what asks to be scaled by calling.

use std::collections::BTreeMap;

use super::*;
use crate::index::claim::Registration;

/// One that says nothing of us.
fn unsaid(path: &str, deployment: &str) -> Value {
    scaled_object(path, deployment).with("/metadata/annotations", json!({}))
}

fn called(model: &str) -> BTreeMap<Key, Registration> {
    let registration = Registration {
        model: Some(model.to_owned()),
        cost: Some("2.5".to_owned()),
        variant: Some("mine".to_owned()),
    };
    BTreeMap::from([(("a".to_owned(), "s".to_owned()), registration)])
}

fn scaled(seen: &View) -> Vec<(&str, &str)> {
    let scaled = seen.scaled_objects.iter();
    scaled
        .map(|((_, object), variant)| (object.as_str(), variant.as_str()))
        .collect()
}

#[test]
fn a_call_of_kedas_is_a_way_in_for_as_long_as_it_lives() {
    let mut objects = deployed("a/d", 2);
    objects.push(unsaid("a/s", "d"));
    let mut index = index_of(&objects);
    assert_eq!(view(&mut index).pools, []);
    index.register(called("m"));
    relist(&mut index, &objects);
    let seen = view(&mut index);
    assert_eq!(seen.outline(), ["a/model:m: mine"]);
    let variant = &seen.pools[0].fleet.pool.variants[0];
    assert_eq!((variant.min_replicas, variant.max_replicas), (1, 10));
    assert_eq!((variant.cost, variant.current_replicas), (2.5, 2));
    assert_eq!(scaled(&seen), [("s", "mine")]);
    index.register(called("other"));
    assert_eq!(view(&mut index).outline(), ["a/model:other: mine"]);
    // Its object may come after the call, and change.
    apply(
        &mut index,
        &unsaid("a/s", "d").with("/spec/maxReplicaCount", 4),
    );
    let seen = view(&mut index);
    assert_eq!(seen.pools[0].fleet.pool.variants[0].max_replicas, 4);
    delete(&mut index, &unsaid("a/s", "d"));
    assert_eq!(view(&mut index).pools, []);
    apply(&mut index, &unsaid("a/s", "d"));
    assert_eq!(view(&mut index).outline(), ["a/model:other: mine"]);
    index.register(BTreeMap::new());
    assert_eq!(view(&mut index).pools, []);
}

#[test]
fn what_scales_the_target_of_another_claim_only_scales() {
    let mut objects = deployed("a/d", 1);
    objects.push(unsaid("a/s", "d"));
    objects.push(variant("a/v", "d"));
    let mut index = index_of(&objects);
    assert_eq!(scaled(&view(&mut index)), [("s", "v")]);
    index.register(called("m"));
    let seen = view(&mut index);
    assert_eq!(
        (seen.outline(), seen.refused),
        (vec!["a/model:m: v".to_owned()], vec![])
    );
    delete(&mut index, &variant("a/v", "d"));
    assert_eq!(view(&mut index).outline(), ["a/model:m: mine"]);
}

#[test]
fn a_scaled_object_that_somebody_paused_says_so() {
    let paused = |key: &str, value: &str| {
        let mut objects = deployed("a/d", 1);
        objects.push(unsaid("a/s", "d").annotated(key, value));
        objects.push(variant("a/v", "d"));
        view_of(&objects).pools[0].variants[0].scalers[0].paused
    };
    assert!(paused("autoscaling.keda.sh/paused-replicas", "0"));
    for yes in ["true", "True", "1", "yes", ""] {
        assert!(paused("autoscaling.keda.sh/paused", yes), "{yes}");
    }
    assert!(!paused("autoscaling.keda.sh/paused", "false"));
}

#[test]
fn a_prometheus_trigger_takes_a_missing_series_for_zero_unless_it_is_told_not_to() {
    let reads_zero = |ignore: Option<&str>, query: &str| {
        let mut metadata = json!({"query": query, "threshold": "1"});
        if let Some(ignore) = ignore {
            metadata["ignoreNullValues"] = json!(ignore);
        }
        let mut objects = deployed("a/d", 1);
        objects.push(variant("a/v", "d"));
        let triggers = json!([{"type": "prometheus", "metadata": metadata}]);
        objects.push(unsaid("a/s", "d").with("/spec/triggers", triggers));
        let seen = view(&mut index_of(&objects));
        let misreads = &seen.pools[0].variants[0].scalers[0].misreads;
        misreads.contains(&Misreading::MissingIsZero)
    };
    let ours = "wva_desired_replicas{variant_name=\"v\"}";
    assert!(reads_zero(None, ours));
    assert!(reads_zero(Some("true"), ours));
    assert!(!reads_zero(Some("false"), ours));
    assert!(!reads_zero(None, "sum(up)"));
}
