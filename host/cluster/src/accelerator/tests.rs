//! Which accelerator a variant is said to run on.

use crate::index::testing::*;
use serde_json::{Value, json};

/// The accelerator of the variant of Deployment `a/d`, given the other objects.
fn accelerator(deployment: Value, others: &[Value]) -> String {
    let mut objects = vec![deployment, variant("a/v", "d"), replica_set("a/d-rs", "d")];
    objects.extend_from_slice(others);
    view_of(&objects).only().0.accelerator.clone()
}

fn any() -> Value {
    deployment("a/d", 1)
}

fn selecting(label: &str, value: &str) -> Value {
    any().with("/spec/template/spec/nodeSelector", json!({label: value}))
}

fn with_affinity(terms: Value) -> Value {
    let affinity = json!({"nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms},
    }});
    any().with("/spec/template/spec/affinity", affinity)
}

fn term(operator: &str, products: &[&str]) -> Value {
    json!({"matchExpressions": [
        {"key": "nvidia.com/gpu.product", "operator": operator, "values": products},
    ]})
}

#[test]
fn where_all_nodes_are_of_one_kind_it_is_that() {
    let nodes = [node("n1", H100, 8), node("n2", H100, 8)];
    assert_eq!(accelerator(any(), &nodes), H100);
}

#[test]
fn between_two_kinds_it_is_unresolved_and_the_variant_is_kept() {
    // Situation 35.
    let nodes = [node("n1", H100, 8), node("n2", L4, 8)];
    assert_eq!(accelerator(any(), &nodes), "unresolved");
    assert_eq!(accelerator(any(), &[]), "unresolved");
}

#[test]
fn between_two_kinds_the_nodes_of_its_pods_say_it() {
    let on = |node: &str, number: u32| {
        let pod = pod_of(&format!("a/d-{number}"), "d-rs");
        holding(pod, node, "nvidia.com/gpu", 1)
    };
    let mut objects = vec![node("n1", H100, 8), node("n2", L4, 8), on("n2", 0)];
    assert_eq!(accelerator(any(), &objects), L4);
    objects.push(on("n1", 1));
    assert_eq!(accelerator(any(), &objects), "unresolved");
}

#[test]
fn a_node_selector_of_any_vendor_names_it_before_there_is_such_a_node() {
    for label in [
        "nvidia.com/gpu.product",
        "amd.com/gpu.product-name",
        "cloud.google.com/gke-accelerator",
        "habana.ai/product.name",
        "gpu.intel.com/product",
    ] {
        assert_eq!(
            accelerator(selecting(label, "card"), &[]),
            "card",
            "{label}"
        );
    }
}

#[test]
fn a_node_selector_leads_to_the_nodes_that_fit() {
    let nodes = [
        node("n1", H100, 8).labelled("zone", "a"),
        node("n2", L4, 8).labelled("zone", "b"),
    ];
    assert_eq!(accelerator(selecting("zone", "b"), &nodes), L4);
    let product = "nvidia.com/gpu.product";
    assert_eq!(accelerator(selecting(product, H100), &nodes), H100);
}

#[test]
fn affinity_leads_to_the_nodes_that_fit() {
    let nodes = [
        node("n1", H100, 8),
        node("n2", L4, 8),
        node("n3", "NVIDIA-L40S", 4),
    ];
    let of = |terms: Value| accelerator(with_affinity(terms), &nodes);
    assert_eq!(of(json!([term("In", &[L4])])), L4);
    assert_eq!(of(json!([term("NotIn", &[L4, "NVIDIA-L40S"])])), H100);
    assert_eq!(of(json!([term("In", &[L4, H100])])), "unresolved");
    assert_eq!(
        of(json!([term("In", &[L4]), term("In", &[H100])])),
        "unresolved"
    );
    assert_eq!(of(json!([term("Exists", &[])])), "unresolved");
}

#[test]
fn affinity_names_it_before_there_is_such_a_node() {
    let of = |terms: Value| accelerator(with_affinity(terms), &[]);
    assert_eq!(of(json!([term("In", &[H100])])), H100);
    assert_eq!(of(json!([term("In", &[H100, L4])])), "unresolved");
    assert_eq!(of(json!([term("NotIn", &[H100])])), "unresolved");
}

#[test]
fn a_label_on_claim_workload_or_pods_says_it_where_nodes_do_not() {
    const LABEL: &str = "inference.optimization/acceleratorName";
    let nodes = [node("n1", H100, 8), node("n2", L4, 8)];
    assert_eq!(accelerator(any().labelled(LABEL, L4), &nodes), L4);
    let pods = "/spec/template/metadata/labels/inference.optimization~1acceleratorName";
    assert_eq!(accelerator(any().with(pods, L4), &nodes), L4);
    let objects = [any(), variant("a/v", "d").labelled(LABEL, "custom")];
    assert_eq!(view_of(&objects).only().0.accelerator, "custom");
    assert_eq!(accelerator(any().labelled(LABEL, ""), &nodes), "unresolved");
}

#[test]
fn a_short_name_becomes_that_of_the_nodes_where_just_one_fits() {
    const LABEL: &str = "inference.optimization/acceleratorName";
    let mut nodes = vec![node("n1", H100, 8), node("n2", L4, 8)];
    let of = |label: &str, nodes: &[Value]| accelerator(any().labelled(LABEL, label), nodes);
    assert_eq!(of("H100", &nodes), H100);
    assert_eq!(of("h100", &nodes), H100);
    assert_eq!(of("L4", &nodes), L4);
    // L4 is no part of L40S, and H1 none of H100.
    assert_eq!(of("H1", &nodes), "unresolved");
    nodes.push(node("n3", "NVIDIA-H100-NVL", 8));
    assert_eq!(of("H100", &nodes), "unresolved");
    assert_eq!(of(H100, &nodes), H100);
}

#[test]
fn a_label_that_is_no_one_accelerators_name_is_said() {
    const LABEL: &str = "inference.optimization/acceleratorName";
    let warning = |label: &str| {
        let nodes = [node("n1", H100, 8), node("n2", "NVIDIA-H100-NVL", 8)];
        let mut objects = vec![any().labelled(LABEL, label), variant("a/v", "d")];
        objects.extend(nodes);
        view_of(&objects).only().1.warnings.join("; ")
    };
    assert!(warning("H1").contains("no node has an accelerator `H1`"));
    let several = format!("may be `{H100}`, `NVIDIA-H100-NVL`");
    assert!(warning("H100").contains(&several), "{}", warning("H100"));
    assert_eq!(warning(H100), "");
}

#[test]
fn a_variant_without_accelerators_is_on_what_its_label_says() {
    let none = any().with("/spec/template/spec/containers/0/resources", json!({}));
    let nodes = [node("n1", H100, 8)];
    assert_eq!(accelerator(none.clone(), &nodes), "unresolved");
    let labelled = none.labelled("inference.optimization/acceleratorName", "simulated");
    assert_eq!(accelerator(labelled, &nodes), "simulated");
}

#[test]
fn partitions_have_the_name_under_which_they_are_counted() {
    let resources = json!({"limits": {"nvidia.com/mig-1g.10gb": "1"}});
    let mixed = node("n", H100, 1).with("/status/allocatable/nvidia.com~1mig-1g.10gb", "7");
    let partition = any().with("/spec/template/spec/containers/0/resources", resources);
    let name = accelerator(partition, std::slice::from_ref(&mixed));
    assert_eq!(name, "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb");
    assert!(view_of(&[mixed]).gpus().iter().any(|(of, ..)| *of == name));
}

#[test]
fn device_claims_are_for_the_one_kind_of_devices_that_there_is() {
    let claims = json!([{"name": "gpu", "resourceClaimTemplateName": "one"}]);
    let claiming = any()
        .with("/spec/template/spec/containers/0/resources", json!({}))
        .with("/spec/template/spec/resourceClaims", claims);
    let mut objects = vec![
        claim_template("a/one", 1),
        slice("s1", "n1", &[device("gpu-0", "NVIDIA H100 80GB HBM3")]),
    ];
    assert_eq!(accelerator(claiming.clone(), &objects), H100);
    // While a driver tells of its devices anew they are still of their kind.
    let told = objects[1].clone();
    objects[1] = told.clone().with("/spec/pool/resourceSliceCount", 2);
    assert_eq!(accelerator(claiming.clone(), &objects), H100);
    objects[1] = told;
    objects.push(slice("s2", "n2", &[device("gpu-0", "NVIDIA L4")]));
    assert_eq!(accelerator(claiming.clone(), &objects), "unresolved");
    let labelled = claiming.labelled("inference.optimization/acceleratorName", "h100");
    assert_eq!(accelerator(labelled, &objects), H100);
}

#[test]
fn the_engines_defaults_are_those_of_the_accelerator() {
    let batched = |product: &str| {
        let objects = [any(), variant("a/v", "d"), node("n", product, 8)];
        let engine = view_of(&objects).only().0.engine.clone().unwrap();
        engine.max_batched_tokens
    };
    assert_eq!((batched(H100), batched(L4)), (8192, 2048));
}
