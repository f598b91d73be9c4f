//! Prometheus' JSON to samples. Bytes of anyone: nothing here may panic.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::answer::{Answer, Labels, QueryError, Sample};

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
    metric: Labels,
    #[serde(borrow)]
    value: (f64, Cow<'a, str>),
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
    let samples: Result<Vec<Sample>, QueryError> = data.result.into_iter().map(sample).collect();
    Ok(Answer {
        samples: samples?,
        warnings: envelope.warnings.unwrap_or_default(),
    })
}

fn sample(series: Series<'_>) -> Result<Sample, QueryError> {
    let (evaluated_at, written) = series.value;
    let value = written.parse().map_err(|_| QueryError::Malformed {
        detail: format!("`{written}` is no number"),
    })?;
    let Some(quantity) = series.metric.quantity else {
        return Err(QueryError::Malformed {
            detail: "a series lacks the label `quantity` that the query gives it".to_owned(),
        });
    };
    Ok(Sample {
        quantity,
        labels: series.metric,
        value,
        evaluated_at,
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
