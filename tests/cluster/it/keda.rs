//! KEDA scales for real: its operator, its adapter, and the HPA controller that asks them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use trimtab_cluster_tests::fixtures::nodes::{GpuNode, H100};
use trimtab_cluster_tests::fixtures::servers::{ModelServer, wait_for_ready_pods};
use trimtab_cluster_tests::{
    ControlPlane, Keda, Namespace, Options, Prometheus, PrometheusOptions, in_namespace,
};

#[tokio::test]
async fn a_scaled_object_scales_a_deployment_up_to_zero_and_from_zero() -> anyhow::Result<()> {
    let plane = ControlPlane::start(Options::default()).await?;
    let keda = Keda::start(&plane).await?;
    in_namespace(&plane, async |namespace| {
        let demand = Demand::start(&plane).await?;
        scale_by(namespace, &demand.prometheus).await?;
        demand.set(3);
        wait_for_ready_pods(namespace, "app=chat", 3).await?;
        demand.set(0);
        wait_for_ready_pods(namespace, "app=chat", 0).await?;
        demand.set(1);
        wait_for_ready_pods(namespace, "app=chat", 1).await?;
        keda.stop().await
    })
    .await
}

#[tokio::test]
async fn a_killed_operator_of_keda_scales_again_when_it_is_back() -> anyhow::Result<()> {
    let plane = ControlPlane::start(Options::default()).await?;
    let keda = Keda::start(&plane).await?;
    in_namespace(&plane, async |namespace| {
        let demand = Demand::start(&plane).await?;
        scale_by(namespace, &demand.prometheus).await?;
        demand.set(2);
        wait_for_ready_pods(namespace, "app=chat", 2).await?;
        keda.operator().kill().await?;
        demand.set(3);
        demand
            .prometheus
            .wait_for("demand", |of| of.iter().any(|of| of.1 == 3.0))
            .await?;
        keda.operator().restart().await?;
        wait_for_ready_pods(namespace, "app=chat", 3).await?;
        Ok(())
    })
    .await
}

/// A metric that the test sets, and the Prometheus that has it.
struct Demand {
    prometheus: Prometheus,
    value: Arc<AtomicUsize>,
}

impl Demand {
    async fn start(plane: &ControlPlane) -> anyhow::Result<Self> {
        let value = Arc::new(AtomicUsize::new(1));
        let served = Arc::clone(&value);
        let metrics = get(async move || format!("demand {}\n", served.load(Ordering::Relaxed)));
        let router = Router::new().route("/metrics", metrics);
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let options = PrometheusOptions {
            jobs: [("demand".to_owned(), listener.local_addr()?)].into(),
            ..PrometheusOptions::default()
        };
        tokio::spawn(async move { axum::serve(listener, router).await });
        let prometheus = Prometheus::start(plane, options).await?;
        Ok(Self { prometheus, value })
    }

    fn set(&self, value: usize) {
        self.value.store(value, Ordering::Relaxed);
    }
}

/// A Deployment of one server, and a ScaledObject that wants as many as are demanded.
async fn scale_by(namespace: &Namespace, prometheus: &Prometheus) -> anyhow::Result<()> {
    GpuNode::new("h100", H100, 8).create(namespace).await?;
    let server = ModelServer::new("chat", "Llama-3.1-8B");
    server.create_deployment(namespace).await?;
    wait_for_ready_pods(namespace, "app=chat", 1).await?;
    let scaled_object = json!({
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "chat"},
        "spec": {
            "scaleTargetRef": {"name": "chat"},
            "minReplicaCount": 0,
            "maxReplicaCount": 5,
            "pollingInterval": 1,
            "cooldownPeriod": 1,
            "triggers": [{"type": "prometheus", "metadata": {
                "serverAddress": prometheus.url(),
                "query": "sum(demand)",
                "threshold": "1",
            }}],
        },
    });
    namespace.apply_json(scaled_object).await?;
    Ok(())
}
