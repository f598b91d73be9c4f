//! KEDA's external scaler, pulled (`external`) and pushed (`external-push`).
//!
//! KEDA is told the total with a target of one, which never changes. What cannot be told is an error:
//! KEDA then holds. Only that a workload is to run is pushed; that it may go to zero is KEDA's to read.

mod registrations;
#[cfg(test)]
mod tests;

#[allow(
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    unreachable_pub,
    reason = "generated"
)]
mod protocol {
    tonic::include_proto!("externalscaler");
}

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use futures::{Stream, StreamExt as _, stream};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use self::protocol::external_scaler_server::{ExternalScaler, ExternalScalerServer};
use self::protocol::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec,
    MetricValue, ScaledObjectRef,
};
pub use self::registrations::{Asking, Registered, Registrations};
use crate::desired::{Count, Desired, METRIC};

/// Key of a trigger's metadata: which variant is meant. Without it: the one whose target the
/// ScaledObject scales.
const VARIANT: &str = "variantName";

/// The service, for a listener of its own.
pub fn routes(desired: Arc<Desired>, registrations: Arc<Registrations>) -> Router {
    let scaler = Scaler {
        desired,
        registrations,
    };
    Router::new().route_service(
        "/externalscaler.ExternalScaler/{*method}",
        ExternalScalerServer::new(scaler),
    )
}

#[derive(Clone)]
struct Scaler {
    desired: Arc<Desired>,
    registrations: Arc<Registrations>,
}

impl Scaler {
    /// The variant that a ScaledObject is for.
    ///
    /// # Errors
    /// Nothing can be said of it now; why.
    fn count(&self, of: &ScaledObjectRef) -> Result<Count, Status> {
        let word = self.desired.now();
        let word = word.map_err(|why| Status::unavailable(why.to_string()))?;
        let object = (of.namespace.clone(), of.name.clone());
        let scaled = word.scaled_objects.get(&object);
        let named = of.scaler_metadata.get(VARIANT);
        let name = match (named.filter(|name| !name.is_empty()), scaled) {
            (Some(named), Some(scaled)) if named != scaled => {
                return Err(Status::failed_precondition(format!(
                    "ScaledObject {}/{} scales the target of variant `{scaled}`, and its trigger \
                     names `{named}`: correct {VARIANT}, or leave it out",
                    of.namespace, of.name
                )));
            }
            (Some(named), _) => named,
            (None, Some(scaled)) => scaled,
            (None, None) => {
                return Err(Status::not_found(format!(
                    "no variant has the target of ScaledObject {}/{}: give modelID in its \
                     trigger's metadata, annotate it with llm-d.ai/managed, or create a \
                     VariantAutoscaling",
                    of.namespace, of.name
                )));
            }
        };
        let variant = (of.namespace.clone(), name.clone());
        match word.variants.get(&variant) {
            Some(count) => Ok(count.clone()),
            None => Err(Status::not_found(format!(
                "namespace `{}` has no variant `{name}`",
                of.namespace
            ))),
        }
    }

    /// # Errors
    /// Nothing is asked for.
    fn desired(&self, of: &ScaledObjectRef) -> Result<u32, Status> {
        self.count(of)?.desired.ok_or_else(|| {
            Status::failed_precondition(format!(
                "what the variant of ScaledObject {}/{} should have is kept by its pool's mode",
                of.namespace, of.name
            ))
        })
    }
}

/// What a stream goes on with.
struct Listening {
    scaler: Scaler,
    of: ScaledObjectRef,
    words: watch::Receiver<u64>,
    /// Whether the word that stands was looked at.
    seen: bool,
    /// Whether it was told that it is active.
    told: bool,
    /// Keeps the registration for as long as the stream lives.
    _asking: Asking,
}

impl Listening {
    /// The next word: that the workload is to run, or the end.
    async fn next(mut self) -> Option<(Result<IsActiveResponse, Status>, Option<Self>)> {
        loop {
            if self.seen {
                self.words.changed().await.ok()?;
            }
            self.words.mark_unchanged();
            self.seen = true;
            match self.scaler.count(&self.of) {
                Ok(count) => {
                    let wanted = count.desired.is_some_and(|desired| desired > 0);
                    // Where nothing runs yet, KEDA may have missed it.
                    let tell = wanted && (!self.told || count.current == 0);
                    self.told = wanted;
                    if tell {
                        return Some((Ok(IsActiveResponse { result: true }), Some(self)));
                    }
                }
                // Who does not lead ends the stream: KEDA comes again, to whoever does.
                Err(status) if !self.scaler.desired.leads() => return Some((Err(status), None)),
                Err(_) => self.told = false,
            }
        }
    }
}

type Active = Pin<Box<dyn Stream<Item = Result<IsActiveResponse, Status>> + Send>>;

#[tonic::async_trait]
impl ExternalScaler for Scaler {
    type StreamIsActiveStream = Active;

    async fn is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<IsActiveResponse>, Status> {
        let of = request.into_inner();
        self.registrations.called(&of);
        let result = self.desired(&of)? > 0;
        Ok(Response::new(IsActiveResponse { result }))
    }

    async fn stream_is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<Active>, Status> {
        let of = request.into_inner();
        let listening = Listening {
            _asking: Registrations::asking(&self.registrations, &of),
            scaler: self.clone(),
            words: self.desired.watch(),
            seen: false,
            told: false,
            of,
        };
        let words = stream::unfold(Some(listening), async |listening| listening?.next().await);
        Ok(Response::new(words.boxed()))
    }

    /// Always answered, also by one that does not lead: KEDA forgets a scaler that does not say
    /// what it measures.
    async fn get_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<GetMetricSpecResponse>, Status> {
        self.registrations.called(request.get_ref());
        let spec = MetricSpec {
            metric_name: METRIC.to_owned(),
            target_size: 1,
            target_size_float: 1.0,
        };
        Ok(Response::new(GetMetricSpecResponse {
            metric_specs: vec![spec],
        }))
    }

    async fn get_metrics(
        &self,
        request: Request<GetMetricsRequest>,
    ) -> Result<Response<GetMetricsResponse>, Status> {
        let request = request.into_inner();
        let of = request.scaled_object_ref.unwrap_or_default();
        self.registrations.called(&of);
        let desired = self.desired(&of)?;
        let value = MetricValue {
            metric_name: request.metric_name,
            metric_value: i64::from(desired),
            metric_value_float: f64::from(desired),
        };
        Ok(Response::new(GetMetricsResponse {
            metric_values: vec![value],
        }))
    }
}
