//! Prometheus' JSON to samples. Bytes of anyone: nothing here may panic.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::answer::{Answer, Labels, QueryError, Sample};
use crate::names::{Quantity, Source};

#[derive(Deserialize)]
struct Envelope<'a> {
    status: String,
    #[serde(borrow)]
    data: Option<Data<'a>>,
    #[serde(rename = "errorType", default)]
    error_type: String,
    #[serde(default)]
    error: String,
    warnings: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(rename = "resultType")]
    kind: String,
    #[serde(borrow)]
    result: Vec<Series<'a>>,
}

#[derive(Deserialize)]
struct Series<'a> {
    #[serde(borrow)]
    metric: Metric<'a>,
    #[serde(borrow)]
    value: (f64, Cow<'a, str>),
}

/// A text that is in the answer as it is, or else was freed of its escapes.
#[derive(Clone, Default, PartialEq, Eq, Hash, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A series' labels, without those that the query gave it.
#[derive(Default)]
struct Metric<'a> {
    quantity: Option<Quantity>,
    source: Option<Source>,
    labels: Labels<Text<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Metric<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Labelled)
    }
}

struct Labelled;

impl<'de> Visitor<'de> for Labelled {
    type Value = Metric<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of labels")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Metric<'de>, M::Error> {
        let mut metric = Metric::default();
        while let Some(Text(name)) = map.next_key()? {
            if name == "quantity" {
                metric.quantity = Some(map.next_value()?);
            } else if name == "source" {
                metric.source = Some(map.next_value()?);
            } else if let Some(label) = metric.labels.get_mut(&name) {
                *label = map.next_value()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(metric)
    }
}

/// As much as answers of every type have in common.
#[derive(Deserialize)]
struct Outline {
    data: OutlineData,
}

#[derive(Deserialize)]
struct OutlineData {
    #[serde(rename = "resultType")]
    kind: String,
    #[serde(rename = "result")]
    _result: IgnoredAny,
}

/// Reads the answer to an instant query; `None` where it is no JSON at all.
pub(crate) fn answer(body: &[u8]) -> Option<Result<Answer, QueryError>> {
    match serde_json::from_slice(body) {
        Ok(envelope) => Some(opened(envelope)),
        Err(error) if error.is_data() => Some(Err(unfit(body, &error))),
        Err(_) => None,
    }
}

fn opened(envelope: Envelope<'_>) -> Result<Answer, QueryError> {
    if envelope.status != "success" {
        return Err(QueryError::Refused {
            kind: envelope.error_type,
            message: envelope.error,
        });
    }
    let Some(data) = envelope.data else {
        return Err(QueryError::Malformed {
            detail: "it has no `data`".to_owned(),
        });
    };
    if data.kind != "vector" {
        return Err(QueryError::WrongType { found: data.kind });
    }
    let mut answer = Answer {
        samples: Vec::with_capacity(data.result.len()),
        labels: Vec::new(),
        warnings: envelope.warnings.unwrap_or_default(),
    };
    let mut known = HashMap::new();
    for series in data.result {
        let metric = series.metric;
        let labels = *known.entry(metric.labels).or_insert_with_key(|labels| {
            answer.labels.push(labels.map(|text| (*text.0).into()));
            answer.labels.len() - 1
        });
        let (evaluated_at, written) = series.value;
        answer.samples.push(Sample {
            quantity: metric.quantity.ok_or_else(|| QueryError::Malformed {
                detail: "a series lacks the label `quantity` that the query gives it".to_owned(),
            })?,
            source: metric.source,
            labels,
            value: written.parse().map_err(|_| QueryError::Malformed {
                detail: format!("`{written}` is no number"),
            })?,
            evaluated_at,
        });
    }
    Ok(answer)
}

fn unfit(body: &[u8], error: &serde_json::Error) -> QueryError {
    match serde_json::from_slice::<Outline>(body) {
        Ok(outline) if outline.data.kind != "vector" => QueryError::WrongType {
            found: outline.data.kind,
        },
        Ok(_) | Err(_) => malformed(error),
    }
}

fn malformed(error: &serde_json::Error) -> QueryError {
    QueryError::Malformed {
        detail: error.to_string(),
    }
}
