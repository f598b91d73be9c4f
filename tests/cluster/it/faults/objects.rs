//! Objects that are deleted in use, and made again.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, DeleteParams, DynamicObject};
use trimtab_cluster_tests::fixtures::servers::ModelServer;

use super::Counts;
use crate::decisions::{
    VARIANT, claim, desired, grown, operate, wait_for, wait_for_reason, with_chat,
};

#[tokio::test]
async fn a_target_and_then_its_variant_that_are_made_again_go_on_with_their_count()
-> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let operator = operate(plane, namespace, chat).await?;
        let asked = grown(namespace, chat).await?;
        let counts = Counts::follow(namespace);

        let deployments: Api<Deployment> = namespace.api();
        let at_once = DeleteParams::default();
        deployments.delete("chat-h100", &at_once).await?;
        let missed = ("TargetResolved", "TargetNotFound");
        wait_for_reason(namespace, "the target is missed", missed).await?;
        let server = ModelServer::new("chat-h100", "Llama-3.1-8B").replicas(1);
        server.create_deployment(namespace).await?;
        let found = ("TargetResolved", "TargetFound");
        wait_for_reason(namespace, "the target is found", found).await?;

        let variants: Api<DynamicObject> = namespace.dynamic(VARIANT);
        variants.delete("chat-h100", &at_once).await?;
        claim(namespace).await?;
        let has_count = |status: &_| desired(status).is_some();
        wait_for(namespace, "the new object is told", has_count).await?;
        assert!(operator.is_running().await);
        counts.never_fell(asked)
    })
    .await
}
