//! Serving over HTTP, and the routes of `/metrics`, `/healthz` and `/readyz`. Knows nothing of what
//! they say.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use crate::health::{Answer, Health};
use crate::metrics::Registry;
use crate::tls::Peer;

/// How long a request that is under way when the server stops may still take: a scrape has 10 s
/// by default, and a pod 30 s in all to end.
const DRAIN: Duration = Duration::from_secs(5);

/// Most requests under way on one HTTP/2 connection. KEDA has one for all its triggers, and on it a
/// stream for each that is pushed.
const STREAMS: u32 = 20_000;

/// How long an HTTP/1 connection may be without a request: longer than between two scrapes.
const IDLE: Duration = Duration::from_secs(180);
/// How often an HTTP/2 connection is looked at: a peer that is gone says nothing, and its streams
/// would stay.
const ALIVE: Duration = Duration::from_secs(30);

/// A request was still under way when the server was to have ended.
#[derive(Debug, thiserror::Error)]
#[error("a request to the HTTP server was still under way {} s after its stop", DRAIN.as_secs())]
pub struct Undrained;

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

impl From<SocketAddr> for Peer {
    fn from(_: SocketAddr) -> Self {
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
/// Where a request does not end.
pub async fn serve<L: Listener>(
    mut listener: L,
    routes: Router,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), Undrained>
where
    Peer: From<L::Addr>,
{
    let mut server = Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(ALIVE)
        .max_concurrent_streams(STREAMS);
    let connections = GracefulShutdown::new();
    // Connections end with it, and what is asked on them hears of that.
    let mut tasks = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let (stream, address) = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = tasks.join_next() => continue,
            () = &mut shutdown => break,
        };
        let (routes, peer) = (routes.clone(), ConnectInfo(Peer::from(address)));
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            routes.clone().oneshot(request)
        });
        let connection = server.serve_connection(TokioIo::new(stream), service);
        let connection = connections.watch(connection.into_owned());
        // Whoever breaks off hears nothing more.
        tasks.spawn(async move { drop(connection.await) });
    }
    drop(listener);
    let drained = timeout(DRAIN, connections.shutdown()).await;
    drained.map_err(|_| Undrained)
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
