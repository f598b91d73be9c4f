//! The questions of a tick as PromQL: one instant query for each topic, whatever the number of
//! pools. No name of a pool, a model or a namespace stands in them.
//!
//! Three rules keep series from being lost or counted twice:
//! - Names that mean the same are joined by `or`, so that an engine which exports old and new
//!   names counts once; a regular expression over names would fail on equal label sets.
//! - What one instance splits (reasons, priorities, streaming) is added up inside the labels of
//!   its scrape, then the largest over scrapes is taken, so a pod that two jobs scrape counts once.
//!   Buckets are added up at once, at half the cost: counted twice, a pod's share of the whole
//!   grows, but no percentile of its own changes.
//! - Data-parallel ranks stay apart, by `engine`, `dp_rank` or the port in `instance`.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::names::{Detail, Name, Reading, Row, Topic, rows};

/// Labels that tell engine instances apart, under all the names that scrapes give them.
const INSTANCE: &str = "namespace, exported_namespace, pod, exported_pod, pod_name, instance, engine, dp_rank, model_name";

/// Labels that tell picker pods apart, and what says which pool a series is of.
const PICKER: &str = "namespace, exported_namespace, pod, exported_pod, pod_name, instance, \
     inference_pool, name, model_name, target_model_name";

/// Labels by which histograms of engines are added up.
const MODEL: &str = "namespace, exported_namespace, model_name, le";

/// Labels from which a KV cache's size is read.
const CACHE: &str = "kv_cache_size_tokens, num_gpu_blocks, block_size, num_pages, page_size";

/// Labels that split what one instance or picker counts.
const PARTS: &str = "finished_reason, finish_reason, is_streaming, streaming, priority, \
     fairness_id, cache_source, error_code";

/// Spans that are looked back over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Windows {
    /// For maxima, rates and latencies, in seconds. At least two scrapes must fall into it.
    pub short_seconds: u32,
    /// For token lengths and prefix hits, in seconds.
    pub long_seconds: u32,
}

impl Default for Windows {
    /// As policies were tuned; the simulator has the same.
    fn default() -> Self {
        Self {
            short_seconds: 60,
            long_seconds: 300,
        }
    }
}

/// One instant query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub topic: Topic,
    pub promql: String,
}

/// The instant queries of a tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queries(Vec<Query>);

impl Queries {
    #[must_use]
    pub fn new(windows: Windows) -> Self {
        let query = |topic| Query {
            topic,
            promql: promql(topic, windows),
        };
        Self(Topic::ALL.map(query).into())
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Query> {
        self.0.iter()
    }
}

fn promql(topic: Topic, windows: Windows) -> String {
    let quantities = rows().filter(|row| row.topic == topic);
    let expressions: Vec<String> = quantities.map(|row| quantity(row, windows)).collect();
    expressions.join("\nor\n")
}

fn quantity(row: &Row, windows: Windows) -> String {
    let name = |name: &Name| {
        let value = expression(row, name.metric, windows);
        match row.detail {
            Detail::Instance => value,
            Detail::Model | Detail::Picker => labelled(&value, "source", name.source.label()),
        }
    };
    let names: Vec<String> = row.names.iter().map(name).collect();
    labelled(&names.join(" or "), "quantity", row.quantity.label())
}

/// One metric, once for each instance, model or picker.
fn expression(row: &Row, metric: &str, windows: Windows) -> String {
    let value = read(row.reading, metric, windows);
    match (row.detail, row.reading) {
        (Detail::Instance, Reading::Information) => information(metric, windows),
        (Detail::Instance, _) => format!("max by ({INSTANCE}) ({value})"),
        (Detail::Model, Reading::Buckets) => format!("sum by ({MODEL}) ({value})"),
        (Detail::Model, _) => format!("sum by ({MODEL}) (max by ({INSTANCE}, le) ({value}))"),
        (Detail::Picker, Reading::Buckets) => format!("sum by ({PICKER}, le) ({value})"),
        (Detail::Picker, _) => format!("max by ({PICKER}) ({value})"),
    }
}

fn read(reading: Reading, metric: &str, windows: Windows) -> String {
    let Windows {
        short_seconds: short,
        long_seconds: long,
    } = windows;
    match reading {
        Reading::Timestamp => format!("timestamp({metric})"),
        Reading::Largest => format!("max_over_time({metric}[{short}s])"),
        Reading::Last => format!("last_over_time({metric}[{long}s])"),
        Reading::LastSum => parts(&format!("last_over_time({metric}[{short}s])")),
        Reading::Information => metric.to_owned(),
        Reading::Mean => parts(&format!("avg_over_time({metric}[{short}s])")),
        Reading::RateShort => parts(&format!("rate({metric}[{short}s])")),
        Reading::Buckets => format!("rate({metric}[{short}s])"),
        Reading::RateLong => parts(&format!("rate({metric}[{long}s])")),
        Reading::Growth => format!("delta({metric}[{short}s]) / {short}"),
    }
}

fn parts(value: &str) -> String {
    format!("sum without ({PARTS}) ({value})")
}

/// What an instance says now; what it said last where its last scrape failed. A restart gives new
/// labels, and the old must not stand beside them.
fn information(metric: &str, windows: Windows) -> String {
    let long = windows.long_seconds;
    format!(
        "(max by ({INSTANCE}, {CACHE}) ({metric}) or \
         (max by ({INSTANCE}, {CACHE}) (last_over_time({metric}[{long}s])) \
         unless on ({INSTANCE}) {metric}))"
    )
}

fn labelled(value: &str, label: &str, text: &str) -> String {
    format!(r#"label_replace({value}, "{label}", "{text}", "", "")"#)
}
