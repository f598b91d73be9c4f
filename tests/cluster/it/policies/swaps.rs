//! A pool's analyzer is swapped by every way there is, and what decides says which it is.

use anyhow::ensure;
use oci_client::client::ImageLayer;
use serde_json::json;
use trimtab_cluster_tests::fixtures::pools::{PoolVersion, create_pool};
use trimtab_cluster_tests::fixtures::scalers::variant_autoscaling;
use trimtab_cluster_tests::fixtures::servers::{APP_LABEL, ModelServer};
use trimtab_cluster_tests::scratch::Scratch;
use trimtab_cluster_tests::{Namespace, Registry, RegistryOptions};

use super::*;
use crate::decisions::{desired, operate_with, status, with_chat};

const LAYOUT: &str = "application/vnd.wasm.config.v0+json";

/// A second pool in the namespace, whose servers nobody emulates.
async fn code(namespace: &Namespace) -> anyhow::Result<()> {
    let server = ModelServer::new("code-h100", "Qwen2.5-Coder-7B");
    server.create_deployment(namespace).await?;
    create_pool(
        namespace,
        PoolVersion::V1,
        "code",
        &[(APP_LABEL, "code-h100")],
    )
    .await?;
    let variant = variant_autoscaling("code-h100", "Qwen2.5-Coder-7B", 4);
    namespace.apply_json(variant).await.map(drop)
}

async fn push(registry: &Registry, name: &str, component: Vec<u8>) -> anyhow::Result<String> {
    let layer = ImageLayer::new(component, "application/wasm".to_owned(), None);
    registry.push(name, LAYOUT, &[layer]).await
}

#[tokio::test]
async fn a_pool_is_swapped_by_file_by_object_and_by_tag_and_the_other_pool_stays_as_it_is()
-> anyhow::Result<()> {
    let registry = Registry::start(RegistryOptions::default()).await?;
    let scratch = Scratch::new("policies")?;
    let directory = scratch.path().to_owned();
    with_chat(async |plane, namespace, chat| {
        code(namespace).await?;
        put(&directory, "chat.wasm", &version(1))?;
        let flags = [
            format!("--set=policies.directory={}", directory.display()),
            format!("--set=policies.oci.insecureRegistries={}", registry.host()),
            "--set=policies.oci.refetchSeconds=1".to_owned(),
            "--listen-metrics=0".to_owned(),
        ];
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let operator = operate_with(plane, namespace, chat, &flags, &[]).await?;

        let file = json!({"source": {"directory": {"file": "chat.wasm"}}});
        scaling_policy(namespace, "by-file", file).await?;
        bind(namespace, "chat", "by-file").await?;
        let other =
            json!({"poolRef": {"name": "code"}, "analyzers": [{"settings": {"headroom": 0.2}}]});
        pool_policy(namespace, "code", other).await?;
        let shipped = digest(trimtab_sandbox::builtin("queueing-analyzer").unwrap_or_default());
        wait_for_analyzer(namespace, "chat", &digest(&version(1))).await?;
        wait_for_analyzer(namespace, "code", &shipped).await?;

        put(&directory, "chat.wasm", &version(2))?;
        wait_for_analyzer(namespace, "chat", &digest(&version(2))).await?;

        in_map(namespace, "by-map", &version(3)).await?;
        bind(namespace, "chat", "by-map").await?;
        wait_for_analyzer(namespace, "chat", &digest(&version(3))).await?;

        let pushed = push(&registry, "policies/chat:live", version(4)).await?;
        let reference = format!("{}/policies/chat:live", registry.host());
        scaling_policy(
            namespace,
            "by-tag",
            json!({"source": {"oci": {"reference": reference}}}),
        )
        .await?;
        bind(namespace, "chat", "by-tag").await?;
        wait_for_analyzer(namespace, "chat", &digest(&version(4))).await?;
        let told = status_of(namespace, SCALING_POLICY, "by-tag").await?;
        ensure!(told["resolved"] == pushed.as_str(), "{told}");
        ensure!(told["roles"] == "analyzer", "{told}");
        ensure!(
            told["usedBy"].to_string().contains("/chat (analyzer)"),
            "{told}"
        );
        push(&registry, "policies/chat:live", version(5)).await?;
        let of_pool = wait_for_analyzer(namespace, "chat", &digest(&version(5))).await?;
        ensure!(
            of_pool["analyzers"][0]
                .to_string()
                .contains("queueing-analyzer"),
            "{of_pool}"
        );

        // The registry is gone: what runs runs on, and a condition says so.
        registry.kill().await?;
        let why = wait_for_reason(
            namespace,
            SCALING_POLICY,
            "by-tag",
            ("Ready", "FetchFailed"),
        )
        .await?;
        ensure!(why.contains("goes on"), "{why}");
        wait_for_analyzer(namespace, "chat", &digest(&version(5))).await?;
        ensure!(
            desired(&status(namespace).await?).is_some(),
            "nothing is asked for"
        );

        let other = pool_status(namespace, "code").await?;
        ensure!(other["analyzers"].to_string().contains(&shipped), "{other}");
        let log = operator.log(usize::MAX).await;
        ensure!(
            !log.contains("took too long"),
            "a cycle was given up:\n{log}"
        );
        Ok(())
    })
    .await
}
