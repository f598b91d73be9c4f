//! What the index is told of, by an API server that answers as it is told to.

use std::sync::Mutex;

use http::{Request, Response};
use kube::client::Body;
use kube::core::{DynamicObject, GroupVersionKind};
use kube::runtime::watcher;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;

/// Longer than all that is waited for, by a clock that does not wait.
const LONG: Duration = Duration::from_secs(3600);

/// A cluster whose lists are answered by `list`, given how many came before, and whose watches by
/// `watch`, in the same way; no answer is one that does not come.
fn cluster(
    list: impl Fn(usize) -> Value + Send + Sync + 'static,
    watch: impl Fn(usize) -> Option<Value> + Send + Sync + 'static,
) -> Cluster {
    let counts = Mutex::new((0, 0));
    let service = tower::service_fn(move |request: Request<Body>| {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let (lists, watches) = &mut *counts.lock().unwrap();
        let answer = if query.contains("watch=") {
            *watches += 1;
            watch(*watches - 1)
        } else {
            *lists += 1;
            Some(list(*lists - 1))
        };
        async move {
            let Some(answer) = answer else {
                return std::future::pending().await;
            };
            let code = answer["code"].as_u64().unwrap_or(200) as u16;
            let body = Body::from(serde_json::to_vec(&answer).unwrap());
            Ok::<_, std::io::Error>(Response::builder().status(code).body(body).unwrap())
        }
    });
    Cluster {
        client: Client::new(service, "default"),
        namespaces: Vec::new(),
        picture: Arc::default(),
    }
}

fn one_service() -> Value {
    let metadata = json!({"namespace": "a", "name": "s", "resourceVersion": "1"});
    json!({
        "kind": "ServiceList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"},
        "items": [{"kind": "Service", "apiVersion": "v1", "metadata": metadata}],
    })
}

/// Follows services, and tells what the index is given and what is taken from it.
fn followed(
    cluster: Cluster,
    relist: Option<Receiver<u64>>,
) -> mpsc::UnboundedReceiver<&'static str> {
    let (tell, told) = mpsc::unbounded_channel();
    let of_delete = tell.clone();
    let handlers = Handlers::new(
        move |_, _: DynamicObject| tell.send("apply").unwrap(),
        move |_, _| of_delete.send("delete").unwrap(),
    );
    let gvk = GroupVersionKind::gvk("", "v1", "Service");
    let resource = ApiResource::from_gvk_with_plural(&gvk, "services");
    let api: Api<DynamicObject> = Api::all_with(cluster.client.clone(), &resource);
    let open = move || watcher(api.clone(), watcher::Config::default());
    let watch = Watch {
        cluster,
        kind: "Service".to_owned(),
        namespace: String::new(),
        resource,
    };
    tokio::spawn(follow(watch, open, handlers, relist));
    told
}

async fn next(told: &mut mpsc::UnboundedReceiver<&'static str>) -> Option<&'static str> {
    tokio::time::timeout(LONG, told.recv()).await.ok().flatten()
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_was_gone_and_comes_back_is_listed_again() {
    let gone = json!({"kind": "Status", "code": 404, "message": "the server could not find it"});
    let cluster = cluster(
        |_| one_service(),
        move |watches| (watches < GONE_AFTER as usize).then(|| gone.clone()),
    );
    let mut told = followed(cluster.clone(), None);
    let mut heard = Vec::new();
    while let Some(word) = next(&mut told).await {
        heard.push(word);
    }
    assert_eq!(heard, ["apply", "delete", "apply"]);
    let state = WatchState::of(&cluster.kinds(), "Service");
    assert!(state.synced && !state.absent, "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn not_found_now_and_then_is_not_gone() {
    let gone = json!({"kind": "Status", "code": 404, "message": "the server could not find it"});
    let changed = json!({"type": "MODIFIED", "object": one_service()["items"][0]});
    let watch = move |watches: usize| match watches {
        0..40 if watches % 4 == 3 => Some(changed.clone()),
        0..40 => Some(gone.clone()),
        _ => None,
    };
    let mut told = followed(cluster(|_| one_service(), watch), None);
    let mut heard = Vec::new();
    while let Some(word) = next(&mut told).await {
        heard.push(word);
    }
    assert_eq!(heard, ["apply"; 11]);
}

#[tokio::test(start_paused = true)]
async fn a_word_to_list_anew_is_not_lost_while_a_list_comes_in() {
    let (relist, words) = tokio::sync::watch::channel(0);
    let teller = relist.clone();
    let list = move |lists: usize| {
        if lists == 1 {
            teller.send_modify(|times| *times += 1);
        }
        one_service()
    };
    let mut told = followed(cluster(list, |_| None), Some(words));
    assert_eq!(next(&mut told).await, Some("apply"));
    relist.send_modify(|times| *times += 1);
    assert_eq!(next(&mut told).await, Some("apply"));
    assert_eq!(next(&mut told).await, Some("apply"), "the second word");
    assert_eq!(next(&mut told).await, None, "and no more");
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_not_there_is_asked_for_now_and_then() {
    let asked = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&asked);
    let list = move |_| {
        *counted.lock().unwrap() += 1;
        json!({"kind": "Status", "code": 404, "message": "the server could not find it"})
    };
    let _told = followed(cluster(list, |_| None), None);
    tokio::time::sleep(10 * LONGEST_PAUSE).await;
    let asked = *asked.lock().unwrap();
    assert!((10..=15).contains(&asked), "{asked} times");
}
