//! Which PoolPolicy holds for which pool.

use serde_json::{Value, json};

use super::*;
use crate::index::testing::*;
use crate::view::View;

/// A PoolPolicy `namespace/name`, made so many seconds after the others.
fn pool_policy(name: &str, second: u32, spec: Value) -> Value {
    let (namespace, name) = name.split_once('/').unwrap();
    json!({
        "apiVersion": "trimtab.dev/v1alpha1",
        "kind": "PoolPolicy",
        "metadata": {
            "namespace": namespace,
            "name": name,
            "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z"),
        },
        "spec": spec,
    })
}

fn of(pool: &str) -> Value {
    json!({"poolRef": {"name": pool}})
}

/// A cluster with the InferencePool `a/p`, and a model without one beside it.
fn cluster(policies: &[Value]) -> View {
    let mut objects = deployed("a/d", 1);
    objects.push(variant("a/v", "d"));
    objects.push(pool("a/p", "d"));
    objects.extend(deployed("a/e", 1));
    objects.push(variant("a/w", "e"));
    objects.extend(policies.to_vec());
    view_of(&objects)
}

/// The PoolPolicy of each pool, in their order.
fn holders(view: &View) -> Vec<Option<&str>> {
    let pools = view.pools.iter();
    pools
        .map(|pool| {
            view.policies
                .of_pool(&pool.fleet)
                .map(|(key, _)| key.1.as_str())
        })
        .collect()
}

fn verdict<'a>(view: &'a View, name: &str) -> &'a Verdict {
    &view.policies.verdicts[&("a".to_owned(), name.to_owned())]
}

fn holds(pools: &[&str], contested_by: &[&str]) -> Verdict {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Verdict::Holds {
        pools: owned(pools),
        contested_by: owned(contested_by),
    }
}

#[test]
fn a_pool_that_none_names_has_the_namespaces_default() {
    let own = pool_policy("a/own", 1, of("p"));
    let default = pool_policy("a/default", 0, json!({}));
    let elsewhere = pool_policy("b/default", 0, json!({}));
    let view = cluster(&[own.clone(), default.clone(), elsewhere]);
    let names: Vec<&str> = view
        .pools
        .iter()
        .map(|pool| pool.fleet.pool.name.as_str())
        .collect();
    assert_eq!(names, ["model:m", "p"]);
    assert_eq!(holders(&view), [Some("default"), Some("own")]);
    assert_eq!(holders(&cluster(&[default])), [Some("default"); 2]);
    assert_eq!(holders(&cluster(&[own])), [None, Some("own")]);
}

#[test]
fn of_two_for_one_pool_the_older_holds_and_both_say_so() {
    let view = cluster(&[
        pool_policy("a/old", 1, of("p")),
        pool_policy("a/ancient", 2, of("p")),
        pool_policy("a/z-first", 0, of("p")),
    ]);
    assert_eq!(holders(&view), [None, Some("z-first")]);
    assert_eq!(
        verdict(&view, "z-first"),
        &holds(&["p"], &["old", "ancient"])
    );
    assert_eq!(
        verdict(&view, "old"),
        &Verdict::Conflict("z-first".to_owned())
    );
    let equally_old = cluster(&[
        pool_policy("a/y", 0, of("p")),
        pool_policy("a/x", 0, of("p")),
    ]);
    assert_eq!(holders(&equally_old), [None, Some("x")]);
}

#[test]
fn one_that_is_for_no_pool_says_so() {
    let view = cluster(&[pool_policy("a/lost", 0, of("elsewhere"))]);
    assert_eq!(verdict(&view, "lost"), &Verdict::NoPool);
}

#[test]
fn one_that_cannot_be_read_holds_for_nothing_and_hides_no_other() {
    let odd = pool_policy(
        "a/odd",
        0,
        json!({"poolRef": {"name": "p"}, "mode": "Sideways"}),
    );
    let view = cluster(&[odd, pool_policy("a/own", 1, of("p"))]);
    assert_eq!(holders(&view), [None, Some("own")]);
    let Verdict::Invalid(why) = verdict(&view, "odd") else {
        panic!("{:?}", verdict(&view, "odd"))
    };
    assert!(
        why.starts_with("spec.mode: ") && why.contains("Sideways"),
        "{why}"
    );
}

#[test]
fn one_that_is_deleted_holds_no_more() {
    let own = pool_policy("a/own", 0, of("p"));
    let mut going = own.clone();
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:01:00Z");
    assert_eq!(holders(&cluster(&[own, going])), [None, None]);
}
