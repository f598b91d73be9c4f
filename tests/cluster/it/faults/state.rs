//! What is kept for a restart, damaged or changed by others.

use anyhow::ensure;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use trimtab_cluster_tests::Namespace;
use trimtab_cluster_tests::process::Signal;
use trimtab_cluster_tests::wait::wait_until;

use super::{Counts, led_all_the_time};
use crate::decisions::{DEADLINE, grown, operate, wait_for_reason, with_chat};

/// The ConfigMaps that have the state.
async fn kept(namespace: &Namespace) -> anyhow::Result<Vec<ConfigMap>> {
    let states: Api<ConfigMap> = namespace.api();
    let labelled = ListParams::default().labels("trimtab.dev/state=trimtab");
    let kept = states.list(&labelled).await?.items;
    ensure!(!kept.is_empty(), "no state was kept");
    Ok(kept)
}

/// Changes them all as somebody else would.
pub(crate) async fn change(namespace: &Namespace, change: &Value) -> anyhow::Result<usize> {
    let states: Api<ConfigMap> = namespace.api();
    let kept = kept(namespace).await?;
    for state in &kept {
        let merge = Patch::Merge(change);
        states
            .patch(&state.name_any(), &PatchParams::default(), &merge)
            .await?;
    }
    Ok(kept.len())
}

#[tokio::test]
async fn a_state_that_was_damaged_lowers_nothing_and_is_set_aside() -> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let operator = operate(plane, namespace, chat).await?;
        let asked = grown(namespace, chat).await?;
        let counts = Counts::follow(namespace);
        // A stop that is asked for keeps what is known.
        operator.signal(Signal::TERM).await?;
        let damaged = change(namespace, &json!({"data": {"sha256": "0000"}})).await?;
        chat.prometheus.kill().await?;
        operator.restart().await?;
        let unmeasured = ("MetricsAvailable", "PrometheusError");
        wait_for_reason(namespace, "it decides without the state", unmeasured).await?;
        let aside = ListParams::default().labels("trimtab.dev/damaged-state=trimtab");
        let states: Api<ConfigMap> = namespace.api();
        assert_eq!(states.list(&aside).await?.items.len(), damaged);
        counts.never_fell(asked)
    })
    .await
}

#[tokio::test]
async fn a_state_that_another_writes_to_is_written_again_and_used() -> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let operator = operate(plane, namespace, chat).await?;
        let asked = grown(namespace, chat).await?;
        let counts = Counts::follow(namespace);
        wait_until("state is kept", DEADLINE, async || kept(namespace).await).await?;
        let mark =
            json!({"metadata": {"annotations": {"other": "was here"}}, "data": {"sha256": "0000"}});
        change(namespace, &mark).await?;
        operator
            .wait_for_log("was changed by another process")
            .await?;
        wait_until("its own state is there again", DEADLINE, async || {
            for state in kept(namespace).await? {
                let marked = state.annotations().contains_key("other");
                let damaged = state
                    .data
                    .as_ref()
                    .is_none_or(|data| data["sha256"] == "0000");
                ensure!(!marked && !damaged, "{state:?}");
            }
            Ok(())
        })
        .await?;
        led_all_the_time(&operator).await;
        operator.kill().await?;
        chat.prometheus.kill().await?;
        operator.restart().await?;
        let unmeasured = ("MetricsAvailable", "PrometheusError");
        wait_for_reason(namespace, "it goes on", unmeasured).await?;
        counts.never_fell(asked)
    })
    .await
}
