//! VariantAutoscalings: those that are there, and those that make a workload a variant.

use serde_json::{Map, Value, json};

use super::known::{Known, MANAGED, target};
use super::object::{annotation, kind, rewritten, spec, text, title};
use super::plan::{Body, Document, Fate, Plan, is_named};

const API_VERSION: &str = "llmd.ai/v1alpha1";
/// Fields of the spec that both WVA's last schema and ours have.
const FIELDS: [&str; 5] = [
    "scaleTargetRef",
    "modelID",
    "variantCost",
    "minReplicas",
    "maxReplicas",
];
/// What a cost is taken for where nobody says one, as in WVA.
const COST: &str = "10.0";

/// Whether a scaler makes a variant of its workload by itself.
pub(super) fn claims(scaler: &Value) -> bool {
    annotation(scaler, MANAGED) == Some("true")
}

/// One that is there stays, unless its schema is older than the last one.
pub(super) fn plan(object: &Value, known: &Known, plan: &mut Plan) {
    let of = title(object);
    let written = spec(object);
    let unknown: Vec<&String> = written
        .keys()
        .filter(|key| !FIELDS.contains(&key.as_str()))
        .collect();
    let is_text = |key: &str| written.get(key).is_none_or(Value::is_string);
    let whole = written.contains_key("scaleTargetRef") && written.contains_key("modelID");
    if unknown.is_empty() && whole && is_text("variantCost") {
        return plan.row(of, Fate::Stays, "WVA's schema is read as it is");
    }
    let target = target(object);
    let said = text(object, "/spec/modelID").filter(|model| !model.trim().is_empty());
    let Some(model) = said.or_else(|| known.model(&target)) else {
        let why = "neither spec.modelID nor the command line of its workload names a model: set it";
        return plan.row(of, Fate::NoEqual, why);
    };
    let mut spec = written.clone();
    spec.retain(|key, _| FIELDS.contains(&key.as_str()));
    spec.insert("modelID".to_owned(), model.into());
    let reference = spec
        .entry("scaleTargetRef")
        .or_insert_with(|| json!({"apiVersion": "apps/v1", "kind": target.1, "name": target.2}));
    let reference = reference.clone();
    if let Some(cost) = spec.get("variantCost").filter(|cost| cost.is_number()) {
        let cost = cost.to_string();
        spec.insert("variantCost".to_owned(), cost.into());
    }
    plan.row(
        &of,
        Fate::Replaced,
        "its schema is older than WVA's last one",
    );
    for key in unknown {
        let why = format!("spec.{key}: {}", instead_of(key));
        plan.row(&of, Fate::NoEqual, why);
    }
    let scales = text(&reference, "/name").unwrap_or_default().to_owned();
    plan.documents.push(Document {
        comments: vec![format!(
            "From {of}, whose schema is older: it scales {scales}."
        )],
        body: Body::Object(rewritten(object, API_VERSION, spec)),
    });
}

/// What there is in place of a field that neither schema has any more.
fn instead_of(key: &str) -> &'static str {
    match key {
        "sloClassRef" => "set objective.ttftSeconds and objective.itlSeconds instead",
        _ => "what a replica can do is measured, not said",
    }
}

/// One that makes the workload of an HPA or a ScaledObject a variant.
pub(super) fn made_for(scaler: &Value, model: &str) -> Document {
    let (namespace, of_kind, name) = target(scaler);
    let default_version = match of_kind.as_str() {
        "LeaderWorkerSet" => "leaderworkerset.x-k8s.io/v1",
        _ => "apps/v1",
    };
    let version = text(scaler, "/spec/scaleTargetRef/apiVersion").unwrap_or(default_version);
    let (min, max) = bounds(scaler);
    let mut spec = Map::new();
    spec.insert(
        "scaleTargetRef".to_owned(),
        json!({"apiVersion": version, "kind": of_kind, "name": name}),
    );
    spec.insert("modelID".to_owned(), model.into());
    spec.insert("variantCost".to_owned(), COST.into());
    spec.insert("minReplicas".to_owned(), min);
    spec.extend(max.map(|max| ("maxReplicas".to_owned(), max)));
    let mut comments = vec![
        format!(
            "Makes {of_kind} {namespace}/{name} a variant, within the bounds of {}.",
            title(scaler)
        ),
        format!(
            "variantCost is of one replica for an hour: {COST} is what is taken where nothing is \
             said. What counts is how variants of one model compare."
        ),
    ];
    if !is_named(scaler, &name) {
        comments.push("It is named after the workload, as the variant is.".to_owned());
    }
    Document {
        comments,
        body: Body::Object(json!({
            "apiVersion": API_VERSION,
            "kind": "VariantAutoscaling",
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        })),
    }
}

/// Bounds of a scaler, with its kind's own where it says none.
fn bounds(scaler: &Value) -> (Value, Option<Value>) {
    let (min, max, absent) = match kind(scaler) {
        "ScaledObject" => ("minReplicaCount", "maxReplicaCount", (0, Some(100.into()))),
        _ => ("minReplicas", "maxReplicas", (1, None)),
    };
    let read = |key: &str| {
        let count = scaler.pointer(&format!("/spec/{key}"));
        count.filter(|count| count.is_u64()).cloned()
    };
    (
        read(min).unwrap_or_else(|| absent.0.into()),
        read(max).or(absent.1),
    )
}
