//! Answers the scrapes of all pods.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::answers::{Answer, Answers};
use super::exposition;
use super::pods::{Behind, Routes};
use super::world::World;

/// What Prometheus takes for text in its own format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Clone)]
struct Server {
    routes: Routes,
    answers: Arc<Answers>,
    world: World,
}

pub(super) async fn serve(
    listener: TcpListener,
    routes: Routes,
    answers: Arc<Answers>,
    world: World,
) -> anyhow::Result<()> {
    let server = Server {
        routes,
        answers,
        world,
    };
    let router = Router::new()
        .route("/pods/{namespace}/{pod}/metrics", get(metrics))
        .with_state(server);
    Ok(axum::serve(listener, router).await?)
}

async fn metrics(
    State(server): State<Server>,
    Path((namespace, pod)): Path<(String, String)>,
) -> Response {
    match server.answers.get(&namespace, &pod) {
        Some(Answer::Text(text)) => page(text),
        Some(Answer::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Some(Answer::Html) => {
            let html = [(header::CONTENT_TYPE, "text/html")];
            (html, "<!doctype html><title>Sign in</title>").into_response()
        }
        Some(Answer::Hang) => std::future::pending().await,
        Some(Answer::Empty) => page(String::new()),
        None => match server.own(&namespace, &pod).await {
            Some(text) => page(text),
            None => StatusCode::NOT_FOUND.into_response(),
        },
    }
}

pub(super) fn page(text: String) -> Response {
    ([(header::CONTENT_TYPE, TEXT)], text).into_response()
}

impl Server {
    /// What a pod exports itself; `None` where none of this name is ready.
    async fn own(&self, namespace: &str, pod: &str) -> Option<String> {
        let pools = &self.world.spec().pools;
        match self.routes.get(namespace, pod)? {
            Behind::Engine { pool, variant } => {
                let reading = self.world.engine(pool, variant, pod).await?;
                let of_pool = pools.get(pool)?;
                let of_variant = of_pool.variants.get(variant)?;
                Some(exposition::engine(&of_pool.model, of_variant, &reading))
            }
            Behind::Picker { pool } => {
                let reading = self.world.picker(pool).await?;
                let of_pool = pools.get(pool)?;
                Some(exposition::picker(&of_pool.name, &of_pool.model, &reading))
            }
        }
    }
}
