//! Which metric of which engine or endpoint picker means what: the one table that the queries and
//! the documentation are made from.

mod document;
mod engines;
mod pickers;

use serde::Deserialize;

pub use document::markdown;

/// What is measured. Spelled in snake case it is the label `quantity` of every sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    ReportedAt,
    KvUsage,
    Waiting,
    Running,
    KvBlocks,
    KvTokens,
    InputTokens,
    OutputTokens,
    CountedRequests,
    PrefixHits,
    PrefixQueries,
    Finished,
    WaitingGrowth,
    RunningGrowth,
    TtftSum,
    TtftCount,
    ItlSum,
    ItlCount,
    TtftBucket,
    RequestItlBucket,
    TokenItlBucket,
    Arrivals,
    InFlight,
    EnginesRunning,
    QueuedRequests,
    QueuedBytes,
    Saturation,
    ReadyEndpoints,
    PickerTtftSum,
    PickerTtftCount,
    PickerTtftBucket,
    PickerItlBucket,
}

impl Quantity {
    /// How many there are.
    pub const COUNT: usize = Self::PickerItlBucket as usize + 1;

    /// As the label `quantity` spells it, and for messages.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::ReportedAt => "reported_at",
            Self::KvUsage => "kv_usage",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::KvBlocks => "kv_blocks",
            Self::KvTokens => "kv_tokens",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::CountedRequests => "counted_requests",
            Self::PrefixHits => "prefix_hits",
            Self::PrefixQueries => "prefix_queries",
            Self::Finished => "finished",
            Self::WaitingGrowth => "waiting_growth",
            Self::RunningGrowth => "running_growth",
            Self::TtftSum => "ttft_sum",
            Self::TtftCount => "ttft_count",
            Self::ItlSum => "itl_sum",
            Self::ItlCount => "itl_count",
            Self::TtftBucket => "ttft_bucket",
            Self::RequestItlBucket => "request_itl_bucket",
            Self::TokenItlBucket => "token_itl_bucket",
            Self::Arrivals => "arrivals",
            Self::InFlight => "in_flight",
            Self::EnginesRunning => "engines_running",
            Self::QueuedRequests => "queued_requests",
            Self::QueuedBytes => "queued_bytes",
            Self::Saturation => "saturation",
            Self::ReadyEndpoints => "ready_endpoints",
            Self::PickerTtftSum => "picker_ttft_sum",
            Self::PickerTtftCount => "picker_ttft_count",
            Self::PickerTtftBucket => "picker_ttft_bucket",
            Self::PickerItlBucket => "picker_itl_bucket",
        }
    }
}

/// One query: the quantities that are asked for together, and are lost together when it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    Instances,
    Load,
    Capacity,
    Tokens,
    Prefix,
    Throughput,
    Latency,
    TtftBuckets,
    ItlBuckets,
    PickerRequests,
    PickerQueue,
    PickerLatency,
    PickerInFlight,
}

impl Topic {
    pub const ALL: [Self; 13] = [
        Self::Instances,
        Self::Load,
        Self::Capacity,
        Self::Tokens,
        Self::Prefix,
        Self::Throughput,
        Self::Latency,
        Self::TtftBuckets,
        Self::ItlBuckets,
        Self::PickerRequests,
        Self::PickerQueue,
        Self::PickerLatency,
        Self::PickerInFlight,
    ];

    /// For messages and for the label of a metric.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Instances => "instances",
            Self::Load => "load",
            Self::Capacity => "capacity",
            Self::Tokens => "tokens",
            Self::Prefix => "prefix",
            Self::Throughput => "throughput",
            Self::Latency => "latency",
            Self::TtftBuckets => "ttft-buckets",
            Self::ItlBuckets => "itl-buckets",
            Self::PickerRequests => "picker-requests",
            Self::PickerQueue => "picker-queue",
            Self::PickerLatency => "picker-latency",
            Self::PickerInFlight => "picker-in-flight",
        }
    }
}

/// Who exports a metric. Of several spellings of one picker's metric the first here counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// vLLM, and llm-d's simulator, which has its names.
    Vllm,
    Sglang,
    LlmDEpp,
    InferenceExtension,
    InferenceObjective,
    InferencePool,
    InferenceModel,
}

impl Source {
    /// As the label `source` spells it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Vllm => "vllm",
            Self::Sglang => "sglang",
            Self::LlmDEpp => "llm_d_epp",
            Self::InferenceExtension => "inference_extension",
            Self::InferenceObjective => "inference_objective",
            Self::InferencePool => "inference_pool",
            Self::InferenceModel => "inference_model",
        }
    }
}

/// How a metric is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The instant of its last sample.
    Timestamp,
    /// The largest over the short window.
    Largest,
    /// The last over the long window.
    Last,
    /// The last over the short window, added up over priorities and the like.
    LastSum,
    /// The value is in the labels.
    Information,
    /// The mean over the short window.
    Mean,
    /// Growth per second over the short window.
    RateShort,
    /// Growth per second over the long window.
    RateLong,
    /// Change of a gauge per second over the short window.
    Growth,
    /// Growth of a histogram's buckets per second over the short window.
    Buckets,
}

/// Whose series are told apart in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Every engine instance; of several names that one instance exports the first counts.
    Instance,
    /// All instances of a model in a namespace, by kind of engine.
    Model,
    /// Every picker pod, by spelling.
    Picker,
}

/// One metric, with label matchers where it needs some.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    pub source: Source,
    pub metric: &'static str,
}

/// One quantity and the metrics that mean it, the preferred one first.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub quantity: Quantity,
    pub topic: Topic,
    pub reading: Reading,
    pub detail: Detail,
    /// What it is, with its unit.
    pub meaning: &'static str,
    pub names: &'static [Name],
}

/// The table.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    engines::ROWS.iter().chain(pickers::ROWS)
}

/// The metrics that mean a quantity.
pub fn names_of(quantity: Quantity) -> impl Iterator<Item = &'static str> {
    let row = rows().find(move |row| row.quantity == quantity);
    row.into_iter()
        .flat_map(|row| row.names)
        .map(|name| name.metric)
}

const fn vllm(metric: &'static str) -> Name {
    Name {
        source: Source::Vllm,
        metric,
    }
}

const fn sglang(metric: &'static str) -> Name {
    Name {
        source: Source::Sglang,
        metric,
    }
}

const fn picker(source: Source, metric: &'static str) -> Name {
    Name { source, metric }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_quantity_has_one_row() {
        let quantities: BTreeSet<Quantity> = rows().map(|row| row.quantity).collect();
        assert_eq!(quantities.len(), Quantity::COUNT);
        assert_eq!(rows().count(), Quantity::COUNT);
    }

    #[test]
    fn every_topic_has_a_quantity() {
        for topic in Topic::ALL {
            assert!(rows().any(|row| row.topic == topic), "{}", topic.name());
        }
    }

    #[test]
    fn labels_of_quantities_are_as_they_are_parsed() {
        for row in rows() {
            let parsed: Quantity =
                serde_json::from_value(serde_json::json!(row.quantity.label())).unwrap();
            assert_eq!(parsed, row.quantity);
        }
    }

    #[test]
    fn labels_of_sources_are_as_they_are_parsed() {
        for name in rows().flat_map(|row| row.names) {
            let parsed: Source =
                serde_json::from_value(serde_json::json!(name.source.label())).unwrap();
            assert_eq!(parsed, name.source);
        }
    }
}
