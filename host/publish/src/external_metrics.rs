//! `external.metrics.k8s.io/v1beta1`: what an HPA reads without an adapter in between.
//!
//! An API server of the aggregation layer: the kube-apiserver passes requests on, with its own client
//! certificate and the name of whoever asks in headers.

mod access;
mod documents;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

pub use self::access::{Access, Asked, FrontProxy, Reviewer, User};
use crate::desired::{Count, Desired, METRIC, Word};
use crate::tls::Peer;

/// What requests are answered from.
#[derive(Clone)]
struct Server {
    desired: Arc<Desired>,
    access: Arc<Access>,
    /// A label of each value, where the configuration sets one.
    instance: Option<String>,
}

/// The routes, for a listener that knows the client's certificate.
pub fn routes(desired: Arc<Desired>, access: Arc<Access>, instance: Option<&str>) -> Router {
    let server = Server {
        desired,
        access,
        instance: instance.map(str::to_owned),
    };
    let guard = middleware::from_fn_with_state(server.clone(), guarded);
    Router::new()
        .route("/apis", get(Json(documents::groups())))
        .route(
            "/apis/external.metrics.k8s.io",
            get(Json(documents::group())),
        )
        .route(
            "/apis/external.metrics.k8s.io/v1beta1",
            get(Json(documents::resources())),
        )
        .route(
            "/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{metric}",
            get(values),
        )
        .route("/openapi/v2", get(Json(documents::openapi_v2())))
        .route("/openapi/v3", get(Json(documents::openapi_v3_index())))
        .route(
            "/openapi/v3/apis/external.metrics.k8s.io/v1beta1",
            get(Json(documents::openapi_v3())),
        )
        .fallback(async || failure(StatusCode::NOT_FOUND, "the server has no such path"))
        .method_not_allowed_fallback(async || {
            failure(StatusCode::METHOD_NOT_ALLOWED, "values can only be read")
        })
        .layer(guard)
        .with_state(server)
}

/// An answer for whoever may ask.
async fn guarded(
    State(server): State<Server>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let asked = Asked::of(request.method(), request.uri().path());
    match server.access.check(&peer, request.headers(), &asked).await {
        Ok(()) => next.run(request).await,
        Err(refused) => {
            let (status, message) = refused.told();
            failure(status, &message)
        }
    }
}

#[derive(Deserialize)]
struct Parameters {
    #[serde(default, rename = "labelSelector")]
    label_selector: String,
}

/// One value, as Kubernetes has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Value {
    metric_name: &'static str,
    metric_labels: BTreeMap<&'static str, String>,
    /// When its cycle began.
    timestamp: String,
    value: String,
}

/// Values of the variants of one namespace. Where there is none, an error says why: an HPA shows it,
/// and holds.
async fn values(
    State(server): State<Server>,
    Path((namespace, metric)): Path<(String, String)>,
    Query(parameters): Query<Parameters>,
) -> Response {
    if metric != METRIC {
        let message = format!("`{metric}` is not served here; there is `{METRIC}`");
        return failure(StatusCode::NOT_FOUND, &message);
    }
    let selector = parameters.label_selector.as_str();
    let word = match server.desired.now() {
        Ok(word) => word,
        // Who comes again is to find whoever leads then.
        Err(why) => {
            let answer = failure(StatusCode::SERVICE_UNAVAILABLE, &why.to_string());
            return ([("connection", "close")], answer).into_response();
        }
    };
    match server.select(&word, &namespace, selector) {
        Ok(items) => Json(documents::list(items)).into_response(),
        Err((status, message)) => failure(status, &message),
    }
}

impl Server {
    fn select(
        &self,
        word: &Word,
        namespace: &str,
        selector: &str,
    ) -> Result<Vec<Value>, (StatusCode, String)> {
        let variants = word.variants.iter();
        let here = variants.filter(|((of, _), _)| of == namespace);
        let mut values = Vec::new();
        let mut kept = Vec::new();
        let mut others = Vec::new();
        for ((_, name), count) in here {
            let labels = self.labels(namespace, name, count);
            let selected = self.access.selects(selector, &labels);
            match selected.map_err(|why| (StatusCode::BAD_REQUEST, why))? {
                false => others.push(name.as_str()),
                true => match count.desired {
                    Some(desired) => values.push(value(word, labels, desired)),
                    None => kept.push(name.as_str()),
                },
            }
        }
        if !values.is_empty() {
            return Ok(values);
        }
        let why = if !kept.is_empty() {
            let kept = kept.join("`, `");
            format!("`{kept}` of namespace `{namespace}` is kept to itself by its pool's mode")
        } else if others.is_empty() {
            format!("namespace `{namespace}` has no variant")
        } else {
            let others = others.join("`, `");
            format!("namespace `{namespace}` has no variant `{selector}`; it has `{others}`")
        };
        Err((StatusCode::NOT_FOUND, why))
    }

    /// What a selector may ask for: WVA's labels, and that under which a scrape of it keeps the
    /// namespace.
    fn labels(&self, namespace: &str, name: &str, count: &Count) -> BTreeMap<&'static str, String> {
        let mut labels = BTreeMap::from([
            ("variant_name", name.to_owned()),
            ("namespace", namespace.to_owned()),
            ("exported_namespace", namespace.to_owned()),
            ("accelerator_type", count.accelerator.clone()),
        ]);
        if let Some(instance) = &self.instance {
            labels.insert("controller_instance", instance.clone());
        }
        labels
    }
}

fn value(word: &Word, metric_labels: BTreeMap<&'static str, String>, desired: u32) -> Value {
    Value {
        metric_name: METRIC,
        metric_labels,
        timestamp: documents::timestamp(word.at_ms),
        value: desired.to_string(),
    }
}

/// An error as the API server tells it.
fn failure(status: StatusCode, message: &str) -> Response {
    (status, Json(documents::failure(status, message))).into_response()
}
