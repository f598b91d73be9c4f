//! HPAs: the same with another metric.

use serde_json::{Value, json};

use super::object::{list, namespace, rewritten, spec, text};
use super::plan::{METRIC, Replacement, threshold};

/// The HPA with what it scales by replaced by what is asked for of a variant.
pub(super) fn replace(object: &Value, variant: &str) -> Replacement {
    let mut lost: Vec<String> = list(object, "/spec/metrics").iter().map(told).collect();
    let mut spec = spec(object);
    // Of autoscaling/v1.
    if let Some(share) = spec.remove("targetCPUUtilizationPercentage") {
        lost.push(threshold("cpu", &format!("{share} %")));
    }
    let labels = json!({"variant_name": variant, "exported_namespace": namespace(object)});
    let metric = json!({
        "type": "External",
        "external": {
            "metric": {"name": METRIC, "selector": {"matchLabels": labels}},
            "target": {"type": "AverageValue", "averageValue": "1"},
        },
    });
    spec.insert("metrics".to_owned(), json!([metric]));
    let mut comments = vec![
        "Its bounds and behavior are what they were; the value is the count that all replicas \
         together should have."
            .to_owned(),
    ];
    if tolerates(object) {
        comments.push(
            "From 10 replicas on, the HPA controller's tolerance of a tenth leaves one more or less \
             alone: where the cluster has the field, set behavior.scaleUp.tolerance and \
             behavior.scaleDown.tolerance to 0."
                .to_owned(),
        );
    }
    Replacement {
        object: rewritten(object, "autoscaling/v2", spec),
        lost,
        comments,
    }
}

/// Whether it may reach a count of which one is swallowed.
fn tolerates(object: &Value) -> bool {
    /// One in ten is just within a tolerance of a tenth.
    const SWALLOWS: u64 = 10;
    let max = object.pointer("/spec/maxReplicas").and_then(Value::as_u64);
    let says = object.pointer("/spec/behavior/scaleUp/tolerance").is_some();
    !says && max.is_none_or(|max| max > SWALLOWS)
}

/// A metric and its threshold, in the words of its type.
fn told(metric: &Value) -> String {
    let kind = text(metric, "/type").unwrap_or("Resource");
    let mut key = kind.to_owned();
    if let Some(first) = key.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    let name = text(metric, &format!("/{key}/metric/name"))
        .or_else(|| text(metric, &format!("/{key}/name")))
        .unwrap_or("a metric");
    let target = |field: &str| metric.pointer(&format!("/{key}/target/{field}"));
    let written = ["averageValue", "value"].iter().find_map(|field| {
        let value = target(field)?;
        Some(
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned),
        )
    });
    let share = || target("averageUtilization").map(|share| format!("{share} %"));
    let at = written
        .or_else(share)
        .unwrap_or_else(|| "its target".to_owned());
    threshold(&format!("{kind} metric {name}"), &at)
}
