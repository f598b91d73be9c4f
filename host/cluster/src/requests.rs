//! Every request to the API server, told of as it ends: watches, writes, whatever asks.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config, Error};
use tokio::time::Instant;
use tower::Service;
use tower::layer::layer_fn;

/// A request that has its answer, or will have none.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiRequest {
    /// In the words of RBAC, e.g. `patch`.
    pub verb: &'static str,
    /// As RBAC names it, e.g. `leases` or `variantautoscalings/status`; empty where nothing of a
    /// resource is asked for, as in discovery.
    pub resource: String,
    /// HTTP status; `None` where there was no answer.
    pub code: Option<u16>,
    /// Until the answer began: a watch goes on after that.
    pub seconds: f64,
}

/// Who is told.
pub type Told = Arc<dyn Fn(&ApiRequest) + Send + Sync>;

/// A client whose requests are told of. What a busy server refuses is not repeated behind the back
/// of whoever asked, which could take minutes: the next cycle asks anew.
///
/// # Errors
/// The configuration names files that cannot be used.
pub fn client(mut config: Config, told: Told) -> Result<Client, Error> {
    config.default_retry = false;
    let layer = layer_fn(move |inner| Counted {
        inner,
        told: Arc::clone(&told),
    });
    Ok(ClientBuilder::try_from(config)?.with_layer(&layer).build())
}

struct Counted<S> {
    inner: S,
    told: Told,
}

impl<S, B> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut pending = Pending::new(&request, Arc::clone(&self.told));
        let answer = self.inner.call(request);
        let answer = async move {
            let answer = answer.await;
            if let Ok(response) = &answer {
                pending.request.code = Some(response.status().as_u16());
            }
            drop(pending);
            answer
        };
        answer.boxed()
    }
}

/// Told of when it is dropped: whoever asked may not wait for the answer.
struct Pending {
    request: ApiRequest,
    began: Instant,
    told: Told,
}

impl Pending {
    fn new<B>(request: &Request<B>, told: Told) -> Self {
        let (verb, resource) = attributes(request);
        Self {
            request: ApiRequest {
                verb,
                resource,
                code: None,
                seconds: 0.0,
            },
            began: Instant::now(),
            told,
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.request.seconds = self.began.elapsed().as_secs_f64();
        (self.told)(&self.request);
    }
}

/// Verb and resource, as the API server works them out for RBAC.
fn attributes<B>(request: &Request<B>) -> (&'static str, String) {
    let path: Vec<&str> = request.uri().path().split('/').skip(1).collect();
    let path = match path.as_slice() {
        ["api", _, path @ ..] | ["apis", _, _, path @ ..] => path,
        _ => &[],
    };
    let path = match path {
        ["namespaces", _, path @ ..] if !path.is_empty() => path,
        path => path,
    };
    let (resource, named) = match path {
        [resource, _, part, ..] => (format!("{resource}/{part}"), true),
        [resource, _] => ((*resource).to_owned(), true),
        [resource] => ((*resource).to_owned(), false),
        [] => (String::new(), true),
    };
    let query = request.uri().query().unwrap_or_default();
    let watches = query
        .split('&')
        .any(|of| matches!(of, "watch=true" | "watch=1"));
    let verb = match *request.method() {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if named => "delete",
        Method::DELETE => "deletecollection",
        _ if watches => "watch",
        _ if named => "get",
        _ => "list",
    };
    (verb, resource)
}
