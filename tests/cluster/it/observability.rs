//! What a running operator shows of itself: metrics, log lines, traces.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use trimtab_cluster_tests::ports::free_port;
use trimtab_cluster_tests::process::Signal;
use trimtab_cluster_tests::wait::{DEADLINE, wait_until};

use crate::decisions::{grown, metric, operate_with, with_chat};

/// What a collector was sent, batch by batch.
type Batches = Arc<Mutex<Vec<Bytes>>>;

fn lock(batches: &Batches) -> MutexGuard<'_, Vec<Bytes>> {
    batches.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn collector() -> anyhow::Result<(String, Batches)> {
    let batches = Batches::default();
    let take = async |State(batches): State<Batches>, batch: Bytes| {
        lock(&batches).push(batch);
    };
    let routes = Router::new()
        .route("/v1/traces", post(take))
        .with_state(Arc::clone(&batches));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("--set=otlp.endpoint=http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok((endpoint, batches))
}

/// Whether a batch has all these texts: protobuf leaves them as they are.
fn traced(batches: &Batches, texts: &[&str]) -> bool {
    let has = |batch: &Bytes, text: &str| {
        let mut windows = batch.windows(text.len());
        windows.any(|window| window == text.as_bytes())
    };
    let batches = lock(batches);
    let mut batches = batches.iter();
    batches.any(|batch| texts.iter().all(|text| has(batch, text)))
}

async fn scrape(port: u16) -> anyhow::Result<String> {
    let url = format!("http://127.0.0.1:{port}/metrics");
    Ok(reqwest::get(&url).await?.text().await?)
}

/// The line that says that the count went up.
fn decided(log: &str) -> anyhow::Result<Value> {
    let lines = log.lines().map(serde_json::from_str::<Value>);
    for line in lines {
        let line = line.context("a line is no JSON")?;
        if line.get("message") == Some(&json!("decided")) {
            return Ok(line);
        }
    }
    anyhow::bail!("no line says `decided`")
}

#[tokio::test]
async fn requests_fuel_and_spans_of_a_running_operator_are_shown() -> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let (endpoint, batches) = collector().await?;
        let port = free_port()?;
        let listen = format!("--listen-metrics=127.0.0.1:{port}");
        let flags = [&listen, &endpoint, "--set=logging.format=json"];
        let operator = operate_with(plane, namespace, chat, &flags, &[]).await?;
        grown(namespace, chat).await?;
        let shown = [
            r#"trimtab_policy_fuel_total{role="analyzer",policy="queueing-analyzer""#,
            r#"trimtab_policy_fuel_total{role="optimizer",policy="cost-optimizer""#,
            r#"trimtab_policy_call_duration_seconds_count{role="optimizer""#,
            r#"trimtab_api_requests_total{verb="list",resource="pods",code="200"}"#,
            r#"trimtab_api_requests_total{verb="watch",resource="pods",code="200"}"#,
            r#"trimtab_api_requests_total{verb="create",resource="leases",code="201"}"#,
            r#"{verb="patch",resource="variantautoscalings/status",code="200"}"#,
            r#"trimtab_api_requests_total{verb="create",resource="events",code="201"}"#,
            r#"trimtab_api_requests_total{verb="create",resource="configmaps",code="201"}"#,
            r#"trimtab_api_request_duration_seconds_count{verb="watch",resource="pods"}"#,
        ];
        wait_until("all of it is shown", DEADLINE, async || {
            let text = scrape(port).await?;
            for line in shown {
                let count = metric(&text, &[line]);
                ensure!(count > Some(0.0), "{line}: {count:?} in\n{text}");
            }
            Ok(())
        })
        .await?;
        let line = decided(&operator.log(usize::MAX).await)?;
        assert_eq!(line["spans"][0]["name"], "tick", "{line:#}");
        let pool = &line["spans"][1];
        assert_eq!(pool["name"], "pool", "{line:#}");
        assert_eq!(pool["namespace"], namespace.name(), "{line:#}");
        assert_eq!(pool["pool"], "chat", "{line:#}");
        assert_eq!(pool["model"], "Llama-3.1-8B", "{line:#}");
        operator.signal(Signal::TERM).await?;
        let of_pool = [namespace.name(), "chat", "Llama-3.1-8B"];
        for span in ["tick", "analyze", "optimize", "pool"] {
            assert!(traced(&batches, &[span]), "no span `{span}` was sent");
        }
        let analyzed = [&of_pool[..], &["analyze", "queueing-analyzer", "fuel"]].concat();
        assert!(traced(&batches, &analyzed), "no span of the analyzer");
        assert!(traced(&batches, &["decided", "service.version"]));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_up_neither_cycles_nor_the_end() -> anyhow::Result<()>
{
    with_chat(async |plane, namespace, chat| {
        // Connections are taken up by the kernel; nobody reads them.
        let silent = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("--set=otlp.endpoint=http://{}", silent.local_addr()?);
        let port = free_port()?;
        let listen = format!("--listen-metrics=127.0.0.1:{port}");
        let operator = operate_with(plane, namespace, chat, &[&listen, &endpoint], &[]).await?;
        operator.wait_for_log("traces are lost").await?;
        let ticks = |text: &str| metric(text, &[r#"trimtab_ticks_total{result="done"}"#]);
        let before = ticks(&scrape(port).await?).context("no cycle is shown")?;
        wait_until("cycles go on", DEADLINE, async || {
            let now = ticks(&scrape(port).await?);
            ensure!(now > Some(before + 2.0), "{now:?} cycles");
            Ok(())
        })
        .await?;
        // Fails where the process is not gone in time.
        operator.signal(Signal::TERM).await?;
        let log = operator.log(usize::MAX).await;
        assert_eq!(log.matches("traces are lost").count(), 1, "{log}");
        assert!(log.contains("stopped"), "{log}");
        Ok(())
    })
    .await
}
