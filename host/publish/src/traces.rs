//! Traces, sent to a collector by OTLP over HTTP. Whatever becomes of the collector, nobody but a
//! thread of its own waits for it.

#[cfg(test)]
mod tests;

use std::error::Error;
use std::iter;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use reqwest::redirect;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

/// Where a collector takes traces, below its address.
const PATH: &str = "v1/traces";
/// How long a batch may be under way.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the end of the process waits for the last batch.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// Spans that wait: those of one cycle over thousands of pools. What is more is lost.
const WAITING: usize = 8192;
/// How often it is told that a collector takes nothing.
const TELL: Duration = Duration::from_secs(60);

/// Who sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    pub version: &'static str,
    /// `None` outside of a pod.
    pub namespace: Option<String>,
    pub pod: Option<String>,
}

/// A collector that traces cannot be sent to.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    #[error("no HTTP client can be had for it")]
    Client(#[source] reqwest::Error),
    #[error("nothing can be sent there")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),
}

/// The way to a collector.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Opens no connection. `endpoint` is the collector's base address; `runtime` sends.
    ///
    /// # Errors
    /// The address is none.
    pub fn start(endpoint: &str, origin: &Origin, runtime: &Handle) -> Result<Self, TracesError> {
        // Fails where another provider is the default already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(SEND_TIMEOUT)
            // A redirect turns POST into GET.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(TracesError::Client)?;
        let sender = Sender {
            client,
            runtime: runtime.clone(),
            complaint: Seldom::default(),
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(format!("{}/{PATH}", endpoint.trim_end_matches('/')))
            .with_timeout(SEND_TIMEOUT)
            .with_http_client(sender)
            .build()
            .map_err(TracesError::Exporter)?;
        let batches = BatchConfigBuilder::default().with_max_queue_size(WAITING);
        let processor = BatchSpanProcessor::builder(exporter)
            .with_batch_config(batches.build())
            .build();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource(origin))
            .with_span_processor(processor)
            .build();
        Ok(Self { provider })
    }

    /// Takes up our own spans, whatever is logged.
    #[must_use]
    pub fn layer<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let ours = Targets::new().with_target("trimtab", LevelFilter::INFO);
        let layer = tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("trimtab"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false);
        layer.with_filter(ours).boxed()
    }

    /// Sends what waits, for no longer than the end of a process may take. Blocks; the runtime must
    /// still run.
    pub fn end(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(END_TIMEOUT) {
            tracing::warn!(%error, "the last traces were not delivered");
        }
    }
}

fn resource(origin: &Origin) -> Resource {
    let known = [
        ("service.version", Some(origin.version)),
        ("k8s.namespace.name", origin.namespace.as_deref()),
        ("k8s.pod.name", origin.pod.as_deref()),
    ];
    let known = known
        .into_iter()
        .filter_map(|(key, value)| Some(KeyValue::new(key, value?.to_owned())));
    Resource::builder()
        .with_service_name("trimtab")
        .with_attributes(known)
        .build()
}

/// Sends on the runtime: the thread that waits for the answer has none.
#[derive(Debug)]
struct Sender {
    client: reqwest::Client,
    runtime: Handle,
    complaint: Seldom,
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self
            .runtime
            .spawn(async move { client.send_bytes(request).await });
        let answer = sent.await?;
        let why = match &answer {
            Ok(response) if response.status().is_success() => return answer,
            Ok(response) => format!("status {}", response.status()),
            Err(error) => chain(&**error),
        };
        if self.complaint.is_due(Instant::now()) {
            tracing::warn!(why, "traces are lost; told of at most once a minute");
        }
        answer
    }
}

/// An error with all that it comes from.
fn chain(error: &(dyn Error + 'static)) -> String {
    let errors = iter::successors(Some(error), |error| (**error).source());
    errors
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// Something that is worth a line a minute.
#[derive(Debug, Default)]
struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    fn is_due(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| now.duration_since(last) >= TELL);
        if due {
            *last = Some(now);
        }
        due
    }
}
