//! Prometheus' JSON to samples. Bytes of anyone: nothing here may panic.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use foldhash::fast::RandomState;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::answer::{Answer, Labels, QueryError, Sample};
use crate::names::{Quantity, Source};

/// A byte that no UTF-8 has.
const END: u8 = 0xff;

#[derive(Deserialize)]
struct Envelope {
    status: String,
    data: Option<Data>,
    #[serde(rename = "errorType", default)]
    error_type: String,
    #[serde(default)]
    error: String,
    warnings: Option<Vec<String>>,
    /// VictoriaMetrics' word for an answer that some of its stores had no part in.
    #[serde(rename = "isPartial", default)]
    is_partial: bool,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: Series,
}

/// All series of an answer, read one by one.
#[derive(Default)]
struct Series {
    samples: Vec<Sample>,
    labels: Vec<Labels>,
    evaluated_at: Option<f64>,
}

/// A text that is in the answer as it is, or else was freed of its escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Series {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(Listed)
    }
}

struct Listed;

impl<'de> Visitor<'de> for Listed {
    type Value = Series;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of series")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Series, S::Error> {
        let mut reader = Reader::default();
        while list.next_element_seed(&mut reader)?.is_some() {}
        Ok(reader.series)
    }
}

/// Reads series.
#[derive(Default)]
struct Reader<'de> {
    series: Series,
    /// Positions of labels, by [`Metric::key`].
    known: HashMap<Box<[u8]>, usize, RandomState>,
    metric: Metric<'de>,
}

/// What the labels of the series at hand say.
#[derive(Default)]
struct Metric<'de> {
    quantity: Option<Quantity>,
    source: Option<Source>,
    bound: Option<f64>,
    labels: Vec<(Text<'de>, Text<'de>)>,
    /// All of `labels` in one piece, which is quicker to find than many.
    key: Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for &mut Reader<'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Reader<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a series")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let mut is_named = false;
        let mut value: Option<(f64, Text<'de>)> = None;
        while let Some(Text(name)) = map.next_key()? {
            match &*name {
                "metric" => {
                    map.next_value_seed(&mut self.metric)?;
                    is_named = true;
                }
                "value" => value = Some(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if !is_named {
            return Err(M::Error::missing_field("metric"));
        }
        let (evaluated_at, written) = value.ok_or_else(|| M::Error::missing_field("value"))?;
        let lacks = "a series lacks the label `quantity` that the query gives it";
        let sample = Sample {
            quantity: self
                .metric
                .quantity
                .ok_or_else(|| M::Error::custom(lacks))?,
            source: self.metric.source,
            labels: self.labels(),
            bound: self.metric.bound,
            value: written
                .0
                .parse()
                .map_err(|_| M::Error::custom(format!("`{}` is no number", written.0)))?,
        };
        self.series.samples.push(sample);
        self.series.evaluated_at.get_or_insert(evaluated_at);
        Ok(())
    }
}

impl Reader<'_> {
    /// Position of the labels at hand.
    fn labels(&mut self) -> usize {
        if let Some(position) = self.known.get(self.metric.key.as_slice()) {
            return *position;
        }
        let mut labels = Labels::default();
        for (Text(name), Text(value)) in &self.metric.labels {
            if let Some(label) = labels.get_mut(name) {
                *label = value.as_ref().into();
            }
        }
        let position = self.series.labels.len();
        self.series.labels.push(labels);
        let key = self.metric.key.as_slice().into();
        self.known.insert(key, position);
        position
    }
}

impl<'de> DeserializeSeed<'de> for &mut Metric<'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        (self.quantity, self.source, self.bound) = (None, None, None);
        self.labels.clear();
        self.key.clear();
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Metric<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of labels")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(name) = map.next_key::<Text<'de>>()? {
            match &*name.0 {
                "quantity" => self.quantity = Some(map.next_value()?),
                "source" => self.source = Some(map.next_value()?),
                "le" => {
                    let bound = map.next_value::<Text<'de>>()?.0.parse().ok();
                    self.bound = bound.filter(|bound: &f64| !bound.is_nan());
                }
                name if !Labels::has(name) => drop(map.next_value::<IgnoredAny>()?),
                _ => {
                    let value = map.next_value::<Text<'de>>()?;
                    for text in [&name.0, &value.0] {
                        self.key.extend_from_slice(text.as_bytes());
                        self.key.push(END);
                    }
                    self.labels.push((name, value));
                }
            }
        }
        Ok(())
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

fn opened(envelope: Envelope) -> Result<Answer, QueryError> {
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
    let mut warnings = envelope.warnings.unwrap_or_default();
    if envelope.is_partial {
        warnings.push("it is partial: a store did not answer".to_owned());
    }
    Ok(Answer {
        samples: data.result.samples,
        labels: data.result.labels,
        evaluated_at: data.result.evaluated_at,
        warnings,
    })
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
