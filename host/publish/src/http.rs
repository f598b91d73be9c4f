//! Serving over HTTP, and the routes of `/metrics`, `/healthz` and `/readyz`. Knows nothing of what
//! they say.

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::{Future, IntoFuture as _};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::{IncomingStream, Listener};
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::health::{Answer, Health};
use crate::metrics::Registry;
use crate::tls::Peer;

/// How long a request that is under way when the server stops may still take: a scrape has 10 s
/// by default, and a pod 30 s in all to end.
const DRAIN: Duration = Duration::from_secs(5);

/// Why a server ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the HTTP server cannot go on accepting connections")]
    Accept(#[source] io::Error),
    #[error("a request to the HTTP server was still under way {} s after its stop", DRAIN.as_secs())]
    Drain,
}

/// An address that goes on being listened on when a server of it ends.
#[derive(Clone, Debug)]
pub struct Shared(pub Arc<TcpListener>);

impl Listener for Shared {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.0.accept().await {
                Ok(accepted) => return accepted,
                // Too many files are open, most likely.
                Err(_) => sleep(Duration::from_secs(1)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(_: IncomingStream<'_, TcpListener>) -> Self {
        Self::default()
    }
}

impl Connected<IncomingStream<'_, Shared>> for Peer {
    fn connect_info(_: IncomingStream<'_, Shared>) -> Self {
        Self::default()
    }
}

/// `/metrics`.
pub fn metrics(registry: Arc<Registry>) -> Router {
    Router::new().route("/metrics", get(async move || show(&registry)))
}

/// `/healthz` and `/readyz`. The clock is the one whose instants [`Health`] was told.
pub fn health(
    health: Arc<Health>,
    clock: impl Fn() -> Duration + Clone + Send + Sync + 'static,
) -> Router {
    let live = Arc::clone(&health);
    Router::new()
        .route("/healthz", get(async move || probe(live.live(clock()))))
        .route("/readyz", get(async move || probe(health.ready())))
}

/// Serves until `shutdown` is there and the requests under way are answered.
///
/// Routes that share an address are put together with [`Router::merge`].
///
/// # Errors
/// Where no more connections can be accepted, or a request does not end.
pub async fn serve<L: Listener>(
    listener: L,
    routes: Router,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError>
where
    L::Addr: fmt::Debug,
    Peer: for<'a> Connected<IncomingStream<'a, L>>,
{
    let routes = routes.into_make_service_with_connect_info::<Peer>();
    let (stop, stopping) = oneshot::channel::<()>();
    // A sender that is gone means the same.
    let stopped = async move {
        let _ = stopping.await;
    };
    let server = axum::serve(listener, routes).with_graceful_shutdown(stopped);
    let mut server = std::pin::pin!(server.into_future());
    tokio::select! {
        ended = &mut server => return ended.map_err(ServeError::Accept),
        () = shutdown => drop(stop),
    }
    match timeout(DRAIN, server).await {
        Ok(ended) => ended.map_err(ServeError::Accept),
        Err(_) => Err(ServeError::Drain),
    }
}

fn show(registry: &Registry) -> Response {
    match registry.render() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "the metrics cannot be written\n",
        )
            .into_response(),
    }
}

fn probe(answer: Answer) -> Response {
    let status = if answer.passed {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, answer.text).into_response()
}
