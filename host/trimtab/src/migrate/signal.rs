//! What scalers look at: metrics of HPAs, and triggers of ScaledObjects.

use serde_json::Value;
use trimtab_cluster::view::{METRIC, asks_us};

use super::object::{list, text};

/// Of WVA: what is asked for, over the replicas that there are.
const RATIO: &str = "wva_desired_ratio";

/// How names of series of model servers and endpoint pickers begin, old and new, in Prometheus and
/// in adapters, which take no colon.
const SERIES: [&str; 8] = [
    "vllm:",
    "vllm_",
    "sglang:",
    "sglang_",
    "trtllm:",
    "trtllm_",
    "inference_",
    "llm_d_",
];

/// Whether it reads a model server or its picker.
pub(super) fn is_of_server(signal: &Value) -> bool {
    series(signal).is_some_and(|of| SERIES.iter().any(|series| of.contains(series)))
}

/// The series that a metric or a trigger reads: its name, or what is asked of Prometheus.
pub(super) fn series(signal: &Value) -> Option<&str> {
    // `valueLocation` is of metrics-api, which reads the endpoint itself.
    let of_trigger = || {
        let mut fields = ["query", "valueLocation"].iter();
        fields.find_map(|field| text(signal, &format!("/metadata/{field}")))
    };
    text(signal, &format!("/{}/metric/name", source(signal))).or_else(of_trigger)
}

/// The field in which a metric of an HPA says what it is, by its type.
pub(super) fn source(metric: &Value) -> String {
    let mut source = text(metric, "/type").unwrap_or("Resource").to_owned();
    if let Some(first) = source.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    source
}

/// All that a scaler looks at.
pub(super) fn all(scaler: &Value) -> impl Iterator<Item = &Value> {
    let metrics = list(scaler, "/spec/metrics");
    metrics.iter().chain(list(scaler, "/spec/triggers"))
}

/// Whether a scaler reads what is asked for already, and what is to be known of it then.
pub(super) fn reads_us(scaler: &Value) -> Option<String> {
    let published = |signal: &Value| {
        let series = series(signal)?;
        let mut names = [METRIC, RATIO].into_iter();
        names.find(|name| series.contains(name))
    };
    let (signal, named) = all(scaler)
        .find_map(|signal| Some((signal, published(signal).or_else(|| asks(signal))?)))?;
    let is_metric = signal.get("metadata").is_none();
    let pulled = text(signal, "/type") == Some("prometheus");
    let holds = text(signal, "/metadata/ignoreNullValues") == Some("false");
    Some(if is_metric && named == RATIO {
        format!(
            "it reads {RATIO}, which has the same name and labels; from an adapter that goes on \
             serving it: Trimtab's own API serves {METRIC} alone"
        )
    } else if is_metric {
        format!(
            "it reads {METRIC}, which has the same name and labels; from an adapter too, as long as \
             that serves it"
        )
    } else if pulled && !holds {
        format!(
            "it reads {named}; set ignoreNullValues: \"false\" in that trigger, else a series that \
             is missing is read as 0"
        )
    } else {
        format!("it reads {named}")
    })
}

/// What an external scaler is asked by a trigger that is ours. What it scales may say which variant
/// is meant.
fn asks(signal: &Value) -> Option<&'static str> {
    let kind = text(signal, "/type")?;
    let metadata = signal.get("metadata")?.as_object()?;
    asks_us(kind, metadata.keys()).then_some(METRIC)
}

/// What a row says of a threshold.
pub(super) fn threshold(signal: &str, at: &str) -> String {
    format!(
        "{signal} at {at}: a threshold is no promise; set objective.ttftSeconds and \
         objective.itlSeconds instead"
    )
}
