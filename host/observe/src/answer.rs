//! What Prometheus answered in a tick: samples by query, or why there are none.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::names::{Quantity, Source, Topic};

/// All answers of a tick. A query that fails takes no other with it.
#[derive(Debug, Default)]
pub struct Answers {
    pub by_topic: BTreeMap<Topic, Result<Arc<Answer>, QueryError>>,
    /// One entry for each query that was asked, in the order of [`Topic::ALL`].
    pub stats: Vec<QueryStats>,
}

/// One query's samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    pub samples: Vec<Sample>,
    /// Each set of labels once: what an instance reports comes under one and the same.
    pub labels: Vec<Labels>,
    /// What Prometheus, or what stands before it, says of the answer, e.g. that it is partial.
    pub warnings: Vec<String>,
    /// Instant at which Prometheus evaluated the query, in seconds since the Unix epoch; `None`
    /// without a sample.
    pub evaluated_at: Option<f64>,
}

/// One series at the instant of the query.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub quantity: Quantity,
    pub source: Option<Source>,
    /// Position of its labels in [`Answer::labels`].
    pub labels: usize,
    /// Upper bound of a histogram's bucket; `None` for anything else.
    pub bound: Option<f64>,
    /// May be NaN or infinite.
    pub value: f64,
}

/// Declares the labels that are read, and how each is found by its name.
macro_rules! labels {
    ($($name:ident,)*) => {
        /// The labels that are read; empty where a series lacks one, as Prometheus has it.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Labels {
            $(pub $name: Box<str>,)*
        }

        impl Labels {
            pub(crate) fn has(name: &str) -> bool {
                matches!(name, $(stringify!($name))|*)
            }

            pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Box<str>> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)*
                    _ => None,
                }
            }
        }
    };
}

labels! {
    namespace,
    exported_namespace,
    pod,
    exported_pod,
    pod_name,
    instance,
    engine,
    dp_rank,
    model_name,
    target_model_name,
    // Name of the InferencePool, in flow-control metrics.
    inference_pool,
    // Name of the InferencePool, in a picker's gauges of it.
    name,
    kv_cache_size_tokens,
    num_gpu_blocks,
    block_size,
    num_pages,
    page_size,
}

/// What one query cost, for whoever publishes it.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryStats {
    pub topic: Topic,
    /// Seconds from sending the query to the last byte of its answer.
    pub seconds: f64,
    pub samples: usize,
    pub bytes: usize,
    pub warnings: usize,
    /// [`QueryError::reason`] where it failed.
    pub error: Option<&'static str>,
    /// Seconds by which Prometheus' clock was behind ours when it answered; `None` where it
    /// returned no sample.
    pub clock_behind_seconds: Option<f64>,
}

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QueryError {
    #[error("cannot reach {url}: {detail}; is Prometheus up, and is the URL right?")]
    Unreachable { url: String, detail: String },
    #[error(
        "{url} gave no answer within {seconds:.1} s, which is `prometheus.timeoutSeconds`, or two \
         thirds of `tickTimeoutSeconds` where that is less; raise it if that is usual"
    )]
    Timeout { url: String, seconds: f64 },
    #[error(
        "all queries of a tick together took longer than {seconds:.1} s, this one was given up; \
             raise `tickTimeoutSeconds` or lower the load on Prometheus"
    )]
    Deadline { seconds: f64 },
    #[error("the connection to {url} broke: {detail}")]
    Broken { url: String, detail: String },
    #[error("{url} answers with HTTP status {status}: {excerpt}")]
    Status {
        url: String,
        status: u16,
        excerpt: String,
    },
    #[error(
        "{url} answers with HTTP status {status} and sends elsewhere, to `{location}`; \
             redirects are not followed: set the URL that it leads to, or the credentials that it asks for"
    )]
    Redirect {
        url: String,
        status: u16,
        location: String,
    },
    #[error(
        "{url} answers with `{content_type}` instead of JSON: {excerpt}; is it the URL of Prometheus itself?"
    )]
    NotJson {
        url: String,
        content_type: String,
        excerpt: String,
    },
    #[error("Prometheus refuses the query ({kind}): {message}")]
    Refused { kind: String, message: String },
    #[error("Prometheus answers with a `{found}` where a vector was asked for")]
    WrongType { found: String },
    #[error("the answer is not as Prometheus writes it: {detail}")]
    Malformed { detail: String },
    #[error("the answer is longer than {limit} bytes; raise `max-response-bytes`")]
    TooLarge { limit: usize },
    #[error("cannot read the bearer token from {path}: {detail}")]
    Token { path: String, detail: String },
}

impl QueryError {
    /// Closed vocabulary for the label of a metric.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Deadline { .. } => "deadline",
            Self::Broken { .. } => "broken",
            Self::Status { .. } => "status",
            Self::Redirect { .. } => "redirect",
            Self::NotJson { .. } => "not-json",
            Self::Refused { .. } => "refused",
            Self::WrongType { .. } => "wrong-type",
            Self::Malformed { .. } => "malformed",
            Self::TooLarge { .. } => "too-large",
            Self::Token { .. } => "token",
        }
    }
}

impl Answers {
    /// What one query brought; `None` where it failed.
    pub(crate) fn of(&self, topic: Topic) -> Option<&Answer> {
        self.by_topic.get(&topic)?.as_deref().ok()
    }

    /// Samples of one query with their labels; none where it failed.
    pub(crate) fn samples(&self, topic: Topic) -> impl Iterator<Item = (&Sample, &Labels)> {
        let answer = self.of(topic).into_iter();
        answer.flat_map(|answer| {
            let samples = answer.samples.iter();
            samples.filter_map(|sample| Some((sample, answer.labels.get(sample.labels)?)))
        })
    }

    /// Why a query has no answer; `None` where it has one.
    pub(crate) fn failure(&self, topic: Topic) -> Option<String> {
        match self.by_topic.get(&topic) {
            Some(Ok(_)) => None,
            Some(Err(error)) => Some(error.to_string()),
            None => Some("it was not asked for".to_owned()),
        }
    }

    /// Whether something may be missing in what one query brought.
    pub(crate) fn is_partial(&self, topic: Topic) -> bool {
        self.of(topic)
            .is_some_and(|answer| !answer.warnings.is_empty())
    }

    /// What an operator should know of the answers as a whole.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut said = Vec::new();
        for (topic, answer) in &self.by_topic {
            match answer {
                Ok(answer) => said.extend(
                    answer
                        .warnings
                        .iter()
                        .map(|warning| format!("query `{}`: {warning}", topic.name())),
                ),
                Err(error) => said.push(format!("query `{}`: {error}", topic.name())),
            }
        }
        said
    }
}
