//! An API server that is gone, forgets, refuses or is busy.

use serde_json::json;
use trimtab_cluster_tests::fixtures::servers::scale_deployment;
use trimtab_cluster_tests::wait::{DEADLINE, wait_until};
use trimtab_cluster_tests::{ControlPlane, in_namespace};

use super::Counts;
use crate::decisions::{claim, grown, install, operate, wait_for};
use crate::scenario::Chat;

#[tokio::test]
async fn an_api_server_that_is_killed_and_comes_back_lowers_nothing() -> anyhow::Result<()> {
    let plane = ControlPlane::start(Default::default()).await?;
    install(&plane).await?;
    in_namespace(&plane, async |namespace| {
        let chat = Chat::start(&plane, namespace, 1, 10.0).await?;
        claim(namespace).await?;
        let operator = operate(&plane, namespace, &chat).await?;
        let asked = grown(namespace, &chat).await?;
        let counts = Counts::follow(namespace);
        plane.kill("kube-apiserver").await?;
        // Who cannot renew the Lease does not take itself for the leader.
        operator.wait_for_log("standing=Follower").await?;
        plane.restart("kube-apiserver").await?;
        wait_until("the pool is scaled by hand", DEADLINE, async || {
            scale_deployment(namespace, "chat-h100", 2).await
        })
        .await?;
        wait_for(namespace, "it goes on", |status| {
            status["currentReplicas"] == json!(2)
        })
        .await?;
        assert!(operator.is_running().await);
        counts.never_fell(asked)
    })
    .await
}
