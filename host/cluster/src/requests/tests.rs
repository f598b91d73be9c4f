//! Requests against a service that answers in memory.

use std::sync::Mutex;

use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kube::api::{Api, ListParams, Patch, PatchParams, WatchParams};
use serde_json::json;

use super::*;

fn told_of(method: Method, uri: &str) -> (&'static str, String) {
    let request = Request::builder().method(method).uri(uri).body(());
    attributes(&request.unwrap())
}

#[test]
fn a_request_has_the_verb_and_the_resource_that_rbac_would_ask_for() {
    let of = [
        (Method::GET, "/api/v1/pods?limit=500", ("list", "pods")),
        (
            Method::GET,
            "/api/v1/pods?watch=true&limit=5",
            ("watch", "pods"),
        ),
        (Method::GET, "/api/v1/nodes/n", ("get", "nodes")),
        (Method::GET, "/api/v1/namespaces/a", ("get", "namespaces")),
        (
            Method::GET,
            "/api/v1/namespaces/a/configmaps?",
            ("list", "configmaps"),
        ),
        (
            Method::POST,
            "/api/v1/namespaces/a/events?",
            ("create", "events"),
        ),
        (
            Method::PUT,
            "/apis/coordination.k8s.io/v1/namespaces/a/leases/trimtab",
            ("update", "leases"),
        ),
        (
            Method::PATCH,
            "/apis/llmd.ai/v1alpha1/namespaces/a/variantautoscalings/v/status?force=true",
            ("patch", "variantautoscalings/status"),
        ),
        (
            Method::GET,
            "/apis/apps/v1/namespaces/a/deployments/d/scale",
            ("get", "deployments/scale"),
        ),
        (
            Method::DELETE,
            "/api/v1/namespaces/a/configmaps/c",
            ("delete", "configmaps"),
        ),
        (
            Method::DELETE,
            "/api/v1/namespaces/a/configmaps?labelSelector=x",
            ("deletecollection", "configmaps"),
        ),
        (Method::GET, "/apis", ("get", "")),
        (Method::GET, "/apis/llmd.ai/v1alpha1", ("get", "")),
        (Method::GET, "/version", ("get", "")),
    ];
    for (method, uri, (verb, resource)) in of {
        let found = told_of(method.clone(), uri);
        assert_eq!(found, (verb, resource.to_owned()), "{method} {uri}");
    }
}

/// A client over a service that answers every request with this, or never, and what it is told.
fn counted(answer: Option<(u16, &'static str)>) -> (Client, Arc<Mutex<Vec<ApiRequest>>>) {
    let requests = Arc::<Mutex<Vec<ApiRequest>>>::default();
    let seen = Arc::clone(&requests);
    let inner = tower::service_fn(move |_: Request<Body>| async move {
        match answer {
            Some((status, body)) => {
                let body = Body::from(body.as_bytes().to_vec());
                let response = Response::builder().status(status).body(body);
                Ok::<_, tower::BoxError>(response.unwrap())
            }
            None => std::future::pending().await,
        }
    });
    let service = Counted {
        inner,
        told: Arc::new(move |request| seen.lock().unwrap().push(request.clone())),
    };
    (Client::new(service, "default"), requests)
}

#[tokio::test]
async fn requests_of_a_client_are_told_of_with_their_code() {
    let (client, requests) = counted(Some((409, r#"{"code": 409, "status": "Failure"}"#)));
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "a");
    let patch = Patch::Merge(json!({"data": {}}));
    assert!(maps.get("c").await.is_err());
    assert!(
        maps.patch("c", &PatchParams::default(), &patch)
            .await
            .is_err()
    );
    let nodes: Api<Node> = Api::all(client);
    assert!(nodes.list(&ListParams::default()).await.is_err());
    assert!(nodes.watch(&WatchParams::default(), "0").await.is_err());
    let told: Vec<_> = requests
        .lock()
        .unwrap()
        .iter()
        .map(|of| (of.verb, of.resource.clone(), of.code))
        .collect();
    let expected = [
        ("get", "configmaps"),
        ("patch", "configmaps"),
        ("list", "nodes"),
        ("watch", "nodes"),
    ];
    assert_eq!(
        told,
        expected.map(|(verb, resource)| (verb, resource.to_owned(), Some(409)))
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_nobody_waited_for_has_no_code() {
    let (client, requests) = counted(None);
    let maps: Api<ConfigMap> = Api::namespaced(client, "a");
    let patience = std::time::Duration::from_secs(3);
    assert!(tokio::time::timeout(patience, maps.get("c")).await.is_err());
    let told = requests.lock().unwrap().clone();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].verb, told[0].code), ("get", None));
    assert!(told[0].seconds >= 3.0, "{told:?}");
}
