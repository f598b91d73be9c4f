//! ScaledObjects: the same with another trigger.

use serde_json::{Value, json};

use super::object::{list, plain, rewritten, spec, text};
use super::scaler::Replacement;
use super::signal::{self, threshold};

/// Whether anything that it scales by is ours.
pub(super) fn is_replaced(object: &Value) -> bool {
    list(object, "/spec/triggers").iter().any(is_ours)
}

/// The ScaledObject with what it scales by replaced.
pub(super) fn replace(object: &Value, variant: &str, address: &str) -> Replacement {
    let (ours, others): (Vec<&Value>, Vec<&Value>) = list(object, "/spec/triggers")
        .iter()
        .partition(|of| is_ours(of));
    let mut lost: Vec<String> = ours.iter().flat_map(|of| told(of)).collect();
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
    Replacement {
        object: rewritten(object, "keda.sh/v1alpha1", spec),
        lost,
        comments,
    }
}

/// Whether a trigger looks at a model server or its picker, or at its load in place of it.
fn is_ours(trigger: &Value) -> bool {
    let of_load = matches!(text(trigger, "/type"), Some("cpu" | "memory"));
    of_load || signal::is_of_server(trigger)
}

/// All that is lost with a trigger.
fn told(trigger: &Value) -> Vec<String> {
    let kind = text(trigger, "/type").unwrap_or_default();
    let signal = match signal::series(trigger) {
        Some(series) => format!("trigger {kind} on {}", one_line(series)),
        None => format!("trigger {kind}"),
    };
    let mut at = ["threshold", "targetValue", "value"].iter();
    let at = at.find_map(|key| text(trigger, &format!("/metadata/{key}")));
    let mut lost = vec![threshold(&signal, at.unwrap_or("its target"))];
    let metadata = trigger.get("metadata").and_then(Value::as_object);
    for (key, value) in metadata.into_iter().flatten() {
        if key.starts_with("activation") {
            lost.push(format!(
                "{signal}: {key} {}: Trimtab tells KEDA when the workload is to run; there is no \
                 threshold for that",
                plain(value)
            ));
        }
    }
    if let Some(named) = text(trigger, "/authenticationRef/name") {
        lost.push(format!(
            "{signal}: authenticationRef {named}: it was for what that trigger asked; where KEDA is \
             to show Trimtab a certificate, give the new trigger one of its own"
        ));
    }
    lost
}

fn one_line(query: &str) -> String {
    query.split_whitespace().collect::<Vec<_>>().join(" ")
}
