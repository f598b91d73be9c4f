//! ScaledObjects: the same with another trigger.

use serde_json::{Value, json};

use super::object::{list, rewritten, spec, text};
use super::plan::{Replacement, threshold};

/// How names of series of model servers and endpoint pickers begin, old and new.
const SERIES: [&str; 6] = [
    "vllm:",
    "sglang:",
    "inference_",
    "llm_d_",
    "inference_pool_",
    "trtllm_",
];

/// The ScaledObject with what it scales by replaced; `None` where nothing of that is ours.
pub(super) fn replace(object: &Value, variant: &str, address: &str) -> Option<Replacement> {
    let (ours, others): (Vec<&Value>, Vec<&Value>) = list(object, "/spec/triggers")
        .iter()
        .partition(|of| is_ours(of));
    if ours.is_empty() {
        return None;
    }
    let mut lost: Vec<String> = ours.iter().map(|of| told(of)).collect();
    let mut spec = spec(object);
    if let Some(advanced) = spec.get_mut("advanced").and_then(Value::as_object_mut) {
        if advanced.remove("scalingModifiers").is_some() {
            lost.push(
                "advanced.scalingModifiers: a formula over triggers that are no longer there; where \
                 this object was not made by kubectl apply, that leaves it in place: use kubectl \
                 replace"
                    .to_owned(),
            );
        }
        if advanced.is_empty() {
            spec.remove("advanced");
        }
    }
    let push = json!({
        "type": "external-push",
        "metadata": {"scalerAddress": address, "variantName": variant},
    });
    // First: KEDA numbers metrics by their triggers.
    let mut triggers = vec![push];
    triggers.extend(others.iter().map(|of| (*of).clone()));
    spec.insert("triggers".to_owned(), triggers.into());
    let mut comments = vec![
        "Its bounds, fallback, cooldown and behavior are what they were; KEDA asks Trimtab for the \
         count, and is told at once when the workload is to run."
            .to_owned(),
    ];
    if !others.is_empty() {
        let kinds = others.iter().map(|of| text(of, "/type").unwrap_or("?"));
        let kinds: Vec<&str> = kinds.collect();
        comments.push(format!(
            "Triggers of other kinds stay ({}): the highest of what all ask for holds.",
            kinds.join(", ")
        ));
    }
    Some(Replacement {
        object: rewritten(object, "keda.sh/v1alpha1", spec),
        lost,
        comments,
    })
}

/// Whether a trigger looks at a model server or its picker, or at its load in place of it.
fn is_ours(trigger: &Value) -> bool {
    match text(trigger, "/type").unwrap_or_default() {
        "cpu" | "memory" => true,
        "prometheus" => {
            let query = text(trigger, "/metadata/query").unwrap_or_default();
            SERIES.iter().any(|series| query.contains(series))
        }
        _ => false,
    }
}

fn told(trigger: &Value) -> String {
    let kind = text(trigger, "/type").unwrap_or_default();
    let signal = match text(trigger, "/metadata/query") {
        Some(query) => format!("trigger {kind} on {}", one_line(query)),
        None => format!("trigger {kind}"),
    };
    let at = text(trigger, "/metadata/threshold").or_else(|| text(trigger, "/metadata/value"));
    threshold(&signal, at.unwrap_or("its target"))
}

fn one_line(query: &str) -> String {
    query.split_whitespace().collect::<Vec<_>>().join(" ")
}
