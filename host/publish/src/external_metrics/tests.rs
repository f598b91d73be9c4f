//! As the API server and HPAs ask, over TLS.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

use super::*;
use crate::http::serve;
use crate::metrics::Published;
use crate::metrics::testing::{cycle, pool, variant};
use crate::tls::{Clients, Identity, SelfMade, Tls};

const VALUES: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/prod/wva_desired_replicas";
const HPA: &str = "system:serviceaccount:kube-system:horizontal-pod-autoscaler";

/// Kubernetes, of which users named `no…` may nothing.
#[derive(Clone, Default)]
struct Cluster {
    asked: Arc<Mutex<Vec<String>>>,
    down: Arc<Mutex<bool>>,
}

#[async_trait]
impl Reviewer for Cluster {
    async fn whose(&self, token: &str) -> Result<Option<User>, String> {
        self.asked.lock().unwrap().push(format!("token {token}"));
        Ok((token == "good").then(|| User {
            name: "of-token".to_owned(),
            ..User::default()
        }))
    }

    async fn may(&self, user: &User, asked: &Asked) -> Result<bool, String> {
        if *self.down.lock().unwrap() {
            return Err("the API server does not answer".to_owned());
        }
        let mut all = self.asked.lock().unwrap();
        all.push(format!("{} {:?} {:?}", user.name, user.groups, asked));
        Ok(!user.name.starts_with("no"))
    }

    fn selects(
        &self,
        selector: &str,
        labels: &BTreeMap<&'static str, String>,
    ) -> Result<bool, String> {
        let mut parts = selector.split(',').filter(|part| !part.is_empty());
        if parts.clone().any(|part| !part.contains('=')) {
            return Err(format!("`{selector}` is no selector"));
        }
        let has = |part: &str| {
            part.split_once('=')
                .is_some_and(|(key, value)| labels[key] == value)
        };
        Ok(parts.all(has))
    }
}

/// A CA, and certificates that it signs.
struct Ca {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn new() -> Self {
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name
            .push(DnType::CommonName, "front-proxy-ca");
        let key = KeyPair::generate().unwrap();
        let pem = ca.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(ca, key),
        }
    }

    fn sign(&self, name: &str) -> reqwest::Identity {
        let mut leaf = CertificateParams::default();
        leaf.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let signed = leaf.signed_by(&key, &self.issuer).unwrap();
        let pem = signed.pem() + &key.serialize_pem();
        reqwest::Identity::from_pem(pem.as_bytes()).unwrap()
    }
}

struct Scene {
    address: String,
    desired: Arc<Desired>,
    cluster: Cluster,
    seconds: Arc<AtomicU64>,
    tls: Arc<Tls>,
    identity: Identity,
    made: SelfMade,
    ca: Ca,
}

async fn scene() -> Scene {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let seconds = Arc::new(AtomicU64::new(0));
    let now = {
        let seconds = Arc::clone(&seconds);
        move || seconds.load(Ordering::SeqCst)
    };
    let desired = {
        let now = now.clone();
        Arc::new(Desired::new(45_000, move || now() * 1000))
    };
    desired.lead(Some(u64::MAX));
    let cluster = Cluster::default();
    let access = Access::new(cluster.clone(), move || Duration::from_secs(now()));
    access.trust(FrontProxy {
        allowed_names: vec!["front-proxy-client".to_owned()],
        username_headers: vec!["X-Remote-User".to_owned()],
        group_headers: vec!["X-Remote-Group".to_owned()],
        uid_headers: vec!["X-Remote-Uid".to_owned()],
        extra_header_prefixes: vec!["X-Remote-Extra-".to_owned()],
    });
    let made = made();
    let ca = Ca::new();
    let identity = Identity {
        certificates: made.certificate.clone(),
        key: made.key.clone(),
        clients: Clients::Offered(ca.pem.clone()),
    };
    let tls = Arc::new(Tls::new(&identity).unwrap());
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    );
    let routes = routes(Arc::clone(&desired), Arc::new(access), Some("blue"));
    let listener = Arc::clone(&tls).listen(listener);
    tokio::spawn(serve(listener, routes, std::future::pending()));
    Scene {
        address,
        desired,
        cluster,
        seconds,
        tls,
        identity,
        made,
        ca,
    }
}

/// Valid for as long as these tests may be run.
fn made() -> SelfMade {
    SelfMade::new(&["localhost".to_owned()], 1_000_000_000, 10_000_000_000).unwrap()
}

impl Scene {
    fn client(&self, identity: Option<reqwest::Identity>) -> reqwest::Client {
        let root = reqwest::Certificate::from_pem(self.made.ca.as_bytes()).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([root]);
        let client = match identity {
            Some(identity) => client.identity(identity),
            None => client,
        };
        client.build().unwrap()
    }

    /// As the API server passes a request on.
    async fn passed_on(&self, user: &str, path: &str) -> (u16, Json) {
        let client = self.client(Some(self.ca.sign("front-proxy-client")));
        let request = client.get(format!("{}{path}", self.address));
        let request = request
            .header("X-Remote-User", user)
            .header("X-Remote-Group", "a");
        answer(request.header("X-Remote-Group", "b")).await
    }

    fn decide(&self, count: u32) {
        let mut kept = variant("kept", 1, 1, 4);
        kept.published = false;
        let mut other = pool("p", vec![variant("elsewhere", 1, 1, 9)]);
        other.namespace = "test".to_owned();
        let variants = vec![variant("a", 2, 2, count), variant("b", 1, 1, 1), kept];
        self.desired.replace(&Published {
            now_ms: 1_700_000_000_000,
            steady_ms: self.seconds.load(Ordering::SeqCst) * 1000,
            ..cycle(vec![pool("p", variants), other])
        });
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Json) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (
        status,
        serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
    )
}

#[tokio::test]
async fn an_hpa_reads_the_count_of_its_variant_with_the_time_of_its_cycle() {
    let scene = scene().await;
    scene.decide(5);
    for selector in [
        "variant_name%3Da",
        "exported_namespace%3Dprod%2Cvariant_name%3Da",
        "controller_instance%3Dblue%2Cnamespace%3Dprod%2Cvariant_name%3Da",
    ] {
        let (status, list) = scene
            .passed_on(HPA, &format!("{VALUES}?labelSelector={selector}"))
            .await;
        assert_eq!(status, 200, "{list}");
        assert_eq!(
            list,
            json!({
                "kind": "ExternalMetricValueList",
                "apiVersion": "external.metrics.k8s.io/v1beta1",
                "metadata": {},
                "items": [{
                    "metricName": "wva_desired_replicas",
                    "metricLabels": {
                        "variant_name": "a",
                        "namespace": "prod",
                        "exported_namespace": "prod",
                        "accelerator_type": "H100",
                        "controller_instance": "blue",
                    },
                    "timestamp": "2023-11-14T22:13:20Z",
                    "value": "5",
                }],
            })
        );
    }
    let (_, both) = scene.passed_on(HPA, VALUES).await;
    assert_eq!(both["items"].as_array().unwrap().len(), 2, "{both}");
}

#[tokio::test]
async fn where_there_is_no_count_an_error_says_why() {
    let scene = scene().await;
    let (status, undecided) = scene.passed_on(HPA, VALUES).await;
    assert_eq!(
        (status, &undecided["reason"]),
        (503, &json!("ServiceUnavailable"))
    );
    scene.decide(5);
    let why = async |path: &str| {
        let (status, error) = scene.passed_on(HPA, path).await;
        assert_eq!(error["kind"], "Status");
        assert_eq!(error["code"], status);
        (status, error["message"].as_str().unwrap().to_owned())
    };
    let of = |name: &str| format!("{VALUES}?labelSelector=variant_name%3D{name}");
    let (status, message) = why(&of("c")).await;
    assert_eq!(status, 404);
    assert!(
        message.ends_with("no variant `variant_name=c`; it has `a`, `b`, `kept`"),
        "{message}"
    );
    let (status, message) = why(&of("elsewhere")).await;
    assert_eq!(status, 404, "it is of another namespace: {message}");
    let (status, message) = why(&of("kept")).await;
    assert_eq!(status, 404);
    assert!(
        message.contains("kept to itself by its pool's mode"),
        "{message}"
    );
    assert_eq!(why(&VALUES.replace("prod", "empty")).await.0, 404);
    assert_eq!(why(&VALUES.replace("desired", "other")).await.0, 404);
    assert_eq!(why(&format!("{VALUES}?labelSelector=odd")).await.0, 400);
    assert_eq!(why("/apis/nothing").await.0, 404);
    scene.seconds.store(46, Ordering::SeqCst);
    let (status, message) = why(VALUES).await;
    assert_eq!(status, 503);
    assert!(message.contains("46 s old"), "{message}");
    scene.desired.lead(None);
    let (status, message) = why(VALUES).await;
    assert_eq!(status, 503);
    assert!(message.contains("does not lead"), "{message}");
}

#[tokio::test]
async fn who_asks_is_known_by_the_front_proxy_or_a_token_and_by_nothing_else() {
    let scene = scene().await;
    scene.decide(5);
    let path = format!("{}{VALUES}", scene.address);
    let ask = async |identity: Option<reqwest::Identity>, headers: &[(&str, &str)]| {
        let request = scene.client(identity).get(&path);
        let named = |request: reqwest::RequestBuilder, (name, value): &(&str, &str)| {
            request.header(*name, *value)
        };
        answer(headers.iter().fold(request, named)).await.0
    };
    let remote = ("X-Remote-User", "eve");
    let masters = ("X-Remote-Group", "system:masters");
    assert_eq!(ask(None, &[]).await, 401);
    assert_eq!(ask(None, &[remote, masters]).await, 401);
    assert_eq!(ask(None, &[("Authorization", "Bearer bad")]).await, 401);
    assert_eq!(ask(None, &[("Authorization", "Bearer good")]).await, 200);
    let client = scene.ca.sign("front-proxy-client");
    assert_eq!(ask(Some(client.clone()), &[]).await, 401);
    assert_eq!(ask(Some(client.clone()), &[remote]).await, 200);
    assert_eq!(
        ask(Some(client.clone()), &[("X-Remote-User", "nobody")]).await,
        403
    );
    assert_eq!(
        ask(Some(client), &[("X-Remote-User", "nobody"), masters]).await,
        200
    );
    let other = scene.ca.sign("another-client");
    assert_eq!(ask(Some(other), &[remote, masters]).await, 401);
    let stranger = Ca::new().sign("front-proxy-client");
    let request = scene
        .client(Some(stranger))
        .get(&path)
        .header("X-Remote-User", "eve");
    assert!(request.send().await.is_err(), "the handshake fails");
}

#[tokio::test]
async fn kubernetes_is_asked_once_in_a_while_for_what_it_said() {
    let scene = scene().await;
    scene.decide(5);
    let times = || scene.cluster.asked.lock().unwrap().len();
    for _ in 0..3 {
        assert_eq!(scene.passed_on(HPA, VALUES).await.0, 200);
    }
    assert_eq!(times(), 1);
    let asked = scene.cluster.asked.lock().unwrap()[0].clone();
    assert_eq!(
        asked,
        format!(
            r#"{HPA} ["a", "b", "system:authenticated"] Metric {{ namespace: "prod", metric: "wva_desired_replicas", verb: "list" }}"#
        )
    );
    *scene.cluster.down.lock().unwrap() = true;
    assert_eq!(
        scene.passed_on(HPA, VALUES).await.0,
        200,
        "it is remembered"
    );
    scene.seconds.store(11, Ordering::SeqCst);
    assert_eq!(
        scene.passed_on(HPA, VALUES).await.0,
        503,
        "nobody is let in unasked"
    );
}

#[tokio::test]
async fn the_api_is_discovered_and_described() {
    let scene = scene().await;
    let group = "/apis/external.metrics.k8s.io";
    let read = async |path: &str| {
        let (status, document) = scene.passed_on("someone", path).await;
        assert_eq!(status, 200, "{path}");
        document
    };
    let version = "external.metrics.k8s.io/v1beta1";
    assert_eq!(
        read(group).await["preferredVersion"]["groupVersion"],
        version
    );
    assert_eq!(
        read("/apis").await["groups"][0]["name"],
        "external.metrics.k8s.io"
    );
    let resources = read(&format!("{group}/v1beta1")).await;
    assert_eq!(resources["groupVersion"], version);
    assert_eq!(resources["resources"][0]["name"], "wva_desired_replicas");
    assert_eq!(resources["resources"][0]["namespaced"], true);
    let index = read("/openapi/v3").await;
    let url = index["paths"]["apis/external.metrics.k8s.io/v1beta1"]["serverRelativeURL"]
        .as_str()
        .unwrap();
    for document in [read(url).await, read("/openapi/v2").await] {
        let path = &document["paths"]
            [format!("{group}/v1beta1/namespaces/{{namespace}}/wva_desired_replicas")];
        let answer = &path["get"]["responses"]["200"];
        let schema = answer["schema"]["$ref"].as_str();
        let schema =
            schema.or_else(|| answer["content"]["application/json"]["schema"]["$ref"].as_str());
        let pointer = schema.unwrap().strip_prefix('#').unwrap();
        assert_eq!(document.pointer(pointer).unwrap()["type"], "object");
    }
}

#[tokio::test]
async fn a_certificate_that_is_replaced_is_shown_to_who_comes_then() {
    let mut scene = scene().await;
    scene.decide(5);
    let before = scene.client(Some(scene.ca.sign("front-proxy-client")));
    let path = format!("{}{VALUES}", scene.address);
    let ask = async |client: &reqwest::Client| {
        let request = client.get(&path).header("X-Remote-User", "someone");
        request.send().await.map(|answer| answer.status().as_u16())
    };
    assert_eq!(ask(&before).await.unwrap(), 200);
    let next = made();
    let identity = Identity {
        certificates: next.certificate.clone(),
        key: next.key.clone(),
        ..scene.identity.clone()
    };
    scene.tls.replace(&identity).unwrap();
    assert_eq!(ask(&before).await.unwrap(), 200, "its connection stays");
    let late = scene.client(Some(scene.ca.sign("front-proxy-client")));
    assert!(ask(&late).await.is_err(), "it trusts the one before");
    scene.made = next;
    let late = scene.client(Some(scene.ca.sign("front-proxy-client")));
    assert_eq!(ask(&late).await.unwrap(), 200);
    let odd = Identity {
        key: scene.identity.key.clone(),
        ..identity
    };
    let error = scene.tls.replace(&odd).unwrap_err();
    assert!(error.to_string().contains("of each other"), "{error}");
    assert_eq!(ask(&late).await.unwrap(), 200, "what was shown before is");
}
