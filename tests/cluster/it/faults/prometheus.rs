//! Prometheus gone, and back.

use anyhow::{Context as _, ensure};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use trimtab_cluster_tests::ports::free_port;
use trimtab_cluster_tests::process::Signal;
use trimtab_cluster_tests::scratch::Scratch;
use trimtab_cluster_tests::wait::wait_until;

use super::Counts;
use super::leader::decided_at;
use crate::decisions::{
    DEADLINE, desired, grown, metric, operate_with, scrape, wait_for, wait_for_reason, with_chat,
};

/// Five minutes in ticks of 2 s, which are a tenth of 20 s.
const FIVE_MINUTES: f64 = 15.0;

/// The analyzer's five minutes, a tenth too.
const WINDOW: SignedDuration = SignedDuration::from_secs(30);
const CONFIGURATION: &str = "policies: {analyzer: {settings: {scale-down-window-seconds: 30}}}";

pub(crate) fn ticks(metrics: &str) -> Option<f64> {
    metric(metrics, &["trimtab_ticks_total{", "done"])
}

/// Since when a condition is as it is.
fn since(status: &Value, kind: &str) -> anyhow::Result<Timestamp> {
    let conditions = status["conditions"].as_array().context("no conditions")?;
    let mut of_kind = conditions.iter().filter(|told| told["type"] == kind);
    let condition = of_kind.next().context("no such condition")?;
    let since = condition["lastTransitionTime"].as_str();
    Ok(since.context("no time")?.parse()?)
}

/// Looks at an operator's metrics for five minutes of it, in which no count may fall.
async fn five_minutes(port: u16) -> anyhow::Result<f64> {
    let start = ticks(&scrape(port).await?).context("no ticks")?;
    let mut most = 0.0;
    wait_until("five minutes have passed", DEADLINE, async || {
        let metrics = scrape(port).await?;
        let asked = metric(&metrics, &["wva_desired_replicas{"]);
        assert!(asked >= Some(most), "{most} was asked for, then {asked:?}");
        most = asked.unwrap_or_default();
        let words = ["wva_metrics_freshness_status{", "unavailable"];
        assert_eq!(metric(&metrics, &words), Some(1.0), "{metrics}");
        let passed = ticks(&metrics).context("no ticks")? - start;
        ensure!(passed >= FIVE_MINUTES, "{passed} ticks");
        Ok(())
    })
    .await?;
    Ok(most)
}

#[tokio::test]
async fn five_minutes_without_prometheus_lower_nothing_and_what_follows_is_watched_anew()
-> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let scratch = Scratch::new("configuration")?;
        let file = scratch.path().join("trimtab.yaml");
        fs_err::write(&file, CONFIGURATION)?;
        let port = free_port()?;
        let listen = format!("--listen-metrics=127.0.0.1:{port}");
        let configured = file.display().to_string();
        let configured = [("TRIMTAB_CONFIG", configured.as_str())];
        let _operator = operate_with(plane, namespace, chat, &[&listen], &configured).await?;
        let asked = grown(namespace, chat).await?;
        let counts = Counts::follow(namespace);

        chat.prometheus.kill().await?;
        chat.emulator.set_rate(0, 0.1);
        let unmeasured = ("MetricsAvailable", "PrometheusError");
        wait_for_reason(namespace, "it is shown", unmeasured).await?;
        let kept = five_minutes(port).await?;
        wait_for(namespace, "why is shown", |status| {
            let why = status["reason"].as_str().unwrap_or_default();
            why.contains("complete measurements of 0 of 1 ready replicas")
        })
        .await?;
        counts.never_fell(asked)?;

        chat.prometheus.restart().await?;
        let measured = ("MetricsAvailable", "MetricsFound");
        let status = wait_for_reason(namespace, "it is back", measured).await?;
        let back = since(&status, "MetricsAvailable")?;
        assert_eq!(desired(&status), Some(kept as u64), "{status:#}");
        let status = wait_for(namespace, "what is idle goes in the end", |status| {
            desired(status) == Some(1)
        })
        .await?;
        let lowered = decided_at(&status)?;
        let watched = lowered.duration_since(back) + SignedDuration::from_secs(1);
        assert!(watched >= WINDOW, "lowered after {watched} of measurements");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_prometheus_that_does_not_answer_is_shown_and_lowers_nothing() -> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let port = free_port()?;
        let listen = format!("--listen-metrics=127.0.0.1:{port}");
        let _operator = operate_with(plane, namespace, chat, &[&listen], &[]).await?;
        let asked = grown(namespace, chat).await?;
        let counts = Counts::follow(namespace);
        chat.prometheus.signal(Signal::STOP).await?;
        let unmeasured = ("MetricsAvailable", "PrometheusError");
        wait_for_reason(namespace, "it is shown", unmeasured).await?;
        let metrics = scrape(port).await?;
        let failed = metric(
            &metrics,
            &["trimtab_prometheus_query_errors_total{", "load"],
        );
        assert!(failed > Some(0.0), "{metrics}");
        let words = ["wva_metrics_freshness_status{", "unavailable"];
        assert_eq!(metric(&metrics, &words), Some(1.0), "{metrics}");
        chat.prometheus.signal(Signal::CONT).await?;
        let measured = ("MetricsAvailable", "MetricsFound");
        wait_for_reason(namespace, "it answers again", measured).await?;
        counts.never_fell(asked)
    })
    .await
}
