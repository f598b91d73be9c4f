//! In which order parts are written, by an API server that refuses what it is told to.

use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

/// What was asked for, as `METHOD NAME`, and which of that is refused.
#[derive(Default)]
struct Server {
    asked: Vec<String>,
    refused: Vec<String>,
}

fn checkpoint() -> (Checkpoint, Arc<Mutex<Server>>) {
    let server = Arc::new(Mutex::new(Server::default()));
    let heard = Arc::clone(&server);
    let service = tower::service_fn(move |request: Request<Body>| {
        let heard = Arc::clone(&heard);
        async move {
            let (method, path) = (request.method().clone(), request.uri().path().to_owned());
            let body = request.into_body().collect_bytes().await.unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            let named = path.rsplit('/').next().unwrap().to_owned();
            let name = match method {
                Method::POST => body["metadata"]["name"].as_str().unwrap().to_owned(),
                _ => named,
            };
            let mut server = heard.lock().unwrap();
            let asked = format!("{method} {}", name.trim_start_matches("t-state-"));
            let refused = server.refused.contains(&asked);
            server.asked.push(asked);
            let (code, mut answer) = if refused {
                (
                    429,
                    json!({"kind": "Status", "code": 429, "message": "busy"}),
                )
            } else {
                (200, body)
            };
            answer["metadata"]["resourceVersion"] = json!("7");
            let body = Body::from(serde_json::to_vec(&answer).unwrap());
            Ok::<_, std::io::Error>(Response::builder().status(code).body(body).unwrap())
        }
    });
    let client = Client::new(service, "n");
    (Checkpoint::new(client, "n", "t"), server)
}

/// Pools of about so many megabytes.
fn memory(megabytes: usize) -> Memory {
    let state = json!({"seen-ms": 1, "variants": {"v".repeat(900): {}}});
    let count = megabytes * 1024 * 1024 / state.to_string().len();
    let pools = (0..count).map(|number| (format!("n/{number}"), state.clone()));
    let pools: serde_json::Map<String, Value> = pools.collect();
    serde_json::from_value(json!({"pools": pools})).unwrap()
}

#[tokio::test]
async fn a_part_that_cannot_be_written_costs_nothing_that_is_kept() {
    let (mut checkpoint, server) = checkpoint();
    let refuse = |what: &[&str]| {
        let mut server = server.lock().unwrap();
        server.refused = what.iter().map(|what| (*what).to_owned()).collect();
    };
    let asked = || std::mem::take(&mut server.lock().unwrap().asked);
    checkpoint.save(&memory(0)).await.unwrap();
    assert_eq!(asked(), ["POST 1", "POST 0"]);

    // Pools move to parts that are not there yet.
    refuse(&["POST 2"]);
    checkpoint.save(&memory(1)).await.unwrap_err();
    assert_eq!(asked(), ["POST 2"]);
    refuse(&[]);
    checkpoint.save(&memory(1)).await.unwrap();
    assert_eq!(asked(), ["POST 2", "PUT 1"]);

    // And back.
    refuse(&["PUT 1"]);
    checkpoint.save(&memory(0)).await.unwrap_err();
    assert_eq!(asked(), ["PUT 1"]);
    refuse(&[]);
    checkpoint.save(&memory(0)).await.unwrap();
    assert_eq!(asked(), ["PUT 1", "DELETE 2"]);
}
