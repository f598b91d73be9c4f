//! An API server that is gone, forgets, refuses or is busy.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::json;
use tokio::time::Instant;
use trimtab_cluster_tests::fixtures::scalers::variant_autoscaling;
use trimtab_cluster_tests::fixtures::servers::{ModelServer, scale_deployment};
use trimtab_cluster_tests::ports::free_port;
use trimtab_cluster_tests::proxy::{Answer, Asked, Treatment};
use trimtab_cluster_tests::wait::{DEADLINE, wait_until};
use trimtab_cluster_tests::{ControlPlane, Namespace, Operator, Proxy, in_namespace};

use super::leader::lease;
use super::{Counts, led_all_the_time};
use crate::decisions::{
    HEAVY, VARIANT, claim, desired, grown, install_own, metric, operate, operate_with, scrape,
    wait_for, wait_for_reason, with_chat,
};
use crate::scenario::Chat;

/// An operator that reaches the API server through a proxy, and the port of its metrics.
async fn through(
    proxy: &Proxy,
    plane: &ControlPlane,
    namespace: &Namespace,
    chat: &Chat,
) -> anyhow::Result<(Operator, u16)> {
    let port = free_port()?;
    let listen = format!("--listen-metrics=127.0.0.1:{port}");
    let kubeconfig = proxy.kubeconfig().display().to_string();
    let environment = [("KUBECONFIG", kubeconfig.as_str())];
    let operator = operate_with(plane, namespace, chat, &[&listen], &environment).await?;
    Ok((operator, port))
}

fn is_lease(asked: &Asked) -> bool {
    asked.path.contains("/leases")
}

async fn wait_for_replicas(namespace: &Namespace, replicas: u32) -> anyhow::Result<()> {
    wait_for(namespace, "the change is seen", |status| {
        status["currentReplicas"] == json!(replicas)
    })
    .await
    .map(drop)
}

#[tokio::test]
async fn an_api_server_that_is_killed_and_comes_back_lowers_nothing() -> anyhow::Result<()> {
    let plane = ControlPlane::start(Default::default()).await?;
    install_own(&plane).await?;
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
        wait_for_replicas(namespace, 2).await?;
        assert!(operator.is_running().await);
        counts.never_fell(asked)
    })
    .await
}

/// A second variant, which nobody asks anything.
async fn claim_another(namespace: &Namespace) -> anyhow::Result<()> {
    let server = ModelServer::new("idle-h100", "Other").replicas(1);
    server.create_deployment(namespace).await?;
    namespace
        .apply_json(variant_autoscaling("idle-h100", "Other", 6))
        .await
        .map(drop)
}

async fn wait_for_another(port: u16, is_there: bool) -> anyhow::Result<()> {
    let what = format!("the other variant is there: {is_there}");
    wait_until(&what, DEADLINE, async || {
        let metrics = scrape(port).await?;
        let words = ["wva_desired_replicas{", "idle-h100"];
        ensure!(
            metric(&metrics, &words).is_some() == is_there,
            "it is not so"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_changed_while_watches_were_broken_and_had_expired_is_seen() -> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        claim_another(namespace).await?;
        let proxy = Proxy::start(plane).await?;
        let (_operator, port) = through(&proxy, plane, namespace, chat).await?;
        wait_for_another(port, true).await?;
        let asked = grown(namespace, chat).await?;
        let counts = Counts::follow(namespace);

        // Watches cannot be resumed, and lists do not go through.
        proxy.treat(|asked| match (asked.is_watch(), asked.method == "GET") {
            (true, _) => Treatment::Answer(Answer::refusal(410, "Expired")),
            (_, true) if !is_lease(asked) => {
                Treatment::Answer(Answer::refusal(500, "InternalError"))
            }
            _ => Treatment::Forward,
        });
        drop(proxy.take_asked());
        proxy.cut();
        let is_list = |asked: &Asked| asked.path.ends_with("/deployments") && !asked.is_watch();
        proxy.wait_for("it would list again", is_list).await?;
        scale_deployment(namespace, "chat-h100", 2).await?;
        let variants: Api<DynamicObject> = namespace.dynamic(VARIANT);
        variants
            .delete("idle-h100", &DeleteParams::default())
            .await?;
        proxy.forward();
        wait_for_replicas(namespace, 2).await?;
        wait_for_another(port, false).await?;

        // A watch that is told in its stream that it has expired.
        proxy.treat(|asked| match asked.is_watch() {
            true => Treatment::Answer(Answer::expired()),
            false => Treatment::Forward,
        });
        proxy.cut();
        scale_deployment(namespace, "chat-h100", 3).await?;
        wait_for_replicas(namespace, 3).await?;
        counts.never_fell(asked)
    })
    .await
}

#[tokio::test]
async fn a_busy_api_server_is_left_alone_and_the_counts_are_published() -> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let proxy = Proxy::start(plane).await?;
        let (operator, port) = through(&proxy, plane, namespace, chat).await?;
        let measured = ("MetricsAvailable", "MetricsFound");
        wait_for_reason(namespace, "it is measured", measured).await?;
        let counts = Counts::follow(namespace);

        // Leases have a priority of their own.
        proxy.treat(|asked| match is_lease(asked) {
            true => Treatment::Forward,
            false => Treatment::Answer(Answer::too_many(1)),
        });
        drop(proxy.take_asked());
        let since = Instant::now();
        proxy.cut();
        chat.emulator.set_rate(0, HEAVY);
        let asked = wait_until(
            "more are asked for",
            crate::decisions::DEADLINE,
            async || {
                let metrics = scrape(port).await?;
                let asked = metric(&metrics, &["wva_desired_replicas{"]);
                asked.filter(|asked| *asked > 1.0).context("not more")
            },
        )
        .await?;
        let is_status = |asked: &Asked| asked.path.ends_with("/status");
        proxy
            .wait_for("the status is to be written", is_status)
            .await?;
        let seconds = since.elapsed().as_secs_f64();
        let mut times: BTreeMap<(String, bool), f64> = BTreeMap::new();
        for asked in proxy.take_asked().iter().filter(|asked| !is_lease(asked)) {
            *times
                .entry((asked.path.clone(), asked.is_watch()))
                .or_default() += 1.0;
        }
        // Asked again a second later, as it was told; and anew by each tick.
        let most = seconds + 0.5 * seconds + 2.0;
        assert!(
            times.values().all(|of| *of <= most),
            "{seconds} s: {times:?}"
        );

        proxy.forward();
        let shown = |status: &_| desired(status) >= Some(asked as u64);
        wait_for(namespace, "it is shown too", shown).await?;
        scale_deployment(namespace, "chat-h100", 2).await?;
        wait_for_replicas(namespace, 2).await?;
        led_all_the_time(&operator).await;
        counts.never_fell(1)
    })
    .await
}

#[tokio::test]
async fn a_lease_that_another_writes_to_stays_with_its_leader() -> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let proxy = Proxy::start(plane).await?;
        let (operator, _) = through(&proxy, plane, namespace, chat).await?;
        operator.wait_for_log("leading reign").await?;
        let before = lease(namespace).await?;

        // Between the leader's look and its write, so that the API server refuses that.
        let is_renewal = |asked: &Asked| asked.method == "PUT" && is_lease(asked);
        proxy.treat(move |asked| match is_renewal(asked) {
            true => Treatment::Hold,
            false => Treatment::Forward,
        });
        drop(proxy.take_asked());
        proxy.wait_for("it would renew", is_renewal).await?;
        let leases: Api<k8s_openapi::api::coordination::v1::Lease> = namespace.api();
        let mark = json!({"metadata": {"annotations": {"other": "was here"}}});
        let mark = Patch::Merge(mark);
        leases
            .patch("trimtab", &PatchParams::default(), &mark)
            .await?;
        let held = lease(namespace).await?;
        proxy.forward();
        wait_until("it is renewed", DEADLINE, async || {
            let now = lease(namespace).await?;
            ensure!(now.renew_time > held.renew_time, "{now:?}");
            assert_eq!(now.holder_identity, before.holder_identity);
            assert_eq!(now.lease_transitions, before.lease_transitions);
            Ok(())
        })
        .await?;
        led_all_the_time(&operator).await;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_status_that_another_manager_takes_is_taken_back() -> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let port = free_port()?;
        let listen = format!("--listen-metrics=127.0.0.1:{port}");
        let _operator = operate_with(plane, namespace, chat, &[&listen], &[]).await?;
        let asked = grown(namespace, chat).await?;
        let variants: Api<DynamicObject> = namespace.dynamic(VARIANT);
        let theirs = json!({
            "apiVersion": "llmd.ai/v1alpha1",
            "kind": "VariantAutoscaling",
            "metadata": {"name": "chat-h100"},
            "status": {"desiredOptimizedAlloc": {"numReplicas": 1, "accelerator": "theirs"}},
        });
        let parameters = PatchParams::apply("other").force();
        let theirs = Patch::Apply(theirs);
        variants
            .patch_status("chat-h100", &parameters, &theirs)
            .await?;
        let soon = Duration::from_secs(20);
        wait_until("it is ours again", soon, async || {
            let published = metric(&scrape(port).await?, &["wva_desired_replicas{"]);
            assert!(published >= Some(asked as f64), "{published:?}");
            let status = crate::decisions::status(namespace).await?;
            ensure!(desired(&status) >= Some(asked), "{status:#}");
            Ok(())
        })
        .await
    })
    .await
}
