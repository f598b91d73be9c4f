//! A leader that dies, and the standby behind it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::Api;
use serde_json::{Value, json};
use trimtab_cluster_tests::fixtures::servers::scale_deployment;
use trimtab_cluster_tests::ports::free_port;
use trimtab_cluster_tests::proxy::{Asked, Treatment};
use trimtab_cluster_tests::wait::{DEADLINE, wait_until};
use trimtab_cluster_tests::{Namespace, Proxy};

use super::Counts;
use crate::decisions::{
    desired, grown, metric, operate, operate_with, scrape, wait_for, wait_for_reason, with_chat,
};

/// As `operate` sets them.
const LEASE: SignedDuration = SignedDuration::from_secs(6);
const INTERVAL: SignedDuration = SignedDuration::from_secs(2);

/// What a machine with more to do than it can may take for a few requests and a tick.
const BUSY: SignedDuration = SignedDuration::from_secs(3);

pub(super) async fn lease(namespace: &Namespace) -> anyhow::Result<LeaseSpec> {
    let leases: Api<Lease> = namespace.api();
    let lease = leases.get("trimtab").await?;
    lease.spec.context("a Lease that says nothing")
}

/// Waits until another than `before` holds the Lease.
async fn taken_over(namespace: &Namespace, before: &LeaseSpec) -> anyhow::Result<LeaseSpec> {
    wait_until("another leads", DEADLINE, async || {
        let lease = lease(namespace).await?;
        let same = lease.holder_identity == before.holder_identity;
        ensure!(!same, "{:?} still does", lease.holder_identity);
        Ok(lease)
    })
    .await
}

/// When the status was decided; in whole seconds, of which it had begun the last.
pub(super) fn decided_at(status: &Value) -> anyhow::Result<Timestamp> {
    let at = status.pointer("/desiredOptimizedAlloc/lastRunTime");
    let at = at.and_then(Value::as_str).context("no lastRunTime")?;
    Ok(at.parse()?)
}

fn is_status_write(asked: &Asked) -> bool {
    asked.method == "PATCH"
        && asked
            .path
            .ends_with("/variantautoscalings/chat-h100/status")
}

#[tokio::test]
async fn a_leader_killed_in_the_middle_of_a_tick_is_followed_within_its_lease_and_a_tick()
-> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let proxy = Proxy::start(plane).await?;
        let kubeconfig = proxy.kubeconfig().display().to_string();
        let through = [("KUBECONFIG", kubeconfig.as_str())];
        let no_metrics = ["--listen-metrics=0"];
        let leader = operate_with(plane, namespace, chat, &no_metrics, &through).await?;
        leader.wait_for_log("leading reign").await?;
        // Two looks at the Lease are not part of what is promised: they are short here.
        let standby = [
            "--listen-metrics=0",
            "--set=leaderElection.retryPeriodSeconds=0.5",
        ];
        let standby = operate_with(plane, namespace, chat, &standby, &[]).await?;
        standby.wait_for_log("the cluster is known").await?;
        let asked = grown(namespace, chat).await?;
        let counts = Counts::follow(namespace);

        // What is decided next never gets out.
        proxy.treat(|asked| match is_status_write(asked) {
            true => Treatment::Hold,
            false => Treatment::Forward,
        });
        drop(proxy.take_asked());
        scale_deployment(namespace, "chat-h100", 2).await?;
        proxy
            .wait_for("the leader is amid a write", is_status_write)
            .await?;
        leader.kill().await?;
        let before = lease(namespace).await?;
        assert!(!standby.log(usize::MAX).await.contains("leading reign"));

        let after = taken_over(namespace, &before).await?;
        let status = wait_for(namespace, "the standby decides", |status| {
            status["currentReplicas"] == json!(2)
        })
        .await?;
        let renewed = before.renew_time.context("no renewTime")?.0;
        let acquired = after.acquire_time.context("no acquireTime")?.0;
        let decided = decided_at(&status)?;
        assert!(
            acquired.duration_since(renewed) >= LEASE,
            "{acquired} is too soon"
        );
        let took = decided.duration_since(renewed) + SignedDuration::from_secs(1);
        assert!(took <= LEASE + INTERVAL + BUSY, "it took {took}");
        assert!(desired(&status) >= Some(asked), "{status:#}");
        counts.never_fell(asked)
    })
    .await
}

#[tokio::test]
async fn a_standby_goes_on_where_a_killed_leader_was() -> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let leader = operate(plane, namespace, chat).await?;
        leader.wait_for_log("leading reign").await?;
        let port = free_port()?;
        let metrics = format!("--listen-metrics=127.0.0.1:{port}");
        let standby = operate_with(plane, namespace, chat, &[&metrics], &[]).await?;
        let asked = grown(namespace, chat).await?;
        let found = ["trimtab_pool_metrics{", "state=\"found\""];
        wait_until("the standby sees what there is", DEADLINE, async || {
            let shown = scrape(port).await?;
            ensure!(metric(&shown, &found) == Some(1.0), "{shown}");
            assert_eq!(metric(&shown, &["trimtab_leader "]), Some(0.0));
            assert_eq!(metric(&shown, &["wva_desired_replicas{"]), None, "{shown}");
            Ok(())
        })
        .await?;
        assert!(!standby.log(usize::MAX).await.contains("leading reign"));
        let counts = Counts::follow(namespace);
        leader.kill().await?;
        // Measurements end with the leader: the standby has only what was kept.
        chat.prometheus.kill().await?;
        let before = lease(namespace).await?;
        let after = taken_over(namespace, &before).await?;
        let unmeasured = ("MetricsAvailable", "PrometheusError");
        let status = wait_for_reason(namespace, "the standby decides", unmeasured).await?;
        let acquired = after.acquire_time.context("no acquireTime")?.0;
        let decided = decided_at(&status)? + Duration::from_secs(1);
        assert!(decided > acquired, "the leader decided that: {status:#}");
        counts.never_fell(asked)
    })
    .await
}
