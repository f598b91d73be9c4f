//! Faults while a real HPA controller scales by what we say: no replica is lost by any of them.

use anyhow::ensure;
use trimtab_cluster_tests::emulator::Answer;
use trimtab_cluster_tests::process::Signal;
use trimtab_cluster_tests::{ControlPlane, Namespace, Operator, Options, in_namespace};

use super::hpa::{Served, scale_by_hpa, wait_for_reason};
use super::{DEPLOYMENT, Floor, wait_for_count};
use crate::decisions::{self, HEAVY, install_own};
use crate::scenario::Chat;

const MEASURED: (&str, &str) = ("MetricsAvailable", "MetricsFound");

#[tokio::test]
async fn no_fault_takes_a_replica_away() -> anyhow::Result<()> {
    let plane = ControlPlane::start(Options::default()).await?;
    install_own(&plane).await?;
    in_namespace(&plane, async |namespace| {
        let served = Served::start(&plane, namespace).await?;
        let (chat, operator) = (&served.chat, &served.operator);
        scale_by_hpa(namespace, 6).await?;
        chat.emulator.set_rate(0, HEAVY);
        let target = (DEPLOYMENT, "chat-h100");
        let grown = wait_for_count(namespace, target, "grows", |count| count > 2).await?;
        let floor = Floor::follow(namespace, DEPLOYMENT, "chat-h100").await?;

        prometheus_goes_and_hangs(namespace, chat).await?;
        a_server_talks_nonsense(namespace, chat).await?;
        the_api_server_goes(&plane, namespace).await?;
        we_hang(namespace, operator).await?;
        floor.never_fell()?;
        let count = super::set(namespace, DEPLOYMENT, "chat-h100").await?;
        ensure!(count >= grown, "it had {grown}, and has {count}");
        Ok(())
    })
    .await
}

async fn prometheus_goes_and_hangs(namespace: &Namespace, chat: &Chat) -> anyhow::Result<()> {
    let unmeasured = ("MetricsAvailable", "PrometheusError");
    chat.prometheus.kill().await?;
    decisions::wait_for_reason(namespace, "it is gone", unmeasured).await?;
    chat.prometheus.restart().await?;
    decisions::wait_for_reason(namespace, "it is back", MEASURED).await?;
    chat.prometheus.signal(Signal::STOP).await?;
    decisions::wait_for_reason(namespace, "it hangs", unmeasured).await?;
    chat.prometheus.signal(Signal::CONT).await?;
    decisions::wait_for_reason(namespace, "it goes on", MEASURED).await?;
    Ok(())
}

async fn a_server_talks_nonsense(namespace: &Namespace, chat: &Chat) -> anyhow::Result<()> {
    let (name, pods) = (namespace.name(), &chat.pods);
    for pod in pods {
        chat.emulator.answer(name, pod, Answer::Html);
    }
    let stale = ("MetricsAvailable", "MetricsStale");
    decisions::wait_for_reason(namespace, "it is noticed", stale).await?;
    for pod in pods {
        chat.emulator.restore(name, pod);
    }
    decisions::wait_for_reason(namespace, "it is over", MEASURED).await?;
    Ok(())
}

async fn the_api_server_goes(plane: &ControlPlane, namespace: &Namespace) -> anyhow::Result<()> {
    plane.kill("kube-apiserver").await?;
    plane.restart("kube-apiserver").await?;
    wait_for_reason(namespace, "ValidMetricFound").await?;
    Ok(())
}

/// We answer nothing, and our word is old when we go on.
async fn we_hang(namespace: &Namespace, operator: &Operator) -> anyhow::Result<()> {
    operator.signal(Signal::STOP).await?;
    wait_for_reason(namespace, "FailedGetExternalMetric").await?;
    operator.signal(Signal::CONT).await?;
    wait_for_reason(namespace, "ValidMetricFound").await?;
    Ok(())
}
