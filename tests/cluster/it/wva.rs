//! A cluster that has WVA's own definition of a VariantAutoscaling keeps it.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, DeleteParams, DynamicObject};
use serde_json::json;
use trimtab_cluster_tests::fixtures::crds::{Crd, install};
use trimtab_cluster_tests::{ControlPlane, in_namespace};

use crate::decisions::{VARIANT, claim, desired, operate, wait_for_reason};
use crate::scenario::Chat;

#[tokio::test]
async fn wvas_schema_is_written_and_a_target_that_is_deleted_keeps_its_count() -> anyhow::Result<()>
{
    let plane = ControlPlane::start(Default::default()).await?;
    install(&plane, &[Crd::VariantAutoscalingOfWva]).await?;
    in_namespace(&plane, async |namespace| {
        let chat = Chat::start(&plane, namespace, 2, 10.0).await?;
        claim(namespace).await?;
        let operator = operate(&plane, namespace, &chat).await?;
        let status = wait_for_reason(
            namespace,
            "it is measured",
            ("MetricsAvailable", "MetricsFound"),
        )
        .await?;
        assert_eq!(desired(&status), Some(2), "{status:#}");
        assert_eq!(status["actuation"]["applied"], json!(true));
        assert_eq!(status.get("reason"), None, "WVA's schema has no such field");

        let deployments: Api<Deployment> = namespace.api();
        deployments
            .delete("chat-h100", &DeleteParams::default())
            .await?;
        let status = wait_for_reason(
            namespace,
            "the target is missed",
            ("TargetResolved", "TargetNotFound"),
        )
        .await?;
        assert_eq!(desired(&status), Some(2), "{status:#}");

        let variants: Api<DynamicObject> = namespace.dynamic(VARIANT);
        variants
            .delete("chat-h100", &DeleteParams::default())
            .await?;
        claim(namespace).await?;
        let status = wait_for_reason(
            namespace,
            "the new object is told the same",
            ("TargetResolved", "TargetNotFound"),
        )
        .await?;
        assert_eq!(desired(&status), None, "{status:#}");
        assert!(operator.is_running().await);
        Ok(())
    })
    .await
}
