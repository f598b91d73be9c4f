//! What the index keeps and of whom, and that the order of events does not matter.

use super::testing::*;
use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn pods_kept(index: &Index) -> Vec<String> {
    let pods = index.pods.iter();
    pods.flat_map(|(namespace, pods)| pods.keys().map(move |name| format!("{namespace}/{name}")))
        .collect()
}

#[test]
fn pods_are_kept_where_somebody_asks_for_them_and_where_they_hold_gpus() {
    let objects = [
        variant("a/v", "d"),
        pool("b/p", "d"),
        pod("a/p"),
        pod("b/p"),
        pod("c/p"),
        holding(pod("c/gpu"), "n", "nvidia.com/gpu", 1),
        finished(holding(pod("c/done"), "n", "nvidia.com/gpu", 1)),
        unschedulable(holding(pod("c/waiting"), "n", "nvidia.com/gpu", 1)),
    ];
    assert_eq!(pods_kept(&index_of(&objects)), ["a/p", "b/p", "c/gpu"]);
}

#[test]
fn a_pod_that_finishes_among_strangers_is_dropped() {
    let running = holding(pod("c/gpu"), "n", "nvidia.com/gpu", 1);
    let mut index = index_of(std::slice::from_ref(&running));
    assert_eq!(pods_kept(&index), ["c/gpu"]);
    apply(&mut index, &finished(running));
    assert_eq!(pods_kept(&index), Vec::<String>::new());
}

#[test]
fn a_namespace_is_to_be_listed_once_when_it_is_first_asked_for() {
    let mut index = index_of(&[pod("a/p")]);
    assert_eq!(pods_kept(&index), Vec::<String>::new());
    apply(&mut index, &variant("a/v", "d"));
    apply(&mut index, &variant("a/w", "e"));
    apply(&mut index, &pool("b/p", "d"));
    let unlisted = ["a".to_owned(), "b".to_owned()];
    assert_eq!(index.take_unlisted(), BTreeSet::from(unlisted));
    apply(&mut index, &variant("a/x", "f"));
    assert_eq!(index.take_unlisted(), BTreeSet::new());
}

#[test]
fn a_claim_that_is_none_asks_for_no_pods() {
    let mut index = index_of(&[]);
    apply(
        &mut index,
        &hpa("a/h", "d").annotated("llm-d.ai/managed", "no"),
    );
    apply(&mut index, &terminating(variant("b/v", "d")));
    assert_eq!(index.take_unlisted(), BTreeSet::new());
}

#[test]
fn pods_that_nobody_asks_for_any_more_are_dropped_and_listed_again_when_somebody_does() {
    let objects = [
        variant("a/v", "d"),
        pool("a/p", "d"),
        pod("a/p"),
        holding(pod("a/gpu"), "n", "nvidia.com/gpu", 1),
    ];
    let mut index = index_of(&objects);
    delete(&mut index, &objects[0]);
    assert_eq!(pods_kept(&index), ["a/gpu", "a/p"]);
    delete(&mut index, &objects[1]);
    assert_eq!(pods_kept(&index), ["a/gpu"]);
    apply(&mut index, &objects[0]);
    relist(&mut index, &objects);
    assert_eq!(pods_kept(&index), ["a/gpu", "a/p"]);
}

#[test]
fn an_unchanged_claim_that_comes_again_keeps_its_pods() {
    let objects = [variant("a/v", "d"), pod("a/p")];
    let mut index = index_of(&objects);
    apply(&mut index, &objects[0]);
    assert_eq!(pods_kept(&index), ["a/p"]);
    assert_eq!(index.take_unlisted(), BTreeSet::new());
}

#[test]
fn deleting_what_is_not_there_changes_nothing() {
    let mut index = index_of(&[]);
    for object in everything() {
        delete(&mut index, &object);
    }
    assert_eq!(contents(&index), contents(&Index::default()));
}

/// A cluster with something of every kind.
fn everything() -> Vec<Value> {
    let claims = json!([{"name": "gpu", "resourceClaimTemplateName": "two"}]);
    let mut objects = deployed("a/d", 3);
    objects.extend(deployed("b/d", 2));
    objects.extend([
        variant("a/d", "d"),
        hpa("b/h", "d"),
        pool("a/p", "d"),
        old_pool("a/p", "d"),
        service("a/p-epp", "epp"),
        pod("a/epp-0").labelled("app", "epp"),
        leader_worker_set("a/l", 2, 2),
        variant_of("a/l", "LeaderWorkerSet", "l"),
        pod_of_group("a/l-0", "l", 0, 0),
        pod_of_group("a/l-0-1", "l", 0, 1),
        terminating(pod_of_group("a/l-1", "l", 1, 0)),
        stateful_set("b/s", 1).with("/spec/template/spec/resourceClaims", claims),
        variant_of("b/s", "StatefulSet", "s"),
        scaled_object("b/t", "s").with("/spec/scaleTargetRef/kind", "StatefulSet"),
        variant("b/lost", "nowhere"),
        node("n1", H100, 8),
        node("n2", L4, 4).with("/spec/unschedulable", true),
        slice("s", "n1", &[device("gpu-0", "NVIDIA L4")]),
        device_claim("x/c", "n1", &["gpu-0"]),
        claim_template("b/two", 2),
        holding(pod("x/stranger"), "n1", "nvidia.com/gpu", 3),
        unschedulable(pod_of("a/d-3", "d-rs")),
        namespace("y").annotated("wva.llmd.ai/exclude", "true"),
        variant("y/v", "d"),
    ]);
    objects
}

/// How much of everything is kept.
fn contents(index: &Index) -> [usize; 16] {
    [
        index.claims.len(),
        index.claimants.len(),
        index.targets.len(),
        index.owners.len(),
        index.pods.len(),
        index.starts.len(),
        index.nodes.len(),
        index.slices.len(),
        index.held.len(),
        index.claim_templates.len(),
        index.pools.len(),
        index.services.len(),
        index.excluded.len(),
        index.watched.len(),
        index.unlisted.len(),
        usize::from(!index.config.node_selector.selects_all()),
    ]
}

fn shuffled() -> impl Strategy<Value = Vec<Value>> {
    Just(everything()).prop_shuffle()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn objects_in_any_order_give_the_same_view(objects in shuffled()) {
        prop_assert_eq!(view_of(&objects), view_of(&everything()));
    }

    #[test]
    fn objects_that_come_again_in_any_order_change_nothing(again in shuffled()) {
        let objects = everything();
        let mut index = index_of(&objects);
        let (before, revision) = (view(&mut index), index.revision);
        for object in &again {
            apply(&mut index, object);
        }
        prop_assert_eq!(view(&mut index), before);
        prop_assert_eq!(index.revision, revision);
        prop_assert_eq!(contents(&index), {
            let mut index = index_of(&objects);
            view(&mut index);
            contents(&index)
        });
    }

    #[test]
    fn when_everything_is_deleted_nothing_is_left(
        applied in shuffled(),
        deleted in shuffled(),
    ) {
        let mut index = index_of(&applied);
        view(&mut index);
        for object in &deleted {
            delete(&mut index, object);
        }
        let left = view(&mut index);
        prop_assert_eq!(left.pools, []);
        prop_assert_eq!(left.refused, []);
        prop_assert_eq!(left.inventory.unwrap_or_default(), []);
        prop_assert_eq!(contents(&index), contents(&Index::default()));
    }

    #[test]
    fn whatever_changes_a_view_is_counted(applied in shuffled(), deleted in shuffled()) {
        let mut index = Index::default();
        let mut before = (0, view(&mut index));
        let mut is_counted = |index: &mut Index| {
            let now = (index.revision, view(index));
            let unseen = now.0 == before.0 && now.1 != before.1;
            before = now;
            !unseen
        };
        for object in &applied {
            apply(&mut index, object);
            prop_assert!(is_counted(&mut index), "{object}");
        }
        relist(&mut index, &applied);
        prop_assert!(is_counted(&mut index));
        for object in &deleted {
            delete(&mut index, object);
            prop_assert!(is_counted(&mut index), "without {object}");
        }
    }

    #[test]
    fn what_was_deleted_and_came_back_is_as_before(
        objects in shuffled(),
        gone in any::<prop::sample::Index>(),
    ) {
        let mut index = index_of(&objects);
        let before = view(&mut index);
        let gone = &objects[gone.index(objects.len())];
        delete(&mut index, gone);
        view(&mut index);
        apply(&mut index, gone);
        relist(&mut index, &objects);
        prop_assert_eq!(view(&mut index), before);
    }
}
