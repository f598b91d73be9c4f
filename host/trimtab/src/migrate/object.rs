//! Objects as they are read: any kind, with what is needed of it found by its path.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

/// Fields of `metadata` that the API server sets.
const OF_THE_SERVER: [&str; 8] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "selfLink",
    "ownerReferences",
    "finalizers",
];

/// Annotation by which kubectl keeps what was applied: of an object that changed it says nothing.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The text at a JSON pointer.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer)?.as_str()
}

/// A value as somebody would write it in a sentence.
pub(super) fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn kind(object: &Value) -> &str {
    text(object, "/kind").unwrap_or_default()
}

/// Of its API version; empty for the core group.
pub(super) fn group(object: &Value) -> &str {
    group_of(text(object, "/apiVersion").unwrap_or_default())
}

pub(super) fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

pub(super) fn name(object: &Value) -> &str {
    text(object, "/metadata/name").unwrap_or_default()
}

/// As kubectl takes it where nothing is said.
pub(super) fn namespace(object: &Value) -> &str {
    said_namespace(object).unwrap_or("default")
}

pub(super) fn said_namespace(object: &Value) -> Option<&str> {
    text(object, "/metadata/namespace").filter(|said| !said.is_empty())
}

pub(super) fn is_variant(object: &Value) -> bool {
    (group(object), kind(object)) == ("llmd.ai", "VariantAutoscaling")
}

/// Whether it is an HPA or a ScaledObject.
pub(super) fn is_scaler(object: &Value) -> bool {
    matches!(
        (group(object), kind(object)),
        ("autoscaling", "HorizontalPodAutoscaler") | ("keda.sh", "ScaledObject")
    )
}

pub(super) fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(key)?.as_str()
}

/// `Kind namespace/name`.
pub(super) fn title(object: &Value) -> String {
    format!("{} {}/{}", kind(object), namespace(object), name(object))
}

pub(super) fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    let found = object.pointer(pointer).and_then(Value::as_array);
    found.map_or(&[], Vec::as_slice)
}

/// By namespace, kind and name; of one that is there twice, the later version first, as Kubernetes
/// has it: `v2` before `v1` before `v2beta2` before `v2beta1`.
pub(super) fn order(a: &Value, b: &Value) -> Ordering {
    let version = |object| {
        let version = text(object, "/apiVersion").unwrap_or_default();
        let version = version.rsplit('/').next().unwrap_or_default();
        (!version.contains(['a', 'b']), version.to_owned())
    };
    place(a)
        .cmp(&place(b))
        .then_with(|| version(b).cmp(&version(a)))
}

/// Whether both are the same object, in whichever version.
pub(super) fn is_same(a: &Value, b: &Value) -> bool {
    place(a) == place(b) && group(a) == group(b)
}

fn place(object: &Value) -> [&str; 3] {
    [namespace(object), kind(object), name(object)]
}

/// The object as somebody would write it, with another spec.
pub(super) fn rewritten(object: &Value, api_version: &str, spec: Map<String, Value>) -> Value {
    let metadata = object.get("metadata").and_then(Value::as_object);
    let mut metadata = metadata.cloned().unwrap_or_default();
    metadata.retain(|key, _| !OF_THE_SERVER.contains(&key.as_str()));
    if let Some(annotations) = metadata
        .get_mut("annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.remove(LAST_APPLIED);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    json!({
        "apiVersion": api_version,
        "kind": kind(object),
        "metadata": metadata,
        "spec": spec,
    })
}

pub(super) fn spec(object: &Value) -> Map<String, Value> {
    let spec = object.get("spec").and_then(Value::as_object);
    spec.cloned().unwrap_or_default()
}
