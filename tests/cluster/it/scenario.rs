//! The fleet that these tests emulate.

use trimtab_cluster_tests::emulator::PoolPods;
use trimtab_cluster_tests::fixtures::nodes::GpuNode;
use trimtab_cluster_tests::fixtures::pools::{
    PoolVersion, create_picker, create_pool, picker_name,
};
use trimtab_cluster_tests::fixtures::servers::{APP_LABEL, ModelServer, wait_for_ready_pods};
use trimtab_cluster_tests::{ControlPlane, Emulator, Namespace, Prometheus, PrometheusOptions};

pub(crate) const H100: &str = "NVIDIA-H100-80GB-HBM3";

/// A pool `chat` with one variant `chat-h100`; nothing arrives before a rate is set but a request a
/// minute.
const CHAT: &str = "
name: chat
description: One pool with one variant.
seed: 1
duration-seconds: 600
inventory: {H100: 8}
policies:
  analyzer: {policy: \"builtin:queueing-analyzer\"}
  optimizer: {policy: \"builtin:cost-optimizer\"}
pools:
  - name: chat
    model: Llama-3.1-8B
    objective: {ttft-seconds: 1, itl-seconds: 0.05, percentile: 0.99}
    workload:
      generate:
        arrivals: [{poisson: {rate: 0.02}}]
        input-tokens: {mean: 500, cv: 0.5, max: 4000}
        output-tokens: {mean: 100, cv: 0.5, max: 1000}
    variants: [{name: chat-h100, accelerator: H100, max-replicas: 8}]
";

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
        let name = namespace.name();
        GpuNode::new("h100", H100, 8).create(namespace).await?;
        let server = ModelServer::new("chat-h100", "Llama-3.1-8B").replicas(replicas);
        server.create_deployment(namespace).await?;
        create_pool(
            namespace,
            PoolVersion::V1,
            "chat",
            &[(APP_LABEL, "chat-h100")],
        )
        .await?;
        create_picker(namespace, "chat", 1).await?;
        let epp = picker_name("chat");
        let behind = PoolPods::by_app(name, &["chat-h100"], Some(&epp));
        let emulator = Emulator::start(plane, CHAT, speed, vec![behind]).await?;
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
