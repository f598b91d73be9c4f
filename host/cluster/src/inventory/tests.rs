//! Which accelerators there are, and which of them are free.

use crate::config::{Config, selector};
use crate::index::testing::*;
use serde_json::{Value, json};

fn gpus(objects: &[Value]) -> Vec<(String, u32, u32)> {
    let seen = view_of(objects);
    let gpus = seen.gpus().into_iter();
    gpus.map(|(name, total, free)| (name.to_owned(), total, free))
        .collect()
}

fn counts(counts: &[(&str, u32, u32)]) -> Vec<(String, u32, u32)> {
    let counts = counts.iter();
    counts
        .map(|(name, total, free)| ((*name).to_owned(), *total, *free))
        .collect()
}

#[test]
fn accelerators_of_every_vendor_are_counted_by_product() {
    let objects = [
        node("n1", H100, 8),
        node("n2", H100, 4),
        node_with(
            "a1",
            "amd.com/gpu.product-name",
            "AMD_Instinct_MI300X_OAM",
            "amd.com/gpu",
            8,
        ),
        node_with(
            "i1",
            "gpu.intel.com/product",
            "Max_1550",
            "gpu.intel.com/xe",
            4,
        ),
        node_with(
            "i2",
            "gpu.intel.com/product",
            "Flex_170",
            "gpu.intel.com/i915",
            2,
        ),
        node_with(
            "h1",
            "habana.ai/product.name",
            "Gaudi3",
            "habana.ai/gaudi",
            8,
        ),
        node_with(
            "t1",
            "cloud.google.com/gke-tpu-accelerator",
            "tpu-v6e",
            "google.com/tpu",
            4,
        ),
        node_with("cpu", "kubernetes.io/arch", "amd64", "memory", 1),
    ];
    assert_eq!(
        gpus(&objects),
        counts(&[
            ("AMD_Instinct_MI300X_OAM", 8, 8),
            ("Flex_170", 2, 2),
            ("Gaudi3", 8, 8),
            ("Max_1550", 4, 4),
            (H100, 12, 12),
            ("tpu-v6e", 4, 4),
        ])
    );
}

#[test]
fn without_a_list_of_all_nodes_the_inventory_is_unknown_and_with_an_empty_one_it_is_empty() {
    // Situation 2.
    let unseen = Some("nodes may not be listed".to_owned());
    let of = |objects: &[Value], unseen| index_of(objects).view(unseen).inventory;
    let nodes = [node("n", H100, 8)];
    assert_eq!(of(&nodes, unseen.clone()).err(), unseen);
    assert_eq!(of(&nodes, None).unwrap().len(), 1);
    assert_eq!(of(&[], None), Ok(Vec::new()));
}

#[test]
fn monitoring_twins_are_not_devices() {
    let intel = node_with(
        "i",
        "gpu.intel.com/product",
        "Max_1550",
        "gpu.intel.com/i915",
        4,
    )
    .with("/status/allocatable/gpu.intel.com~1i915_monitoring", "1");
    assert_eq!(gpus(&[intel]), counts(&[("Max_1550", 4, 4)]));
}

#[test]
fn a_node_without_a_product_label_is_counted_by_its_resource() {
    let bare = node_with("n", "kubernetes.io/arch", "amd64", "nvidia.com/gpu", 2);
    assert_eq!(gpus(&[bare]), counts(&[("nvidia.com/gpu", 2, 2)]));
}

#[test]
fn partitions_are_accelerators_of_their_own() {
    let mixed = node("n", H100, 2)
        .with("/status/allocatable/nvidia.com~1mig-1g.10gb", "7")
        .with("/status/allocatable/nvidia.com~1mig-3g.40gb", "2");
    let single = node("s", "NVIDIA-A100-SXM4-80GB-MIG-1g.10gb", 14);
    let product = "AMD_Instinct_MI300X_OAM";
    let amd = node_with(
        "a",
        "amd.com/gpu.product-name",
        product,
        "amd.com/spx_nps1",
        1,
    )
    .with("/status/allocatable/amd.com~1cpx_nps4", "8");
    let pod = holding(pod("x/p"), "n", "nvidia.com/mig-1g.10gb", 3);
    assert_eq!(
        gpus(&[mixed, single, amd, pod]),
        counts(&[
            ("AMD_Instinct_MI300X_OAM", 1, 1),
            ("AMD_Instinct_MI300X_OAM-cpx_nps4", 8, 8),
            ("NVIDIA-A100-SXM4-80GB-MIG-1g.10gb", 14, 14),
            (H100, 2, 2),
            ("NVIDIA-H100-80GB-HBM3-MIG-1g.10gb", 7, 4),
            ("NVIDIA-H100-80GB-HBM3-MIG-3g.40gb", 2, 2),
        ])
    );
}

#[test]
fn nodes_that_take_no_pods_are_left_out_with_what_runs_on_them() {
    let not_ready = node("down", H100, 8).with("/status/conditions/0/status", "Unknown");
    let objects = [
        node("n", H100, 8),
        node("cordoned", H100, 8).with("/spec/unschedulable", true),
        not_ready,
        node("new", H100, 8).with("/status/conditions", Value::Null),
        holding(pod("x/a"), "cordoned", "nvidia.com/gpu", 8),
        holding(pod("x/b"), "down", "nvidia.com/gpu", 8),
        holding(pod("x/c"), "unknown", "nvidia.com/gpu", 8),
    ];
    assert_eq!(gpus(&objects), counts(&[(H100, 8, 8)]));
}

#[test]
fn a_node_that_goes_takes_its_accelerators_along() {
    let nodes = [node("n1", H100, 8), node("n2", H100, 8)];
    let mut index = index_of(&nodes);
    delete(&mut index, &nodes[1]);
    assert_eq!(view(&mut index).gpus(), [(H100, 8, 8)]);
    apply(&mut index, &node("n1", H100, 6));
    assert_eq!(view(&mut index).gpus(), [(H100, 6, 6)]);
}

#[test]
fn a_node_selector_leaves_out_other_nodes() {
    let config = Config {
        node_selector: selector("team in (inference, shared)").unwrap(),
        ..Config::default()
    };
    let objects = [
        node("ours", H100, 8).labelled("team", "inference"),
        node("theirs", H100, 8).labelled("team", "training"),
        node("nobodys", H100, 8),
        holding(pod("x/a"), "theirs", "nvidia.com/gpu", 8),
        holding(pod("x/b"), "ours", "nvidia.com/gpu", 1),
    ];
    let mut index = index_with(config, &objects);
    assert_eq!(view(&mut index).gpus(), [(H100, 8, 7)]);
    apply(&mut index, &node("ours", H100, 8));
    assert_eq!(view(&mut index).gpus(), []);
}

#[test]
fn pods_of_strangers_hold_what_they_have_until_they_are_gone() {
    let held = |pod: Value| {
        let objects = [node("n", H100, 8), holding(pod, "n", "nvidia.com/gpu", 2)];
        gpus(&objects)[0].2
    };
    assert_eq!(held(pod("stranger/p")), 6);
    assert_eq!(held(pending(pod("stranger/p"))), 6);
    assert_eq!(held(terminating(pod("stranger/p"))), 6);
    assert_eq!(held(finished(pod("stranger/p"))), 8);
    let failed = finished(pod("stranger/p")).with("/status/phase", "Failed");
    assert_eq!(held(failed), 8);
}

#[test]
fn a_pod_without_a_node_holds_nothing() {
    let waiting = holding(pod("x/p"), "n", "nvidia.com/gpu", 2).with("/spec/nodeName", Value::Null);
    assert_eq!(
        gpus(&[node("n", H100, 8), waiting]),
        counts(&[(H100, 8, 8)])
    );
}

#[test]
fn more_held_than_there_is_leaves_nothing_and_not_less() {
    let pod = holding(pod("x/p"), "n", "nvidia.com/gpu", 8);
    assert_eq!(gpus(&[node("n", H100, 4), pod]), counts(&[(H100, 4, 0)]));
}

const A100: &str = "NVIDIA-A100-PCIE-40GB";

fn cards(names: &[&str]) -> Vec<Value> {
    let cards = names.iter();
    cards
        .map(|name| device(name, "NVIDIA A100-PCIE-40GB"))
        .collect()
}

/// A node that has devices but no device plugin.
fn bare_node(name: &str) -> Value {
    node(name, A100, 0)
}

#[test]
fn devices_are_counted_by_product_as_node_labels_spell_it() {
    let objects = [
        bare_node("n"),
        slice("s", "n", &cards(&["gpu-0", "gpu-1", "gpu-2"])),
        device_claim("x/c", "n", &["gpu-1"]),
        device_claim("x/d", "n", &["gpu-7"]),
        device_claim("x/e", "other", &["gpu-0"]),
    ];
    assert_eq!(gpus(&objects), counts(&[(A100, 3, 2)]));
}

#[test]
fn only_the_newest_generation_of_a_pool_counts_and_until_it_is_told_nothing_is_known() {
    let part = |name: &str, generation: i64, of: i64, devices: &[&str]| {
        slice(name, "n", &cards(devices))
            .with("/spec/pool/generation", generation)
            .with("/spec/pool/resourceSliceCount", of)
    };
    let old = part("old", 1, 1, &["gpu-0", "gpu-1", "gpu-2"]);
    let new = [part("a", 2, 2, &["gpu-0"]), part("b", 2, 2, &["gpu-1"])];
    let of = |slices: &[&Value]| {
        let mut objects = vec![bare_node("n"), node("m", H100, 8)];
        objects.extend(slices.iter().map(|slice| (*slice).clone()));
        let seen = view_of(&objects);
        seen.inventory.is_ok().then(|| gpus(&objects))
    };
    let with = |devices| Some(counts(&[(A100, devices, devices), (H100, 8, 8)]));
    assert_eq!(of(&[&old]), with(3));
    assert_eq!(of(&[&old, &new[0]]), None);
    assert_eq!(
        view_of(&[bare_node("n"), new[0].clone()]).inventory,
        Err(format!(
            "driver `{}` has not published all ResourceSlices of its pool `n`",
            new[0]["spec"]["driver"].as_str().unwrap()
        ))
    );
    assert_eq!(of(&[&old, &new[0], &new[1]]), with(2));
    assert_eq!(of(&[&new[0], &new[1]]), with(2));
}

#[test]
fn what_a_driver_does_not_tell_of_a_node_that_takes_no_pods_is_no_matter() {
    let half = slice("s", "down", &cards(&["gpu-0"])).with("/spec/pool/resourceSliceCount", 2);
    let down = bare_node("down").with("/spec/unschedulable", true);
    let objects = [down, node("n", H100, 8), half];
    assert!(view_of(&objects).inventory.is_ok());
    assert_eq!(gpus(&objects), counts(&[(H100, 8, 8)]));
}

#[test]
fn a_node_with_a_device_plugin_and_a_driver_counts_its_cards_once() {
    let objects = [
        node("n", A100, 2),
        node("m", A100, 1),
        slice("s", "n", &cards(&["gpu-0", "gpu-1"])),
        device_claim("x/c", "n", &["gpu-1"]),
        holding(pod("x/p"), "n", "nvidia.com/gpu", 1),
    ];
    assert_eq!(gpus(&objects), counts(&[(A100, 3, 1)]));
}

#[test]
fn a_pod_that_has_its_cards_by_a_claim_holds_them_once() {
    // As where a device class stands for an extended resource.
    let objects = [
        bare_node("n"),
        slice("s", "n", &cards(&["gpu-0", "gpu-1"])),
        device_claim("x/c", "n", &["gpu-1"]),
        holding(pod("x/p"), "n", "nvidia.com/gpu", 1),
    ];
    assert_eq!(gpus(&objects), counts(&[(A100, 2, 1)]));
}

#[test]
fn a_node_that_has_lost_its_cards_takes_none_from_others() {
    let objects = [
        node("n", H100, 0),
        node("short", H100, 2),
        node("m", H100, 8),
        holding(pod("x/p"), "n", "nvidia.com/gpu", 8),
        holding(pod("x/q"), "short", "nvidia.com/gpu", 4),
    ];
    assert_eq!(gpus(&objects), counts(&[(H100, 10, 8)]));
}

#[test]
fn access_for_administration_holds_nothing() {
    let claim = device_claim("x/c", "n", &["gpu-0"])
        .with("/status/allocation/devices/results/0/adminAccess", true);
    let objects = [bare_node("n"), slice("s", "n", &cards(&["gpu-0"])), claim];
    assert_eq!(gpus(&objects), counts(&[(A100, 1, 1)]));
}

#[test]
fn claims_that_are_not_allocated_yet_hold_nothing() {
    let objects = [
        bare_node("n"),
        slice("s", "n", &cards(&["gpu-0"])),
        device_claim("x/c", "n", &["gpu-0"]).with("/status", Value::Null),
    ];
    assert_eq!(gpus(&objects), counts(&[(A100, 1, 1)]));
}

fn partition(name: &str, parent: &str) -> Value {
    device(name, "NVIDIA A100-PCIE-40GB")
        .with("/attributes/type/string", "mig")
        .with("/attributes/profile", json!({"string": "1g.5gb"}))
        .with("/attributes/parentUUID", json!({"string": parent}))
}

#[test]
fn a_card_and_its_partitions_are_counted_once() {
    let mut devices = cards(&["gpu-0", "gpu-1"]);
    devices.push(partition("mig-0", "gpu-0"));
    devices.push(partition("mig-1", "gpu-0"));
    let mut objects = vec![bare_node("n"), slice("s", "n", &devices)];
    assert_eq!(gpus(&objects), counts(&[(A100, 2, 2)]));
    // A card of which a part is taken is not free, however many parts that are.
    objects.push(device_claim("x/c", "n", &["mig-0"]));
    assert_eq!(gpus(&objects), counts(&[(A100, 2, 1)]));
    objects.push(device_claim("x/d", "n", &["mig-1"]));
    assert_eq!(gpus(&objects), counts(&[(A100, 2, 1)]));
}

#[test]
fn partitions_without_their_card_are_accelerators_of_their_own() {
    let devices = [partition("mig-0", "hidden"), partition("mig-1", "hidden")];
    let objects = [
        bare_node("n"),
        slice("s", "n", &devices),
        device_claim("x/c", "n", &["mig-1"]),
    ];
    assert_eq!(
        gpus(&objects),
        counts(&[("NVIDIA-A100-PCIE-40GB-MIG-1g.5gb", 2, 1)])
    );
}

#[test]
fn a_device_that_claims_share_is_held_once() {
    let objects = [
        bare_node("n"),
        slice("s", "n", &cards(&["gpu-0", "gpu-1"])),
        device_claim("x/c", "n", &["gpu-0"]),
        device_claim("x/d", "n", &["gpu-0"]),
    ];
    assert_eq!(gpus(&objects), counts(&[(A100, 2, 1)]));
}

#[test]
fn devices_of_unusable_nodes_and_of_other_drivers_are_left_out() {
    let nic = slice("nic", "n", &cards(&["nic-0"])).with("/spec/driver", "nic.example.com");
    let mut objects = vec![bare_node("n"), slice("s", "n", &cards(&["gpu-0"])), nic];
    objects.push(slice("elsewhere", "m", &cards(&["gpu-0"])));
    assert_eq!(gpus(&objects), counts(&[(A100, 1, 1)]));
    objects[0] = bare_node("n").with("/spec/unschedulable", true);
    assert_eq!(gpus(&objects), []);
}
