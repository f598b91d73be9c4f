//! One workload that is asked for twice.

use anyhow::ensure;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use serde_json::{Value, json};
use trimtab_cluster_tests::fixtures::scalers::hpa;
use trimtab_cluster_tests::wait::{DEADLINE, wait_until};

use crate::decisions::{desired, operate, wait_for_reason, with_chat};

#[tokio::test]
async fn two_that_scale_one_target_are_both_told_and_nothing_is_decided() -> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let metadata = json!({"name": "chat-h100-hpa", "annotations": {
            "llm-d.ai/managed": "true",
            "llm-d.ai/model-id": "Llama-3.1-8B",
        }});
        let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat-h100"});
        namespace.apply_json(hpa(metadata, &target, (1, 5))).await?;
        let _operator = operate(plane, namespace, chat).await?;
        let refused = ("OptimizationReady", "InvalidConfiguration");
        let status = wait_for_reason(namespace, "the variant is refused", refused).await?;
        let why = status["reason"].as_str().unwrap_or_default();
        assert!(why.contains("HorizontalPodAutoscaler"), "{status:#}");
        assert_eq!(desired(&status), None, "{status:#}");
        let events = namespace.api::<Event>();
        for (kind, other) in [
            ("VariantAutoscaling", "HorizontalPodAutoscaler"),
            ("HorizontalPodAutoscaler", "VariantAutoscaling"),
        ] {
            wait_until(&format!("the {kind} is told"), DEADLINE, async || {
                let all = events.list(&ListParams::default()).await?;
                let all: Vec<Value> = all.iter().map(|of| json!(of)).collect();
                let told = all.iter().any(|event| {
                    event["regarding"]["kind"] == kind
                        && event["reason"] == "TargetConflict"
                        && event["note"]
                            .as_str()
                            .is_some_and(|note| note.contains(other))
                });
                ensure!(told, "{all:#?}");
                Ok(())
            })
            .await?;
        }
        Ok(())
    })
    .await
}
