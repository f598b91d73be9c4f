//! Objects that are not as they should be: none of them may break the list that it is in.

use super::autoscaler::{HorizontalPodAutoscaler, ScaledObject};
use super::device::{ResourceClaim, ResourceClaimTemplate, ResourceSlice};
use super::node::Node;
use super::pod::Pod;
use super::pool::{InferencePool, Service};
use super::variant::VariantAutoscaling;
use super::workload::Workload;
use super::*;
use crate::index::testing::*;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Reads an object as a watch of its kind would.
fn decode(object: &Value) -> Result<(), String> {
    fn of<K: for<'de> Deserialize<'de>>(object: &Value) -> Result<(), String> {
        let read = serde_json::from_str::<K>(&object.to_string());
        read.map(drop).map_err(|error| error.to_string())
    }
    match object["kind"].as_str().unwrap() {
        "VariantAutoscaling" => of::<VariantAutoscaling>(object),
        "HorizontalPodAutoscaler" => of::<HorizontalPodAutoscaler>(object),
        "ScaledObject" => of::<ScaledObject>(object),
        "Pod" => of::<Pod>(object),
        "Node" => of::<Node>(object),
        "InferencePool" => of::<InferencePool>(object),
        "Service" => of::<Service>(object),
        "ResourceSlice" => of::<ResourceSlice>(object),
        "ResourceClaim" => of::<ResourceClaim>(object),
        "ResourceClaimTemplate" => of::<ResourceClaimTemplate>(object),
        _ => of::<Workload>(object),
    }
}

/// Kinds whose fields Kubernetes itself holds to their types.
fn kubernetes_own() -> Vec<Value> {
    let claim = json!([{"name": "g", "resourceClaimName": "c", "resourceClaimTemplateName": "t"}]);
    let variable = json!([{"name": "MODEL", "value": "m"}]);
    let pod = holding(pod("a/p"), "n", "nvidia.com/gpu", 1)
        .with("/spec/initContainers", json!([engine(1)]))
        .with("/spec/initContainers/0/restartPolicy", "Always")
        .with("/spec/containers/0/env", variable)
        .with("/spec/resourceClaims", claim);
    vec![
        pod,
        node("n", H100, 8).with("/spec/unschedulable", true),
        service("a/s", "epp"),
        slice("s", "n", &[device("gpu-0", "NVIDIA H100")]),
        device_claim("a/c", "n", &["gpu-0"])
            .with("/status/allocation/devices/results/0/adminAccess", true),
        claim_template("a/t", 1),
    ]
}

/// Kinds whose schema is somebody's own, or may have another meaning of a field.
fn others() -> Vec<Value> {
    let status = json!({"desiredOptimizedAlloc": {"numReplicas": 3, "accelerator": "H100"}});
    let leader = template("l", engine(8));
    let affinity = json!({"nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]},
        ]},
    }});
    vec![
        variant("a/v", "d")
            .with("/spec/variantCost", "5")
            .with("/spec/minReplicas", 1)
            .with("/status", status),
        hpa("a/h", "d").with("/spec/minReplicas", 1),
        scaled_object("a/s", "d"),
        pool("a/p", "d"),
        old_pool("a/p", "d"),
        deployment("a/d", 1).with("/spec/template/spec/affinity", affinity),
        leader_worker_set("a/l", 1, 2).with("/spec/leaderWorkerTemplate/leaderTemplate", leader),
    ]
}

/// Pointers to everything inside an object's spec and status. Values by name (labels, resources)
/// are not gone into: nobody's schema allows null there.
fn pointers(object: &Value) -> Vec<String> {
    fn walk(value: &Value, pointer: &str, found: &mut Vec<String>) {
        const BY_NAME: [&str; 6] = [
            "labels",
            "limits",
            "requests",
            "allocatable",
            "attributes",
            "selector",
        ];
        let children: Vec<(String, &Value)> = match value {
            Value::Object(fields) => {
                let fields = fields.iter();
                fields.map(|(name, value)| (name.clone(), value)).collect()
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                items.map(|(at, value)| (at.to_string(), value)).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        };
        for (name, child) in children {
            let pointer = format!("{pointer}/{name}");
            // Lists do not hold null: only what is in their items is tried.
            if name.parse::<usize>().is_err() {
                found.push(pointer.clone());
            }
            if !BY_NAME.contains(&name.as_str()) {
                walk(child, &pointer, found);
            }
        }
    }
    let mut found = vec!["/spec".to_owned(), "/status".to_owned()];
    for part in ["spec", "status"] {
        walk(&object[part], &format!("/{part}"), &mut found);
    }
    found
}

#[test]
fn null_is_as_missing_in_every_field_of_every_kind() {
    let mut tried = 0;
    for object in kubernetes_own().into_iter().chain(others()) {
        decode(&object).unwrap();
        for pointer in pointers(&object) {
            let nulled = object.clone().with(&pointer, Value::Null);
            if let Err(error) = decode(&nulled) {
                panic!("{} with null at {pointer}: {error}", object["kind"]);
            }
            tried += 1;
        }
    }
    assert!(tried > 150, "only {tried} fields were tried");
}

#[test]
fn fields_of_another_type_are_as_missing_where_the_schema_is_not_kubernetes_own() {
    let wrong = [
        json!("x"),
        json!(-1),
        json!(1.5),
        json!([1]),
        json!({"x": {}}),
        json!(true),
    ];
    for object in others() {
        for pointer in pointers(&object) {
            // Whole parts are objects in every schema.
            if pointer == "/spec" || pointer == "/status" {
                continue;
            }
            for wrong in &wrong {
                let odd = object.clone().with(&pointer, wrong.clone());
                if let Err(error) = decode(&odd) {
                    panic!("{} with {wrong} at {pointer}: {error}", object["kind"]);
                }
            }
        }
    }
}

#[test]
fn every_part_may_be_missing() {
    for object in kubernetes_own().into_iter().chain(others()) {
        let bare = json!({"kind": object["kind"], "metadata": {"name": "x"}});
        decode(&bare).unwrap();
        let null = bare.with("/spec", Value::Null).with("/status", Value::Null);
        decode(&null).unwrap();
    }
}

#[test]
fn one_odd_bound_leaves_the_others_as_they_are() {
    let odd = scaled_object("a/s", "d").with("/spec/minReplicaCount", -1);
    let spec = read::<ScaledObject>(&odd).spec;
    assert_eq!(
        (spec.min_replica_count, spec.max_replica_count),
        (Count::Odd("-1".to_owned()), Count::Is(10))
    );
    assert_eq!(spec.scale_target_ref.name, "d");
}

#[test]
fn an_odd_object_of_an_unknown_kind_is_still_a_target() {
    let odd = deployment("a/d", 1)
        .with("/spec/template", "by-reference")
        .with("/spec/replicas", "many");
    let seen = view_of(&[odd, variant("a/v", "d")]);
    assert_eq!(seen.only().0.gpus_per_replica, 0);
    assert_eq!(seen.only().0.desired_replicas, 1);
    let warnings = &seen.only().1.warnings;
    for part in ["`spec.template`", "`spec.replicas`"] {
        let mut said = warnings.iter();
        assert!(
            said.any(|warning| warning.starts_with(part)),
            "{warnings:?}"
        );
    }
}

/// The one variant of these objects: its GPUs, and what is wrong with it.
fn gpus_and_warnings(objects: &[Value]) -> (u32, Vec<String>) {
    let seen = view_of(objects);
    let (variant, of) = seen.only();
    (variant.gpus_per_replica, of.warnings.clone())
}

#[test]
fn an_odd_part_of_a_workload_is_left_out_alone_and_said() {
    let claim = variant_of("a/v", "LeaderWorkerSet", "l");
    let workers = "/spec/leaderWorkerTemplate/workerTemplate/spec";
    let odd = |part: &str, wrong: Value| {
        let set = leader_worker_set("a/l", 1, 2).with(&format!("{workers}/{part}"), wrong);
        gpus_and_warnings(&[set, claim.clone()])
    };
    let said = |part: &str| {
        let path = format!("spec.leaderWorkerTemplate.workerTemplate.spec.{part}");
        vec![format!(
            "`{path}` of it is not of the expected form: left out, as if it were not there"
        )]
    };
    assert_eq!(odd("nodeSelector", json!(["x"])), (2, said("nodeSelector")));
    let item = json!([{"name": "sidecar"}, "x", engine(3)]);
    assert_eq!(odd("containers", item), (6, said("containers[1]")));
    let limit = json!({"nvidia.com/gpu": {}});
    let path = "containers/0/resources/limits";
    let shown = said("containers[0].resources.limits.nvidia.com/gpu");
    assert_eq!(odd(path, limit), (0, shown));
}

#[test]
fn numbers_where_text_is_expected_are_read_as_text() {
    let args = json!([
        "--tensor-parallel-size",
        8,
        "--max-num-seqs",
        64,
        "--model",
        "m"
    ]);
    let containers = "/spec/template/spec/containers/0";
    let numbers = deployment("a/d", 1)
        .with(&format!("{containers}/args"), args)
        .with(
            &format!("{containers}/resources/limits"),
            json!({"nvidia.com/gpu": 8}),
        );
    let seen = view_of(&[numbers, variant("a/v", "d")]);
    let (variant, of) = seen.only();
    assert_eq!(variant.gpus_per_replica, 8);
    assert_eq!(variant.engine.as_ref().unwrap().max_sequences, 64);
    assert_eq!(of.warnings, Vec::<String>::new());
}

#[test]
fn a_workload_of_another_form_altogether_is_taken_as_saying_nothing() {
    let whole = "`spec` of it is not of the expected form: left out, as if it were not there";
    for spec in [
        json!("by-reference"),
        json!({"template": {"spec": {"containers": vec!["x"; 40]}}}),
    ] {
        let odd = deployment("a/d", 1).with("/spec", spec);
        let (gpus, warnings) = gpus_and_warnings(&[odd, variant("a/v", "d")]);
        assert_eq!((gpus, warnings), (0, vec![whole.to_owned()]));
    }
}

#[test]
fn selectors_are_read_in_both_forms() {
    let selector = |pool: Value| read::<InferencePool>(&pool).spec.selector;
    let expected = Labels::from([("app".to_owned(), "d".to_owned())]);
    assert_eq!(selector(pool("a/p", "d")), expected);
    assert_eq!(selector(old_pool("a/p", "d")), expected);
    let null = pool("a/p", "d").with("/spec/selector", json!({"matchLabels": null}));
    assert_eq!(selector(null), Labels::new());
}

#[test]
fn what_is_not_needed_is_not_kept() {
    let note = "a-long-text-that-nobody-needs";
    let object = pod("a/p")
        .with("/metadata/managedFields", json!([{"manager": note}]))
        .annotated("kubectl.kubernetes.io/last-applied-configuration", note)
        .with("/spec/volumes", json!([{"name": note}]))
        .with(
            "/spec/containers/0/env",
            json!([{"name": note, "value": note}]),
        )
        .with("/status/message", note);
    let mut objects = deployed("a/d", 1);
    objects[0] = objects[0]
        .clone()
        .annotated("kubectl.kubernetes.io/last-applied-configuration", note)
        .with("/metadata/managedFields", json!([{"manager": note}]))
        .with("/spec/template/spec/volumes", json!([{"name": note}]));
    objects.push(object);
    objects.push(variant("a/v", "d").with("/metadata/managedFields", json!([{"manager": note}])));
    let index = index_of(&objects);
    assert!(format!("{index:?}").contains("\"p\""));
    assert!(!format!("{index:?}").contains(note));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop_oneof!["\\PC{0,12}", "[0-9]{1,25}[kKMGi]{0,2}", "[-+]?[0-9.e]{1,9}"]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z/.]{1,12}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_an_object_says_neither_reading_nor_viewing_it_panics(
        which in any::<prop::sample::Index>(),
        field in any::<prop::sample::Index>(),
        garbage in any_json(),
    ) {
        let mut objects = kubernetes_own();
        objects.extend(others());
        let which = which.index(objects.len());
        let pointers = pointers(&objects[which]);
        let pointer = &pointers[field.index(pointers.len())];
        let odd = objects[which].clone().with(pointer, garbage);
        objects[which] = odd.clone();
        if decode(&odd).is_ok() {
            let mut index = index_of(&objects);
            view(&mut index);
        }
    }
}
