//! Workloads on a real scheduler and real controllers, with kwok for kubelets.

use anyhow::ensure;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use trimtab_cluster_tests::fixtures::groups::GroupController;
use trimtab_cluster_tests::fixtures::nodes::{GpuNode, lose};
use trimtab_cluster_tests::fixtures::pools::{PoolVersion, create_picker, create_pool};
use trimtab_cluster_tests::fixtures::servers::{
    ModelServer, is_ready, scale_deployment, wait_for_ready_pods,
};
use trimtab_cluster_tests::wait::{DEADLINE, wait_until};
use trimtab_cluster_tests::{ControlPlane, in_namespace};

use crate::scenario::H100;

#[tokio::test]
async fn a_deployment_on_a_gpu_node_becomes_available_and_scales() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    in_namespace(plane, async |namespace| {
        GpuNode::new("h100", H100, 8).create(namespace).await?;
        let server = ModelServer::new("chat", "llama").replicas(2);
        server.create_deployment(namespace).await?;
        let deployments = namespace.api::<Deployment>();
        wait_until("two replicas are available", DEADLINE, async || {
            let status = deployments.get("chat").await?.status.unwrap_or_default();
            ensure!(status.available_replicas == Some(2), "{status:?}");
            Ok(())
        })
        .await?;
        scale_deployment(namespace, "chat", 5).await?;
        wait_for_ready_pods(namespace, "app=chat", 5).await?;
        scale_deployment(namespace, "chat", 1).await?;
        wait_for_ready_pods(namespace, "app=chat", 1).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_ninth_one_gpu_pod_of_an_eight_gpu_node_stays_pending() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    in_namespace(plane, async |namespace| {
        GpuNode::new("h100", H100, 8).create(namespace).await?;
        let server = ModelServer::new("chat", "llama").replicas(9);
        server.create_deployment(namespace).await?;
        let pods = namespace.api::<Pod>();
        wait_until("eight run and one is refused", DEADLINE, async || {
            let pods = pods.list(&ListParams::default()).await?;
            let running = pods.iter().filter(|pod| phase(pod) == "Running").count();
            let refused = pods.iter().filter_map(refusal).collect::<Vec<String>>();
            ensure!(
                running == 8 && refused.len() == 1,
                "{running} run, {refused:?}"
            );
            ensure!(
                refused[0].contains("Insufficient nvidia.com/gpu"),
                "{refused:?}"
            );
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn pods_of_a_lost_node_are_replaced_elsewhere() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    in_namespace(plane, async |namespace| {
        let first = GpuNode::new("first", H100, 8).create(namespace).await?;
        let server = ModelServer::new("chat", "llama").replicas(2);
        server.create_deployment(namespace).await?;
        let before = wait_for_ready_pods(namespace, "app=chat", 2).await?;
        GpuNode::new("second", H100, 8).create(namespace).await?;
        lose(namespace, &first).await?;
        let pods = namespace.api::<Pod>();
        for pod in &before {
            pods.delete(pod, &Default::default()).await?;
        }
        // Without a kubelet nobody confirms the end of the old ones, which stay as they are.
        wait_until("two others are ready", DEADLINE, async || {
            let pods = pods.list(&ListParams::default()).await?;
            let ready = pods.iter().filter(|pod| is_ready(pod));
            let ready: Vec<String> = ready.map(ResourceExt::name_any).collect();
            ensure!(
                ready.len() == 2 && ready.iter().all(|pod| !before.contains(pod)),
                "{ready:?}"
            );
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_stateful_set_has_pods_with_lasting_names() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    in_namespace(plane, async |namespace| {
        GpuNode::new("h100", H100, 8).create(namespace).await?;
        let server = ModelServer::new("chat", "llama").replicas(2);
        server.create_stateful_set(namespace).await?;
        let pods = wait_for_ready_pods(namespace, "app=chat", 2).await?;
        ensure!(pods == ["chat-0", "chat-1"], "{pods:?}");
        let of = namespace.api::<StatefulSet>().get("chat").await?;
        assert_eq!(of.spec.and_then(|spec| spec.replicas), Some(2));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn groups_of_a_leader_worker_set_follow_its_scale() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    in_namespace(plane, async |namespace| {
        GpuNode::new("h100", H100, 16).create(namespace).await?;
        let server = ModelServer::new("large", "llama-70b").gpus("nvidia.com/gpu", 2);
        server.create_leader_worker_set(namespace, 3).await?;
        let _controller = GroupController::start(namespace);
        let pods = wait_for_ready_pods(namespace, "app=large", 3).await?;
        ensure!(pods == ["large-0", "large-0-1", "large-0-2"], "{pods:?}");

        let sets = namespace.dynamic(("leaderworkerset.x-k8s.io", "v1", "LeaderWorkerSet"));
        let two = Patch::Merge(json!({"spec": {"replicas": 2}}));
        sets.patch_scale("large", &PatchParams::default(), &two)
            .await?;
        wait_for_ready_pods(namespace, "app=large", 6).await?;
        let scale: Scale = wait_until("the scale counts two groups", DEADLINE, async || {
            let scale = sets.get_scale("large").await?;
            let scale: Scale = serde_json::from_value(serde_json::to_value(scale)?)?;
            let replicas = scale.status.as_ref().map(|status| status.replicas);
            ensure!(replicas == Some(2), "{replicas:?}");
            Ok(scale)
        })
        .await?;
        let selector = scale.status.and_then(|status| status.selector).unwrap();
        let leaders = wait_for_ready_pods(namespace, &selector, 2).await?;
        ensure!(leaders == ["large-0", "large-1"], "{leaders:?}");

        let third = "leaderworkerset.sigs.k8s.io/worker-index=2";
        wait_for_ready_pods(namespace, third, 2).await?;
        let worker = namespace.api::<Pod>().get("large-1-2").await?;
        let group = worker
            .labels()
            .get("leaderworkerset.sigs.k8s.io/group-index");
        assert_eq!(group.map(String::as_str), Some("1"));
        let workers = namespace.api::<StatefulSet>().get("large-1").await?;
        assert_eq!(workers.owner_references()[0].name, "large-1");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn pools_of_both_versions_are_taken_with_their_picker() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    in_namespace(plane, async |namespace| {
        GpuNode::new("h100", H100, 8).create(namespace).await?;
        for (version, name) in [(PoolVersion::V1, "new"), (PoolVersion::V1Alpha2, "old")] {
            create_pool(namespace, version, name, &[("app", "chat")]).await?;
            create_picker(namespace, name, 1).await?;
        }
        let both = "inferencepools.inference.networking.k8s.io,\
                    inferencepools.inference.networking.x-k8s.io";
        let get = ["get", both, "-n", namespace.name(), "-o", "name"];
        let seen = plane.kubectl(&get).await?;
        ensure!(seen.contains("/new") && seen.contains("/old"), "{seen}");
        wait_for_ready_pods(namespace, "app=new-epp", 1).await?;
        let slices = namespace.api::<EndpointSlice>();
        wait_until(
            "the picker's Service has an endpoint",
            DEADLINE,
            async || {
                let of = ListParams::default().labels("kubernetes.io/service-name=new-epp");
                let slices = slices.list(&of).await?.items;
                ensure!(
                    slices.iter().any(|slice| !slice.endpoints.is_empty()),
                    "{slices:?}"
                );
                Ok(())
            },
        )
        .await
    })
    .await
}

fn phase(pod: &Pod) -> &str {
    let status = pod.status.as_ref();
    status
        .and_then(|status| status.phase.as_deref())
        .unwrap_or("")
}

/// Why the scheduler did not place a pod.
fn refusal(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions
        .iter()
        .find(|of| of.type_ == "PodScheduled" && of.status == "False")?
        .message
        .clone()
}
