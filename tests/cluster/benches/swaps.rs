//! A thousand swaps of the policy of a pool under load: whether cycles keep their time, what the
//! operator's memory does, and how long a new version takes to be active.
//! Run with `cargo bench -p trimtab-cluster-tests --bench swaps [-- SWAPS]`.
#![allow(clippy::print_stdout, reason = "what a benchmark says")]

#[path = "../it/scenario.rs"]
mod scenario;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;
use tokio::time::Instant;
use trimtab_cluster_tests::fixtures::crds::install_own;
use trimtab_cluster_tests::fixtures::scalers::variant_autoscaling;
use trimtab_cluster_tests::operator::{metric, scrape};
use trimtab_cluster_tests::ports::free_port;
use trimtab_cluster_tests::scratch::Scratch;
use trimtab_cluster_tests::wait::wait_until;
use trimtab_cluster_tests::{ControlPlane, Namespace, Operator, in_namespace};

use self::scenario::Chat;

const SWAPS: usize = 1_000;
const INTERVAL: Duration = Duration::from_secs(2);
/// Share of the interval by which a cycle may be late.
const LATE: f64 = 0.1;
/// Requests per second on the wall.
const LOAD: f64 = 600.0;
const DEADLINE: Duration = Duration::from_secs(120);
/// How often it is looked what the operator says.
const LOOK: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut given = std::env::args().skip(1);
    let given = given.find(|argument| !argument.starts_with("--"));
    let swaps = given.map_or(Ok(SWAPS), |swaps| swaps.parse())?;
    let plane = ControlPlane::shared().await?;
    install_own(plane).await?;
    let scratch = Scratch::new("policies")?;
    in_namespace(plane, async |namespace| {
        let chat = Chat::start(plane, namespace, 1, 10.0).await?;
        namespace
            .apply_json(variant_autoscaling("chat-h100", "Llama-3.1-8B", 6))
            .await?;
        println!("{} pods behind {}", chat.pods.len(), chat.picker);
        chat.emulator.set_rate(0, LOAD);
        put(scratch.path(), 0)?;
        bind(namespace).await?;
        let port = free_port()?;
        let operator = operate(plane, namespace, &chat, scratch.path(), port).await?;
        measure(&operator, scratch.path(), port, swaps).await
    })
    .await
}

/// The shipped analyzer in one of a hundred versions: the same but for a section that nobody reads.
fn version(number: usize) -> Vec<u8> {
    let shipped = trimtab_sandbox::builtin("queueing-analyzer").unwrap_or_default();
    [shipped, &[0, 2, 1, (number % 100) as u8]].concat()
}

/// Written aside, and renamed.
fn put(directory: &Path, number: usize) -> anyhow::Result<()> {
    let aside = directory.join(".chat.wasm.tmp");
    fs_err::write(&aside, version(number))?;
    Ok(fs_err::rename(aside, directory.join("chat.wasm"))?)
}

fn digest(number: usize) -> String {
    use sha2::Digest as _;
    format!(
        "sha256:{}",
        hex::encode(sha2::Sha256::digest(version(number)))
    )
}

async fn bind(namespace: &Namespace) -> anyhow::Result<()> {
    for object in [
        json!({
            "apiVersion": "trimtab.dev/v1alpha1",
            "kind": "ScalingPolicy",
            "metadata": {"name": "chat"},
            "spec": {"source": {"directory": {"file": "chat.wasm"}}},
        }),
        json!({
            "apiVersion": "trimtab.dev/v1alpha1",
            "kind": "PoolPolicy",
            "metadata": {"name": "chat"},
            "spec": {
                "poolRef": {"name": "chat"},
                "analyzers": [{"policyRef": {"name": "chat"}}],
            },
        }),
    ] {
        namespace.apply_json(object).await?;
    }
    Ok(())
}

async fn operate(
    plane: &ControlPlane,
    namespace: &Namespace,
    chat: &Chat,
    directory: &Path,
    port: u16,
) -> anyhow::Result<Operator> {
    let flags = [
        "run".to_owned(),
        format!("--prometheus-url={}", chat.prometheus.url()),
        format!("--interval={}s", INTERVAL.as_secs()),
        format!("--listen-metrics=127.0.0.1:{port}"),
        "--listen-health=0".to_owned(),
        format!("--namespace={}", namespace.name()),
        format!("--set=leaderElection.namespace={}", namespace.name()),
        format!("--set=prometheus.caFile={}", plane.authority().display()),
        "--set=prometheus.windowSeconds=6".to_owned(),
        "--set=prometheus.longWindowSeconds=30".to_owned(),
        "--set=maxMetricsAgeSeconds=8".to_owned(),
        format!("--set=policies.directory={}", directory.display()),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    Operator::start(plane, &flags, &[]).await
}

/// What was seen of the operator while versions changed.
#[derive(Default)]
struct Seen {
    /// When each cycle began, as its decisions say, in seconds.
    cycles: Vec<f64>,
    /// Seconds until a version was active.
    active: Vec<f64>,
    resident_mib: Vec<f64>,
}

async fn measure(
    operator: &Operator,
    directory: &Path,
    port: u16,
    swaps: usize,
) -> anyhow::Result<()> {
    wait_until("the first version decides", DEADLINE, async || {
        ensure!(decides(port, 0).await?, "not yet");
        Ok(())
    })
    .await?;
    let failed_before = failed(port).await?;
    let mut seen = Seen::default();
    for number in 1..=swaps {
        put(directory, number)?;
        let began = Instant::now();
        while !operator.log(1_000).await.contains(&digest(number)) {
            ensure!(began.elapsed() < DEADLINE, "version {number} is not active");
            seen.look(port).await?;
        }
        seen.active.push(began.elapsed().as_secs_f64());
        if number % 10 == 0 {
            seen.resident_mib.push(resident_mib(operator).await?);
        }
    }
    seen.print(swaps, failed(port).await? - failed_before)
}

/// Whether the version is the one that decides: calls of it are counted by its digest.
async fn decides(port: u16, number: usize) -> anyhow::Result<bool> {
    let digest = digest(number);
    let short = digest.get(..19).context("a digest")?;
    Ok(scrape(port).await?.contains(short))
}

/// Cycles that were skipped or given up.
async fn failed(port: u16) -> anyhow::Result<f64> {
    let text = scrape(port).await?;
    let of = |outcome: &str| metric(&text, &["trimtab_ticks_total", outcome]).unwrap_or(0.0);
    Ok(of("failed") + of("skipped"))
}

async fn resident_mib(operator: &Operator) -> anyhow::Result<f64> {
    let id = operator.process_id().await.context("it has ended")?;
    let status = fs_err::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kib.context("no VmRSS")? / 1024.0)
}

impl Seen {
    async fn look(&mut self, port: u16) -> anyhow::Result<()> {
        let text = scrape(port).await?;
        let at = metric(&text, &["trimtab_last_decision_timestamp_seconds"]);
        if let Some(at) = at.filter(|at| self.cycles.last() != Some(at)) {
            self.cycles.push(at);
        }
        tokio::time::sleep(LOOK).await;
        Ok(())
    }

    fn print(&self, swaps: usize, failed: f64) -> anyhow::Result<()> {
        let gaps = self.cycles.windows(2).filter_map(|pair| match pair {
            [before, after] => Some(after - before),
            _ => None,
        });
        let interval = INTERVAL.as_secs_f64();
        let mut gaps: Vec<f64> = gaps.collect();
        gaps.sort_by(f64::total_cmp);
        let late = gaps.iter().filter(|gap| **gap > interval * (1.0 + LATE));
        let mut active = self.active.clone();
        active.sort_by(f64::total_cmp);
        let at = |of: &[f64], share: f64| {
            let position = (of.len().saturating_sub(1) as f64 * share) as usize;
            of.get(position).copied().unwrap_or(f64::NAN)
        };
        println!(
            "{swaps} swaps, {} cycles of {interval} s",
            self.cycles.len()
        );
        println!(
            "  skipped or given up: {failed}, late by more than {} %: {}",
            LATE * 100.0,
            late.count()
        );
        println!(
            "  between cycles: median {:.3} s, longest {:.3} s",
            at(&gaps, 0.5),
            at(&gaps, 1.0)
        );
        println!(
            "  from file to active: median {:.3} s, 99 % {:.3} s, longest {:.3} s",
            at(&active, 0.5),
            at(&active, 0.99),
            at(&active, 1.0)
        );
        let tenth = (self.resident_mib.len() / 10).max(1);
        let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len().max(1) as f64;
        let first = self.resident_mib.get(..tenth).unwrap_or_default();
        let last = self
            .resident_mib
            .get(self.resident_mib.len().saturating_sub(tenth)..);
        println!(
            "  memory: {:.1} MiB at first, {:.1} MiB at last",
            mean(first),
            mean(last.unwrap_or_default())
        );
        Ok(())
    }
}
