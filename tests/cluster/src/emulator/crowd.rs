//! One simulated replica that stands for all pods of a cluster: as many as a benchmark wants, at the
//! cost of one.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::server::page;
use super::world::{Order, World};
use super::{exposition, spec};

/// What a pod is taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// A server of this model.
    Server { model: String },
    /// The picker of a pool with so many servers.
    Picker {
        pool: String,
        model: String,
        servers: u64,
    },
}

/// Who a pod is, by its name; `None` where nothing answers.
pub type Roll = Arc<dyn Fn(&str) -> Option<Member> + Send + Sync>;

/// Answers for every pod. It goes when its runtime does.
#[derive(Debug)]
pub struct Crowd(SocketAddr);

#[derive(Clone)]
struct Stage {
    world: World,
    roll: Roll,
}

/// The one replica.
const STAND_IN: &str = "stand-in";

impl Crowd {
    /// Starts the first variant of a scenario's first pool, at the rate of its workload, at the
    /// clock's own speed.
    ///
    /// # Errors
    /// Where the scenario is refused.
    pub async fn start(scenario: &str, roll: Roll) -> anyhow::Result<Self> {
        let world = World::start(spec(scenario, 1.0)?);
        world.order(Order::Replicas {
            pool: 0,
            variant: 0,
            names: [STAND_IN.to_owned()].into(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let router = Router::new()
            .route("/pods/{namespace}/{pod}/metrics", get(metrics))
            .with_state(Stage { world, roll });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self(address))
    }

    /// Where it answers `/pods/NAMESPACE/POD/metrics`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0
    }
}

async fn metrics(State(stage): State<Stage>, Path((_, pod)): Path<(String, String)>) -> Response {
    match stage.of(&pod).await {
        Ok(text) => page(text),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

impl Stage {
    async fn of(&self, pod: &str) -> anyhow::Result<String> {
        let member = (self.roll)(pod).context("nobody of this name")?;
        let spec = self.world.spec().pools.first().context("no pool")?;
        match member {
            Member::Server { model } => {
                let variant = spec.variants.first().context("no variant")?;
                let reading = self.world.engine(0, 0, STAND_IN).await;
                let reading = reading.context("it does not serve yet")?;
                Ok(exposition::engine(&model, variant, &reading))
            }
            Member::Picker {
                pool,
                model,
                servers,
            } => {
                let mut reading = self.world.picker(0).await.context("no picker")?;
                reading.requests *= servers;
                reading.open *= servers;
                reading.endpoints *= servers;
                Ok(exposition::picker(&pool, &model, &reading))
            }
        }
    }
}
