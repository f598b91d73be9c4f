//! The fleet that these tests emulate.

use trimtab_cluster_tests::emulator::PoolPods;
use trimtab_cluster_tests::fixtures::nodes::GpuNode;
pub(crate) use trimtab_cluster_tests::fixtures::nodes::H100;
use trimtab_cluster_tests::fixtures::pools::{
    PoolVersion, create_picker, create_pool, picker_name,
};
use trimtab_cluster_tests::fixtures::scenario::chat;
use trimtab_cluster_tests::fixtures::servers::{APP_LABEL, ModelServer, wait_for_ready_pods};
use trimtab_cluster_tests::{ControlPlane, Emulator, Namespace, Prometheus, PrometheusOptions};

/// Requests per second before a rate is set: one a minute or so.
const QUIET: f64 = 0.02;

/// A pool with its picker and so many ready servers, emulated and scraped.
pub(crate) struct Chat {
    pub(crate) pods: Vec<String>,
    pub(crate) picker: String,
    pub(crate) emulator: Emulator,
    pub(crate) prometheus: Prometheus,
}

impl Chat {
    pub(crate) async fn start(
        plane: &ControlPlane,
        namespace: &Namespace,
        replicas: u32,
        speed: f64,
    ) -> anyhow::Result<Self> {
        GpuNode::new("h100", H100, 8).create(namespace).await?;
        let server = ModelServer::new("chat-h100", "Llama-3.1-8B").replicas(replicas);
        server.create_deployment(namespace).await?;
        Self::of_workload(plane, namespace, replicas, speed).await
    }

    /// The same where the workload `chat-h100` and its node are there, or will be.
    pub(crate) async fn of_workload(
        plane: &ControlPlane,
        namespace: &Namespace,
        replicas: u32,
        speed: f64,
    ) -> anyhow::Result<Self> {
        let name = namespace.name();
        let member = (APP_LABEL, "chat-h100");
        create_pool(namespace, PoolVersion::V1, "chat", &[member]).await?;
        create_picker(namespace, "chat", 1).await?;
        let epp = picker_name("chat");
        let behind = PoolPods::by_app(name, &["chat-h100"], Some(&epp));
        let emulator = Emulator::start(plane, &chat(QUIET), speed, vec![behind]).await?;
        let options = PrometheusOptions {
            namespaces: vec![name.to_owned()],
            pods: Some(emulator.address()),
            ..PrometheusOptions::default()
        };
        let prometheus = Prometheus::start(plane, options).await?;
        let picker = wait_for_ready_pods(namespace, &format!("{APP_LABEL}={epp}"), 1).await?;
        let selector = format!("{APP_LABEL}=chat-h100");
        Ok(Self {
            pods: wait_for_ready_pods(namespace, &selector, replicas as usize).await?,
            picker: picker.concat(),
            emulator,
            prometheus,
        })
    }
}
