//! HPAs: the same with another metric.

use serde_json::{Value, json};
use trimtab_cluster::view::METRIC;

use super::bounds::Bounds;
use super::object::{list, namespace, plain, rewritten, said_namespace, spec, text};
use super::scaler::Replacement;
use super::signal::{source, threshold};

/// The HPA with what it scales by replaced by what is asked for of a variant.
pub(super) fn replace(object: &Value, variant: &str, bounds: Bounds) -> Replacement {
    let lost: Vec<String> = list(object, "/spec/metrics").iter().map(told).collect();
    let mut spec = spec(object);
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
    if tolerates(object, bounds.max) {
        comments.push(
            "From 10 replicas on, the HPA controller's tolerance of a tenth leaves one more or less \
             alone: where the cluster has the field, set behavior.scaleUp.tolerance and \
             behavior.scaleDown.tolerance to 0."
                .to_owned(),
        );
    }
    if said_namespace(object).is_none() {
        comments.push(
            "It names no namespace, and its selector takes it to be default: where it is applied \
             in another one, write that in exported_namespace."
                .to_owned(),
        );
    }
    Replacement {
        object: rewritten(object, "autoscaling/v2", spec),
        lost,
        comments,
    }
}

/// Whether it may reach a count of which one is swallowed, up or down.
fn tolerates(object: &Value, max: u64) -> bool {
    /// Of 10 replicas, 9 are within a tenth, which is the tolerance where nothing is said.
    const SWALLOWS: u64 = 10;
    let says = |direction: &str| {
        let tolerance = object.pointer(&format!("/spec/behavior/{direction}/tolerance"));
        tolerance.is_some()
    };
    max >= SWALLOWS && !(says("scaleUp") && says("scaleDown"))
}

/// A metric and its threshold, in the words of its type.
fn told(metric: &Value) -> String {
    let kind = text(metric, "/type").unwrap_or("Resource");
    let key = source(metric);
    let name = text(metric, &format!("/{key}/metric/name"))
        .or_else(|| text(metric, &format!("/{key}/name")))
        .unwrap_or("a metric");
    let target = |field: &str| metric.pointer(&format!("/{key}/target/{field}"));
    let written = target("averageValue")
        .or_else(|| target("value"))
        .map(plain);
    let share = || target("averageUtilization").map(|share| format!("{share} %"));
    let at = written
        .or_else(share)
        .unwrap_or_else(|| "its target".to_owned());
    threshold(&format!("{kind} metric {name}"), &at)
}
