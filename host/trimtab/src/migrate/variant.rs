//! VariantAutoscalings: those that are there, and those that make a workload a variant.

use serde_json::{Map, Value, json};

use super::bounds::Bounds;
use super::known::{Known, MANAGED, target, version_of};
use super::object::{annotation, name, rewritten, said_namespace, spec, text, title};
use super::plan::{Body, Document, Fate, Plan};
use super::rules::Rules;

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

/// One that is there stays, unless its schema is older than the last one, or it breaks our rules.
pub(super) fn plan(object: &Value, (known, rules): (&Known, &Rules), plan: &mut Plan) {
    let of = title(object);
    let written = spec(object);
    let target = target(object);
    let mut spec = written.clone();
    spec.retain(|key, _| FIELDS.contains(&key.as_str()));
    spec.entry("scaleTargetRef").or_insert_with(
        || json!({"apiVersion": "apps/v1", "kind": target.kind, "name": target.name}),
    );
    if let Some(cost) = spec.get("variantCost").filter(|cost| cost.is_number()) {
        let cost = cost.to_string();
        spec.insert("variantCost".to_owned(), cost.into());
    }
    if !spec.contains_key("modelID") {
        let Some(model) = known.model(&target) else {
            let why = "neither spec.modelID nor the command line of its workload names a model: \
                       set it, and try again";
            return plan.row(of, Fate::NoEqual, why);
        };
        spec.insert("modelID".to_owned(), model.into());
    }
    let mut faults = rules.broken(&spec);
    if name(object).is_empty() {
        faults.push("metadata.name is missing".to_owned());
    }
    if !faults.is_empty() {
        for fault in faults {
            let why = format!("{fault}: the API server refuses that; correct it, and try again");
            plan.row(&of, Fate::NoEqual, why);
        }
        return;
    }
    if spec == written {
        return plan.row(of, Fate::Stays, "WVA's schema is read as it is");
    }
    plan.row(
        &of,
        Fate::Replaced,
        "its schema is older than WVA's last one",
    );
    for key in written.keys().filter(|key| !spec.contains_key(*key)) {
        let why = format!("spec.{key}: {}", instead_of(key));
        plan.row(&of, Fate::NoEqual, why);
    }
    plan.documents.push(Document {
        comments: vec![format!(
            "From {of}, whose schema is older: it scales {}.",
            target.name
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
pub(super) fn made_for(scaler: &Value, model: &str, (named, bounds): (&str, Bounds)) -> Document {
    let target = target(scaler);
    let version = text(scaler, "/spec/scaleTargetRef/apiVersion");
    let version = version.filter(|said| !said.is_empty());
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), named.into());
    // Where none is said, both are applied in the same one.
    metadata.extend(said_namespace(scaler).map(|of| ("namespace".to_owned(), of.into())));
    let mut comments = vec![
        format!(
            "Makes {} {}/{} a variant, within the bounds of {}.",
            target.kind,
            target.namespace,
            target.name,
            title(scaler)
        ),
        format!(
            "variantCost is of one replica for an hour: {COST} is what is taken where nothing is \
             said. What counts is how variants of one model compare."
        ),
    ];
    if named != target.name {
        comments.push(format!(
            "It is named after its workload and that one's kind, for {} is the name of another \
             variant.",
            target.name
        ));
    } else if name(scaler) != named {
        comments.push("It is named after the workload, as the variant is.".to_owned());
    }
    if let Some(idle) = bounds.idle {
        comments.push(format!(
            "minReplicas is idleReplicaCount ({idle}), the fewest that may be there; while it is \
             not idle, KEDA keeps {} all the same.",
            bounds.min
        ));
    }
    Document {
        comments,
        body: Body::Object(json!({
            "apiVersion": API_VERSION,
            "kind": "VariantAutoscaling",
            "metadata": metadata,
            "spec": {
                "scaleTargetRef": {
                    "apiVersion": version.unwrap_or(version_of(&target.kind)),
                    "kind": target.kind,
                    "name": target.name,
                },
                "modelID": model,
                "variantCost": COST,
                "minReplicas": bounds.least(),
                "maxReplicas": bounds.max,
            },
        })),
    }
}
