//! As KEDA asks, over a real connection.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tonic::Code;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

use super::protocol::external_scaler_client::ExternalScalerClient;
use super::*;
use crate::http::serve;
use crate::metrics::Published;
use crate::metrics::testing::{cycle, pool, variant};

struct Scene {
    desired: Arc<Desired>,
    registrations: Arc<Registrations>,
    seconds: Arc<AtomicU64>,
    client: ExternalScalerClient<Channel>,
    channel: Channel,
}

async fn scene() -> Scene {
    let seconds = Arc::new(AtomicU64::new(0));
    let clock = {
        let seconds = Arc::clone(&seconds);
        move || Duration::from_secs(seconds.load(Ordering::SeqCst))
    };
    let desired = {
        let clock = clock.clone();
        Arc::new(Desired::new(45_000, move || {
            u64::try_from(clock().as_millis()).unwrap()
        }))
    };
    let registrations = Arc::new(Registrations::new(clock));
    let routes = routes(Arc::clone(&desired), Arc::clone(&registrations));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, routes, std::future::pending()));
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    let channel = channel.connect().await.unwrap();
    desired.lead(Some(u64::MAX));
    Scene {
        client: ExternalScalerClient::new(channel.clone()),
        channel,
        desired,
        registrations,
        seconds,
    }
}

impl Scene {
    /// A cycle in which variant `a` has and should have so many replicas.
    fn decide(&self, current: u32, count: u32) {
        let scaled = ("prod".to_owned(), "chat".to_owned());
        self.desired.replace(&Published {
            steady_ms: self.seconds.load(Ordering::SeqCst) * 1000,
            scaled_objects: BTreeMap::from([(scaled, "a".to_owned())]),
            ..cycle(vec![pool("p", vec![variant("a", current, current, count)])])
        });
    }

    async fn value(&mut self, of: ScaledObjectRef) -> Result<MetricValue, Status> {
        let request = GetMetricsRequest {
            scaled_object_ref: Some(of),
            metric_name: METRIC.to_owned(),
        };
        let answer = self.client.get_metrics(request).await?.into_inner();
        assert_eq!(answer.metric_values.len(), 1);
        Ok(answer.metric_values[0].clone())
    }
}

fn object(name: &str, metadata: &[(&str, &str)]) -> ScaledObjectRef {
    let metadata = metadata.iter();
    ScaledObjectRef {
        name: name.to_owned(),
        namespace: "prod".to_owned(),
        scaler_metadata: metadata
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect::<HashMap<_, _>>(),
    }
}

#[tokio::test]
async fn keda_reads_the_total_with_a_target_of_one_in_both_forms() {
    // Situations 76 and 77.
    let mut scene = scene().await;
    scene.decide(2, 5);
    let chat = object("chat", &[]);
    let specs = scene.client.get_metric_spec(chat.clone()).await.unwrap();
    let specs = specs.into_inner().metric_specs;
    assert_eq!(specs.len(), 1);
    assert_eq!((specs[0].target_size, specs[0].target_size_float), (1, 1.0));
    let value = scene.value(chat.clone()).await.unwrap();
    assert_eq!((value.metric_value, value.metric_value_float), (5, 5.0));
    assert_eq!(value.metric_name, specs[0].metric_name);
    let active = scene.client.is_active(chat.clone()).await.unwrap();
    assert!(active.into_inner().result);
    scene.decide(2, 0);
    let value = scene.value(chat.clone()).await.unwrap();
    assert_eq!((value.metric_value, value.metric_value_float), (0, 0.0));
    let active = scene.client.is_active(chat).await.unwrap();
    assert!(!active.into_inner().result);
}

#[tokio::test]
async fn a_word_that_no_longer_stands_is_unavailable_and_not_a_number() {
    let mut scene = scene().await;
    let chat = object("chat", &[]);
    let code = |answer: Result<MetricValue, Status>| answer.unwrap_err().code();
    assert_eq!(code(scene.value(chat.clone()).await), Code::Unavailable);
    scene.decide(2, 5);
    scene.seconds.store(46, Ordering::SeqCst);
    let stale = scene.value(chat.clone()).await.unwrap_err();
    assert_eq!(stale.code(), Code::Unavailable);
    assert!(stale.message().contains("46 s old"), "{stale}");
    assert!(scene.client.is_active(chat.clone()).await.is_err());
    scene.decide(2, 5);
    assert!(scene.value(chat.clone()).await.is_ok());
    scene.desired.lead(None);
    assert_eq!(code(scene.value(chat.clone()).await), Code::Unavailable);
    // Situation 74: a scaler without specs is forgotten.
    let specs = scene.client.get_metric_spec(chat).await.unwrap();
    assert_eq!(specs.into_inner().metric_specs.len(), 1);
}

#[tokio::test]
async fn a_trigger_may_name_the_variant_and_must_not_name_another() {
    let mut scene = scene().await;
    scene.decide(2, 5);
    let named = object("chat", &[(VARIANT, "a")]);
    assert!(scene.value(named).await.is_ok());
    let unseen = object("new", &[(VARIANT, "a")]);
    assert!(scene.value(unseen).await.is_ok(), "its watch is late");
    let wrong = scene.value(object("chat", &[(VARIANT, "b")])).await;
    let wrong = wrong.unwrap_err();
    assert_eq!(wrong.code(), Code::FailedPrecondition);
    assert!(wrong.message().contains("names `b`"), "{wrong}");
    let unknown = scene.value(object("other", &[])).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
}

#[tokio::test]
async fn a_stream_wakes_once_and_again_while_nothing_runs() {
    // Situation 73: that it may go to zero is never pushed.
    let mut scene = scene().await;
    scene.decide(0, 0);
    let stream = scene.client.stream_is_active(object("chat", &[])).await;
    let mut stream = stream.unwrap().into_inner();
    let mut next = async || {
        let next = tokio::time::timeout(Duration::from_millis(300), stream.message());
        next.await
            .ok()
            .map(|word| word.map(|word| word.map(|word| word.result)))
    };
    assert!(next().await.is_none(), "nothing is wanted");
    scene.decide(0, 2);
    assert!(matches!(next().await, Some(Ok(Some(true)))));
    scene.decide(0, 2);
    assert!(
        matches!(next().await, Some(Ok(Some(true)))),
        "it may have been missed"
    );
    scene.decide(1, 2);
    assert!(next().await.is_none(), "it was heard");
    scene.decide(2, 0);
    assert!(next().await.is_none(), "zero is pulled");
    scene.decide(2, 1);
    assert!(matches!(next().await, Some(Ok(Some(true)))));
    scene.desired.lead(None);
    let ended = next().await.unwrap().unwrap_err();
    assert_eq!(ended.code(), Code::Unavailable);
}

#[tokio::test]
async fn calls_with_a_model_register_and_lapse() {
    let mut scene = scene().await;
    let new = object(
        "new",
        &[("modelID", "m"), ("variantCost", "2.5"), (VARIANT, " ")],
    );
    scene.client.get_metric_spec(new.clone()).await.unwrap();
    scene
        .client
        .get_metric_spec(object("chat", &[]))
        .await
        .unwrap();
    let expected = Registered {
        model: Some("m".to_owned()),
        cost: Some("2.5".to_owned()),
        variant: None,
    };
    let of = ("prod".to_owned(), "new".to_owned());
    let registered = BTreeMap::from([(of, expected)]);
    assert_eq!(scene.registrations.now(), registered);
    scene.seconds.store(300, Ordering::SeqCst);
    assert_eq!(scene.registrations.now(), registered);
    scene.seconds.store(301, Ordering::SeqCst);
    assert!(scene.registrations.now().is_empty());
    scene.decide(0, 0);
    let stream = scene.client.stream_is_active(new).await.unwrap();
    scene.seconds.store(10_000, Ordering::SeqCst);
    assert_eq!(scene.registrations.now(), registered, "its stream is open");
    drop(stream);
    let mut tries = 0;
    while scene
        .registrations
        .last_calls()
        .values()
        .any(|since| *since == Duration::ZERO)
    {
        scene.seconds.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        tries += 1;
        assert!(tries < 1_000_000);
    }
}

#[tokio::test]
async fn a_thousand_streams_on_one_connection_leave_room_for_calls() {
    let mut scene = scene().await;
    scene.decide(0, 0);
    let mut streams = Vec::new();
    for at in 0..1000 {
        let of = object(&format!("o{at}"), &[(VARIANT, "a")]);
        streams.push(scene.client.stream_is_active(of).await.unwrap());
    }
    let of = object("chat", &[]);
    let value = tokio::time::timeout(Duration::from_secs(60), scene.value(of));
    assert_eq!(value.await.unwrap().unwrap().metric_value, 0);
}

#[tokio::test]
async fn calls_that_register_nothing_leave_place_for_those_that_do() {
    let registrations = Registrations::new(|| Duration::ZERO);
    for at in 0..20_000 {
        registrations.called(&object(&format!("o{at}"), &[]));
    }
    registrations.called(&object("new", &[("modelID", "m")]));
    let of = ("prod".to_owned(), "new".to_owned());
    assert!(registrations.now().contains_key(&of));
}

#[tokio::test]
async fn a_method_that_is_not_known_is_unimplemented() {
    let scene = scene().await;
    let mut grpc = Grpc::new(scene.channel);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/externalscaler.ExternalScaler/StreamMetricSpec");
    let codec = ProstCodec::<ScaledObjectRef, GetMetricSpecResponse>::default();
    let answer = grpc
        .unary(Request::new(object("chat", &[])), path, codec)
        .await;
    assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
}
