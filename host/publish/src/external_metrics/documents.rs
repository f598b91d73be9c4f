//! The API's documents: discovery, OpenAPI, and the forms of what is answered.

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::desired::METRIC;

const GROUP: &str = "external.metrics.k8s.io";
const GROUP_VERSION: &str = "external.metrics.k8s.io/v1beta1";
const PATH: &str =
    "/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/wva_desired_replicas";
const LIST: &str = "io.k8s.metrics.pkg.apis.external_metrics.v1beta1.ExternalMetricValueList";

pub(super) fn groups() -> Value {
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [bare_group()]})
}

pub(super) fn group() -> Value {
    let mut group = bare_group();
    if let Some(fields) = group.as_object_mut() {
        fields.insert("kind".to_owned(), "APIGroup".into());
        fields.insert("apiVersion".to_owned(), "v1".into());
    }
    group
}

fn bare_group() -> Value {
    let version = json!({"groupVersion": GROUP_VERSION, "version": "v1beta1"});
    json!({"name": GROUP, "versions": [version], "preferredVersion": version})
}

pub(super) fn resources() -> Value {
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": GROUP_VERSION,
        "resources": [{
            "name": METRIC,
            "singularName": "",
            "namespaced": true,
            "kind": "ExternalMetricValueList",
            "verbs": ["get"],
        }],
    })
}

/// A list of values.
pub(super) fn list(items: impl Serialize) -> impl Serialize {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct List<I> {
        kind: &'static str,
        api_version: &'static str,
        metadata: Value,
        items: I,
    }
    List {
        kind: "ExternalMetricValueList",
        api_version: GROUP_VERSION,
        metadata: json!({}),
        items,
    }
}

/// Kubernetes' word on why a request failed.
pub(super) fn failure(code: StatusCode, message: &str) -> Value {
    let reason = match code {
        StatusCode::BAD_REQUEST => "BadRequest",
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
        StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
        _ => "InternalError",
    };
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code.as_u16(),
    })
}

/// RFC 3339, of milliseconds since the Unix epoch.
pub(super) fn timestamp(at_ms: u64) -> String {
    let at = i64::try_from(at_ms / 1000).ok();
    let at = at.and_then(|at| Timestamp::from_second(at).ok());
    at.unwrap_or_default().to_string()
}

fn schema() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        "description": "Values of an external metric",
        "type": "object",
        "required": ["items"],
        "properties": {
            "kind": text("ExternalMetricValueList"),
            "apiVersion": text(GROUP_VERSION),
            "metadata": {"type": "object"},
            "items": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["metricName", "metricLabels", "timestamp", "value"],
                    "properties": {
                        "metricName": text("Name of the metric"),
                        "metricLabels": {
                            "type": "object",
                            "additionalProperties": {"type": "string"},
                        },
                        "timestamp": {
                            "type": "string",
                            "format": "date-time",
                            "description": "When it was decided",
                        },
                        "window": {"type": "integer", "format": "int64"},
                        "value": text("A quantity: replicas"),
                    },
                },
            },
        },
        "x-kubernetes-group-version-kind": [{
            "group": GROUP, "version": "v1beta1", "kind": "ExternalMetricValueList",
        }],
    })
}

fn info() -> Value {
    json!({"title": "Trimtab", "version": env!("CARGO_PKG_VERSION")})
}

fn operation(parameters: Value, answer: Value) -> Value {
    json!({
        "get": {
            "description": "Replicas that variants should have",
            "operationId": "readExternalMetricsV1beta1WvaDesiredReplicas",
            "tags": ["externalMetrics_v1beta1"],
            "parameters": parameters,
            "responses": {"200": answer},
        },
    })
}

pub(super) fn openapi_v2() -> Value {
    let parameters = json!([
        {"name": "namespace", "in": "path", "required": true, "type": "string"},
        {"name": "labelSelector", "in": "query", "type": "string"},
    ]);
    let list = json!({"$ref": format!("#/definitions/{LIST}")});
    let answer = json!({"description": "OK", "schema": list});
    json!({
        "swagger": "2.0",
        "info": info(),
        "paths": {PATH: operation(parameters, answer)},
        "definitions": {LIST: schema()},
    })
}

pub(super) fn openapi_v3_index() -> Value {
    let path = format!("apis/{GROUP_VERSION}");
    let version = env!("CARGO_PKG_VERSION");
    let url = format!("/openapi/v3/{path}?hash={version}");
    json!({"paths": {path: {"serverRelativeURL": url}}})
}

pub(super) fn openapi_v3() -> Value {
    let text = json!({"type": "string"});
    let parameters = json!([
        {"name": "namespace", "in": "path", "required": true, "schema": text},
        {"name": "labelSelector", "in": "query", "schema": text},
    ]);
    let list = json!({"$ref": format!("#/components/schemas/{LIST}")});
    let answer = json!({
        "description": "OK", "content": {"application/json": {"schema": list}},
    });
    json!({
        "openapi": "3.0.0",
        "info": info(),
        "paths": {PATH: operation(parameters, answer)},
        "components": {"schemas": {LIST: schema()}},
    })
}
