//! Against collectors that take everything, refuse everything, and never answer.

use std::io::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue as Pair;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;
use tracing_subscriber::prelude::*;

use super::*;

type Batches = Arc<Mutex<Vec<ExportTraceServiceRequest>>>;

/// A collector's base address, and what it was sent. It answers with this status.
async fn collector(status: StatusCode) -> (String, Batches) {
    let batches = Batches::default();
    let take = async move |State(batches): State<Batches>, headers: HeaderMap, body: Bytes| {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        let batch = ExportTraceServiceRequest::decode(body).unwrap();
        batches.lock().unwrap().push(batch);
        status
    };
    let routes = Router::new()
        .route("/v1/traces", post(take))
        .with_state(Arc::clone(&batches));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (address, batches)
}

fn started(endpoint: &str) -> Traces {
    let origin = Origin {
        version: "1.2.3",
        namespace: Some("autoscaling".to_owned()),
        pod: None,
    };
    Traces::start(endpoint, &origin, &Handle::current()).unwrap()
}

/// What the log says.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines(&self, with: &str) -> usize {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(with)).count()
    }
}

/// Two pools of one tick; nothing of it is logged.
fn tick() {
    let tick = tracing::info_span!("tick");
    for pool in ["a", "b"] {
        let span = tracing::info_span!(parent: &tick, "analyze", pool, fuel = 700);
        span.in_scope(|| tracing::info!("decided"));
    }
    tracing::info_span!(target: "hyper", "theirs").in_scope(|| {});
}

async fn ended(traces: Traces) {
    tokio::task::spawn_blocking(|| traces.end()).await.unwrap();
}

fn text<'a>(pairs: &'a [Pair], key: &str) -> Option<&'a str> {
    let value = pairs.iter().find(|pair| pair.key == key)?.value.as_ref()?;
    let Value::StringValue(text) = value.value.as_ref()? else {
        panic!("{key} is {value:?}");
    };
    Some(text)
}

#[tokio::test]
async fn a_collector_gets_our_spans_with_their_fields_and_their_parent() {
    let (endpoint, batches) = collector(StatusCode::OK).await;
    let traces = started(&endpoint);
    let subscriber = tracing_subscriber::registry().with(traces.layer());
    tracing::subscriber::with_default(subscriber, tick);
    ended(traces).await;
    let batches = batches.lock().unwrap();
    let resources = &batches[0].resource_spans;
    let resource = &resources[0].resource.as_ref().unwrap().attributes;
    assert_eq!(text(resource, "service.name"), Some("trimtab"));
    assert_eq!(text(resource, "service.version"), Some("1.2.3"));
    assert_eq!(text(resource, "k8s.namespace.name"), Some("autoscaling"));
    assert_eq!(text(resource, "k8s.pod.name"), None);
    let spans: Vec<&Span> = batches
        .iter()
        .flat_map(|batch| &batch.resource_spans)
        .flat_map(|resource| &resource.scope_spans)
        .flat_map(|scope| &scope.spans)
        .collect();
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["analyze", "analyze", "tick"]);
    let tick = spans[2];
    for (span, pool) in spans.iter().zip(["a", "b"]) {
        assert_eq!(text(&span.attributes, "pool"), Some(pool));
        assert_eq!(span.parent_span_id, tick.span_id);
        assert_eq!(span.events[0].name, "decided");
    }
}

#[tokio::test]
async fn a_collector_that_refuses_is_told_of_once_a_minute() {
    let (endpoint, batches) = collector(StatusCode::BAD_REQUEST).await;
    let traces = started(&endpoint);
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
    let subscriber = tracing_subscriber::registry()
        .with(lines)
        .with(traces.layer());
    // The thread that sends is none of ours.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    for _ in 0..3 {
        tick();
        let provider = traces.provider.clone();
        let flushed = tokio::task::spawn_blocking(move || provider.force_flush());
        assert!(flushed.await.unwrap().is_err());
    }
    ended(traces).await;
    assert_eq!(batches.lock().unwrap().len(), 3);
    assert_eq!(log.lines("400 Bad Request"), 1);
    assert_eq!(log.lines("decided"), 6, "the log goes on");
}

#[tokio::test]
async fn a_collector_that_never_answers_keeps_nobody_waiting() {
    // Connections are taken up by the kernel; nobody reads them.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let traces = started(&format!("http://{}", silent.local_addr().unwrap()));
    let subscriber = tracing_subscriber::registry().with(traces.layer());
    let began = Instant::now();
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..WAITING {
            tick();
        }
    });
    let spans = began.elapsed();
    let began = Instant::now();
    ended(traces).await;
    let end = began.elapsed();
    // Sending one batch alone would take as long as this, and there were dozens.
    assert!(spans < SEND_TIMEOUT, "{spans:?} for spans");
    assert!(end < END_TIMEOUT + Duration::from_secs(2), "{end:?} to end");
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_at_the_start() {
    let error = Traces::start("http://[", &Origin::default(), &Handle::current()).unwrap_err();
    assert_eq!(error.to_string(), "nothing can be sent there");
}

#[test]
fn a_minute_passes_between_two_lines() {
    let seldom = Seldom::default();
    let began = Instant::now();
    let due = |seconds| seldom.is_due(began + Duration::from_secs(seconds));
    assert_eq!(
        [0, 1, 59, 60, 61, 120].map(due),
        [true, false, false, true, false, true]
    );
}
