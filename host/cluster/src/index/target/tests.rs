//! What a workload's template says of its replicas.

use super::*;
use crate::index::testing::*;
use serde_json::{Value, json};

fn target(object: Value) -> Target {
    Target::of(read(&object))
}

fn counts(counts: &[(&str, u32)]) -> Counts {
    let counts = counts.iter();
    counts
        .map(|(name, count)| ((*name).to_owned(), *count))
        .collect()
}

fn nvidia(count: u32) -> Counts {
    counts(&[("nvidia.com/gpu", count)])
}

#[test]
fn a_group_has_the_gpus_of_its_leader_and_of_all_its_workers() {
    // Situation 25.
    let leader = template("l", engine(8));
    let set = leader_worker_set("a/l", 3, 2)
        .with("/spec/leaderWorkerTemplate/leaderTemplate", leader)
        .with(
            "/spec/leaderWorkerTemplate/workerTemplate",
            template("l", engine(8)),
        );
    let found = target(set);
    assert_eq!((found.pods_per_replica, found.gpus), (2, nvidia(16)));
}

#[test]
fn without_a_leaders_template_leaders_are_made_from_the_workers() {
    let found = target(leader_worker_set("a/l", 3, 4));
    assert_eq!((found.pods_per_replica, found.gpus), (4, nvidia(4)));
    assert_eq!(found.labels["app"], "l");
    assert!(found.engine.is_some());
}

#[test]
fn a_leader_without_gpus_and_engine_leaves_them_to_its_workers() {
    let router = json!({"image": "router", "command": ["route"]});
    let set = leader_worker_set("a/l", 1, 3).with(
        "/spec/leaderWorkerTemplate/leaderTemplate",
        template("leaders", router),
    );
    let found = target(set);
    assert_eq!(found.gpus, nvidia(2));
    assert_eq!(found.labels["app"], "leaders");
    assert_eq!(found.engine.unwrap().model.as_deref(), Some("m"));
}

#[test]
fn a_group_whose_size_is_not_said_is_one_pod() {
    for size in [Value::Null, json!(0), json!(-3)] {
        let set = leader_worker_set("a/l", 1, 1).with("/spec/leaderWorkerTemplate/size", size);
        let found = target(set);
        assert_eq!((found.pods_per_replica, found.gpus), (1, nvidia(1)));
    }
}

#[test]
fn absurd_sizes_saturate() {
    let set = leader_worker_set("a/l", 1, 1).with("/spec/leaderWorkerTemplate/size", u32::MAX);
    let set = set.with(
        "/spec/leaderWorkerTemplate/workerTemplate",
        template("l", engine(8)),
    );
    assert_eq!(target(set).gpus, nvidia(u32::MAX));
}

#[test]
fn replicas_that_nobody_asked_for_are_one() {
    let found = target(deployment("a/d", 3).with("/spec/replicas", Value::Null));
    assert_eq!(found.spec_replicas, 1);
    let none = target(deployment("a/d", 0));
    assert_eq!(none.spec_replicas, 0);
}

#[test]
fn containers_hold_their_gpus_together() {
    let containers = json!([engine(2), engine(1), {"name": "proxy"}]);
    let found = target(deployment("a/d", 1).with("/spec/template/spec/containers", containers));
    assert_eq!(found.gpus, nvidia(3));
}

#[test]
fn requests_or_limits_are_enough() {
    let resources = |resources: Value| {
        let pointer = "/spec/template/spec/containers/0/resources";
        target(deployment("a/d", 1).with(pointer, resources)).gpus
    };
    assert_eq!(
        resources(json!({"limits": {"nvidia.com/gpu": "4", "memory": "1Ti"}})),
        nvidia(4)
    );
    assert_eq!(
        resources(json!({"requests": {"nvidia.com/gpu": 4}})),
        nvidia(4)
    );
    assert_eq!(
        resources(json!({"requests": {"amd.com/gpu": "2"}, "limits": {"amd.com/gpu": "2"}})),
        counts(&[("amd.com/gpu", 2)])
    );
    assert_eq!(resources(json!({})), Counts::new());
}

#[test]
fn init_containers_run_before_and_sidecars_beside_the_others() {
    let gpus = |init: Value| {
        let pointer = "/spec/template/spec/initContainers";
        target(deployment("a/d", 1).with(pointer, init)).gpus
    };
    let sidecar = || engine(1).with("/restartPolicy", "Always");
    assert_eq!(gpus(json!([engine(1)])), nvidia(1));
    assert_eq!(gpus(json!([engine(4), engine(3)])), nvidia(4));
    assert_eq!(gpus(json!([sidecar()])), nvidia(2));
    // A sidecar runs on while the init containers behind it do, and not before.
    assert_eq!(gpus(json!([sidecar(), engine(4)])), nvidia(5));
    assert_eq!(gpus(json!([engine(4), sidecar()])), nvidia(4));
}

#[test]
fn device_claims_of_all_pods_of_a_replica_are_counted() {
    let claims = json!([
        {"name": "gpu", "resourceClaimTemplateName": "eight"},
        {"name": "shared", "resourceClaimName": "by-hand"},
    ]);
    let pointer = "/spec/leaderWorkerTemplate/workerTemplate/spec/resourceClaims";
    let set = leader_worker_set("a/l", 1, 2).with(pointer, claims);
    let set = set.with(
        "/spec/leaderWorkerTemplate/workerTemplate/spec/containers",
        json!([{"image": "vllm", "args": ["--model", "m"]}]),
    );
    assert_eq!(target(set.clone()).claim_templates, ["eight", "eight"]);
    let objects = [
        set,
        variant_of("a/v", "LeaderWorkerSet", "l"),
        claim_template("a/eight", 8),
        claim_template("b/eight", 1),
    ];
    assert_eq!(view_of(&objects).only().0.gpus_per_replica, 16);
}

#[test]
fn only_devices_that_are_accelerators_and_taken_are_asked_for() {
    let asked = |requests: Value| {
        let template = claim_template("a/t", 1).with("/spec/spec/devices/requests", requests);
        crate::index::device::asked(read(&template)).accelerators
    };
    let exactly =
        |class: &str, more: Value| json!({"exactly": more.with("/deviceClassName", class)});
    assert_eq!(asked(json!([exactly("gpu.nvidia.com", json!({}))])), 1);
    assert_eq!(
        asked(json!([exactly("mig.nvidia.com", json!({"count": 3}))])),
        3
    );
    assert_eq!(asked(json!([exactly("nic.example.com", json!({}))])), 0);
    assert_eq!(
        asked(json!([exactly(
            "gpu.amd.com",
            json!({"adminAccess": true})
        )])),
        0
    );
    let either = json!({"firstAvailable": [
        {"deviceClassName": "gpu.nvidia.com", "count": 2},
        {"deviceClassName": "gpu.nvidia.com", "count": 4},
    ]});
    assert_eq!(asked(json!([either])), 2);
    assert_eq!(asked(json!([{"name": "odd"}])), 0);
}

#[test]
fn the_role_is_the_label_of_the_pods() {
    let role = |role: &str| {
        let pointer = "/spec/template/metadata/labels/llm-d.ai~1role";
        target(deployment("a/d", 1).with(pointer, role)).role()
    };
    assert_eq!(role("prefill"), Ok(Role::Prefill));
    assert_eq!(role("decode"), Ok(Role::Decode));
    assert_eq!(role("both"), Ok(Role::Both));
    assert_eq!(role(""), Ok(Role::Both));
    assert_eq!(target(deployment("a/d", 1)).role(), Ok(Role::Both));
    let wrong = role("encode").unwrap_err();
    assert!(wrong.contains("`encode` is no role"), "{wrong}");
}

#[test]
fn a_wrong_role_is_a_warning_and_no_obstacle() {
    let pointer = "/spec/template/metadata/labels/llm-d.ai~1role";
    let objects = [
        deployment("a/d", 1).with(pointer, "encode"),
        variant("a/v", "d"),
    ];
    let seen = view_of(&objects);
    let (variant, of) = seen.only();
    assert_eq!((variant.role, of.warnings.len()), (Role::Both, 1));
}
