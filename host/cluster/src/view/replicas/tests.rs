//! What one replica is.

use crate::index::testing::*;
use crate::view::View;
use serde_json::{Value, json};
use trimtab_contract::Variant;

/// Groups of a LeaderWorkerSet `a/l` with all their pods, and its claim.
fn groups(groups: u32, size: u32) -> Vec<Value> {
    let mut objects = vec![
        leader_worker_set("a/l", groups, size),
        variant_of("a/v", "LeaderWorkerSet", "l"),
    ];
    for group in 0..groups {
        objects.push(pod_of_group(&format!("a/l-{group}"), "l", group, 0));
        for worker in 1..size {
            let name = format!("a/l-{group}-{worker}");
            objects.push(pod_of_group(&name, "l", group, worker));
        }
    }
    objects
}

fn claimed(mut objects: Vec<Value>) -> Vec<Value> {
    objects.push(variant("a/v", "d"));
    objects
}

fn counts(variant: &Variant) -> (u32, u32) {
    (variant.current_replicas, variant.ready_replicas)
}

fn replicas(view: &View) -> Vec<(&str, usize)> {
    let replicas = view.pools[0].fleet.replicas.iter();
    replicas
        .map(|replica| (replica.name.as_str(), replica.pods.len()))
        .collect()
}

#[test]
fn a_group_is_one_replica_named_after_its_leader() {
    let seen = view_of(&groups(3, 4));
    let (variant, _) = seen.only();
    assert_eq!(counts(variant), (3, 3));
    assert_eq!(variant.gpus_per_replica, 4);
    assert_eq!(replicas(&seen), [("l-0", 4), ("l-1", 4), ("l-2", 4)]);
    let pods = &seen.pools[0].fleet.replicas[1].pods;
    let names: Vec<&str> = pods.iter().map(|pod| pod.name.as_str()).collect();
    assert_eq!(names, ["l-1", "l-1-1", "l-1-2", "l-1-3"]);
}

#[test]
fn a_leader_comes_first_whatever_its_name() {
    let objects = [
        leader_worker_set("a/l", 1, 2),
        variant_of("a/v", "LeaderWorkerSet", "l"),
        pod_of_group("a/x-worker", "l", 0, 1),
        pod_of_group("a/y-leader", "l", 0, 0),
    ];
    let seen = view_of(&objects);
    assert_eq!(replicas(&seen), [("y-leader", 2)]);
    assert_eq!(seen.pools[0].fleet.replicas[0].pods[0].name, "y-leader");
}

#[test]
fn a_group_serves_when_all_of_its_pods_are_there_and_ready() {
    let status = json!({"replicas": 2, "readyReplicas": 0});
    let mut objects = groups(2, 2);
    objects[0] = objects[0].clone().with("/status", status);
    objects[3] = pending(objects[3].clone());
    let pods = replicas(&view_of(&objects)).len();
    assert_eq!(pods, 1);
    // The other one's worker is not there at all.
    objects.remove(5);
    assert_eq!(replicas(&view_of(&objects)), []);
    assert_eq!(counts(view_of(&objects).only().0), (2, 0));
}

#[test]
fn a_group_became_ready_when_the_last_of_its_pods_did() {
    let pointer = "/status/conditions/1/lastTransitionTime";
    let mut objects = groups(1, 2);
    objects[3] = objects[3].clone().with(pointer, "2026-11-25T10:05:00Z");
    let seen = view_of(&objects);
    let since = seen.pools[0].fleet.replicas[0].ready_since_ms;
    let leader_ms = 1_795_600_890_000;
    assert_eq!(since, leader_ms + 210_000);
}

#[test]
fn groups_of_two_sets_do_not_mix() {
    let mut objects = groups(1, 2);
    objects.push(leader_worker_set("a/k", 1, 2));
    objects.push(variant_of("a/w", "LeaderWorkerSet", "k"));
    objects.push(pod_of_group("a/k-0", "k", 0, 0));
    objects.push(pod_of_group("a/k-0-1", "k", 0, 1));
    let seen = view_of(&objects);
    let replicas = seen.pools[0].fleet.replicas.iter();
    let replicas: Vec<(u32, &str)> = replicas
        .map(|replica| (replica.variant, replica.name.as_str()))
        .collect();
    assert_eq!(replicas, [(0, "l-0"), (1, "k-0")]);
}

#[test]
fn a_pod_with_data_parallel_ranks_is_one_replica() {
    let args = json!(["--model", "m", "--data-parallel-size", "8"]);
    let mut objects = claimed(deployed("a/d", 1));
    objects[0] = objects[0]
        .clone()
        .with("/spec/template/spec/containers", json!([engine(8)]))
        .with("/spec/template/spec/containers/0/args", args);
    let seen = view_of(&objects);
    assert_eq!(counts(seen.only().0), (1, 1));
    assert_eq!(seen.only().0.gpus_per_replica, 8);
    assert_eq!(replicas(&seen), [("d-0", 1)]);
}

#[test]
fn surge_pods_of_a_rollout_are_no_growth() {
    let mut objects = claimed(deployed("a/d", 3));
    objects[0] = objects[0]
        .clone()
        .with("/status", json!({"replicas": 4, "readyReplicas": 4}));
    objects.push(replica_set("a/d-new", "d"));
    objects.push(pod_of("a/d-new-0", "d-new"));
    let seen = view_of(&objects);
    assert_eq!(counts(seen.only().0), (3, 3));
    assert_eq!(seen.only().0.desired_replicas, 3);
}

#[test]
fn terminating_and_finished_pods_are_no_replicas() {
    let mut objects = claimed(deployed("a/d", 4));
    objects[0] = objects[0].clone().with("/status/readyReplicas", 2);
    objects[0] = objects[0].clone().with("/status/replicas", 2);
    objects[2] = terminating(objects[2].clone());
    objects[3] = finished(objects[3].clone()).with("/status/phase", "Failed");
    let seen = view_of(&objects);
    assert_eq!(counts(seen.only().0), (2, 2));
    assert_eq!(replicas(&seen), [("d-2", 1), ("d-3", 1)]);
}

#[test]
fn pending_pods_are_current_but_not_ready() {
    let mut objects = claimed(deployed("a/d", 3));
    objects[0] = objects[0].clone().with("/status/readyReplicas", 1);
    objects[3] = pending(objects[3].clone());
    objects[4] = unschedulable(objects[4].clone());
    let seen = view_of(&objects);
    let (variant, of) = seen.only();
    assert_eq!(counts(variant), (3, 1));
    assert_eq!(of.unschedulable, 1);
    assert_eq!(replicas(&seen), [("d-0", 1)]);
}

#[test]
fn a_crash_looping_pod_is_current_and_no_replica_that_must_report() {
    // Situation 29.
    let mut objects = claimed(deployed("a/d", 5));
    objects[0] = objects[0].clone().with("/status/readyReplicas", 4);
    let crashing = objects[2]
        .clone()
        .with("/status/conditions/1/status", "False");
    objects[2] = crashing;
    let seen = view_of(&objects);
    assert_eq!(counts(seen.only().0), (5, 4));
    assert_eq!(
        replicas(&seen),
        [("d-1", 1), ("d-2", 1), ("d-3", 1), ("d-4", 1)]
    );
}

#[test]
fn a_ready_and_a_pending_pod_with_ranks_are_two_replicas_of_one_kind() {
    // Situation 22: the pending one counts as a whole pod, not as one rank.
    let mut objects = claimed(deployed("a/d", 2));
    let args = json!(["--model", "m", "--data-parallel-size", "8"]);
    objects[0] = objects[0]
        .clone()
        .with("/spec/template/spec/containers", json!([engine(8)]))
        .with("/spec/template/spec/containers/0/args", args)
        .with("/status/readyReplicas", 1);
    objects[3] = pending(objects[3].clone());
    let seen = view_of(&objects);
    assert_eq!(counts(seen.only().0), (2, 1));
    assert_eq!(seen.only().0.gpus_per_replica, 8);
    assert_eq!(replicas(&seen), [("d-0", 1)]);
}

#[test]
fn a_group_with_a_pod_that_finds_no_place_is_one_unschedulable_replica() {
    let mut objects = groups(2, 3);
    objects[6] = unschedulable(objects[6].clone());
    objects[7] = unschedulable(objects[7].clone());
    assert_eq!(view_of(&objects).only().1.unschedulable, 1);
}

#[test]
fn a_status_that_counts_no_replicas_leaves_the_counting_to_the_pods() {
    let mut objects = claimed(deployed("a/d", 3));
    objects[0] = objects[0].clone().with("/status", json!({}));
    objects[2] = pending(objects[2].clone());
    assert_eq!(counts(view_of(&objects).only().0), (3, 2));
}

#[test]
fn ready_replicas_of_the_status_count_until_the_pods_are_known() {
    let objects = [deployment("a/d", 3), variant("a/v", "d")];
    let seen = view_of(&objects);
    assert_eq!(counts(seen.only().0), (3, 3));
    assert_eq!(replicas(&seen), []);
}

#[test]
fn a_pods_variant_label_beats_its_owners() {
    let mut objects = deployed("a/d", 1);
    objects.extend(deployed("a/e", 1));
    objects.push(variant("a/one", "d"));
    objects.push(variant("a/two", "e"));
    objects[2] = objects[2].clone().labelled("llm-d.ai/variant", "two");
    let seen = view_of(&objects);
    let replicas = seen.pools[0].fleet.replicas.iter();
    assert!(replicas.map(|replica| replica.variant).eq([1, 1]));
    // A label that names nobody says nothing.
    objects[2] = objects[2].clone().labelled("llm-d.ai/variant", "three");
    let seen = view_of(&objects);
    let replicas = seen.pools[0].fleet.replicas.iter();
    assert!(replicas.map(|replica| replica.variant).eq([0, 1]));
}

#[test]
fn pods_of_a_deleted_deployments_replica_set_belong_to_nobody() {
    let mut objects = claimed(deployed("a/d", 2));
    objects.push(replica_set("a/gone-rs", "gone"));
    objects.push(pod_of("a/gone-0", "gone-rs"));
    objects.push(pod("a/bare"));
    assert_eq!(replicas(&view_of(&objects)), [("d-0", 1), ("d-1", 1)]);
}

#[test]
fn pods_of_a_stateful_set_are_its_replicas() {
    let of_set = |path: &str| pod(path).owned_by("apps/v1", "StatefulSet", "s");
    let objects = [
        stateful_set("a/s", 2),
        variant_of("a/v", "StatefulSet", "s"),
        of_set("a/s-0"),
        of_set("a/s-1"),
        of_set("b/s-2"),
    ];
    assert_eq!(replicas(&view_of(&objects)), [("s-0", 1), ("s-1", 1)]);
}

#[test]
fn the_owner_that_is_claimed_has_the_pods() {
    let wrapper = |objects: &mut Vec<Value>| {
        let kind = ("example.com/v1", "Model", "w");
        let wrapping = deployment("a/w", 1)
            .with("/apiVersion", kind.0)
            .with("/kind", kind.1);
        objects.push(wrapping);
        objects[0] = objects[0].clone().owned_by(kind.0, kind.1, kind.2);
    };
    let claim =
        variant_of("a/w", "Model", "w").with("/spec/scaleTargetRef/apiVersion", "example.com/v1");
    let mut objects = deployed("a/d", 1);
    wrapper(&mut objects);
    objects.push(claim);
    assert_eq!(replicas(&view_of(&objects)), [("d-0", 1)]);
    // The same around a LeaderWorkerSet.
    let mut objects = groups(1, 2);
    wrapper(&mut objects);
    objects[1] =
        variant_of("a/w", "Model", "w").with("/spec/scaleTargetRef/apiVersion", "example.com/v1");
    assert_eq!(replicas(&view_of(&objects)), [("l-0", 2)]);
}

#[test]
fn the_time_to_start_is_that_of_most_pods() {
    let ready = "/status/conditions/1/lastTransitionTime";
    let mut objects = claimed(deployed("a/d", 4));
    // Lost its readiness and got it back after 40 minutes, and after a day.
    objects[2] = objects[2].clone().with(ready, "2026-11-25T10:40:00Z");
    objects[3] = objects[3].clone().with(ready, "2026-11-26T10:00:00Z");
    assert_eq!(view_of(&objects).only().0.startup_time, Some(90.0));
}

#[test]
fn a_time_to_start_that_is_not_known_is_none() {
    let ready = "/status/conditions/1/lastTransitionTime";
    let mut objects = claimed(deployed("a/d", 1));
    let ready_at = |objects: &[Value], at: Value| {
        let mut objects = objects.to_vec();
        objects[2] = objects[2].clone().with(ready, at);
        view_of(&objects).only().0.startup_time
    };
    assert_eq!(ready_at(&objects, Value::Null), None);
    // Clocks that disagree.
    assert_eq!(ready_at(&objects, json!("2026-11-25T09:59:00Z")), None);
    objects[2] = pending(objects[2].clone());
    assert_eq!(view_of(&objects).only().0.startup_time, None);
}

#[test]
fn readiness_that_comes_and_goes_does_not_change_the_time_to_start() {
    let ready = "/status/conditions/1/lastTransitionTime";
    let objects = claimed(deployed("a/d", 1));
    let mut index = index_of(&objects);
    apply(&mut index, &pending(objects[2].clone()));
    let back = objects[2].clone().with(ready, "2026-11-25T10:20:00Z");
    apply(&mut index, &back);
    assert_eq!(view(&mut index).only().0.startup_time, Some(90.0));
    // A new pod of the same name starts anew.
    apply(&mut index, &back.with("/metadata/uid", "another"));
    assert_eq!(view(&mut index).only().0.startup_time, Some(1200.0));
}
