//! What `trimtab run` costs on a cluster that stands still, by size: time and CPU of a cycle,
//! memory, queries, and what it asks and writes of the API server.
//! Run with `cargo bench -p trimtab-cluster-tests --bench fleet [-- SIZE...]`, where a size is
//! `VARIANTS/POOLS/REPLICAS`, the last of each variant.
#![allow(clippy::print_stdout, reason = "what a benchmark says")]

mod at_hand;
mod audit;
mod cost;
mod fleet;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use trimtab_cluster_tests::emulator::crowd::Crowd;
use trimtab_cluster_tests::fixtures::crds::install_own;
use trimtab_cluster_tests::fixtures::scenario;
use trimtab_cluster_tests::ports::free_port;
use trimtab_cluster_tests::wait::wait_until;
use trimtab_cluster_tests::{
    ControlPlane, Namespace, Operator, Prometheus, PrometheusOptions, in_namespace,
};

use self::at_hand::AtHand;
use self::cost::Reading;
use self::fleet::Size;

/// WVA's size, of which its figures are known, and a large one.
const SIZES: [&str; 2] = ["300/300/3", "1000/300/10"];

/// The operator's own default.
const INTERVAL: Duration = Duration::from_secs(15);

/// Cycles that are measured.
const CYCLES: u32 = 12;

/// Cycles without a word before: then the cluster stands still.
const QUIET_CYCLES: f64 = 4.0;

/// Twice in the operator's window, with room.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(15);

/// How long a fleet may take to come to rest.
const REST: Duration = Duration::from_secs(1200);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let given = std::env::args().skip(1);
    let mut sizes: Vec<String> = given
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    if sizes.is_empty() {
        sizes = SIZES.map(str::to_owned).into();
    }
    for size in sizes {
        measure(Size::parse(&size)?).await?;
    }
    Ok(())
}

async fn measure(size: Size) -> anyhow::Result<()> {
    println!("{size}");
    let plane = ControlPlane::start(fleet::plane()).await?;
    install_own(&plane).await?;
    in_namespace(&plane, async |namespace| {
        fleet::create(namespace, size).await?;
        println!("  {} pods are ready", fleet::ready(namespace, size).await?);
        let crowd = Crowd::start(&scenario::chat(fleet::RATE), fleet::roll(size)).await?;
        let options = PrometheusOptions {
            scrape_interval: SCRAPE_INTERVAL,
            namespaces: vec![namespace.name().to_owned()],
            pods: Some(crowd.address()),
            ..PrometheusOptions::default()
        };
        let prometheus = Prometheus::start(&plane, options).await?;
        let wanted = size.pods() as f64;
        wait_until("all pods are scraped", REST, async || {
            let up = prometheus.query("sum(up)").await?;
            let up = up.first().map_or(0.0, |(_, up)| *up);
            ensure!(up >= wanted, "{up} of {wanted}");
            Ok(())
        })
        .await?;
        println!("  Prometheus on the same cores:");
        operate(&plane, namespace, prometheus.url()).await?;
        println!("  Prometheus' answers at hand:");
        let at_hand = AtHand::start(prometheus.url()).await?;
        operate(&plane, namespace, at_hand.url()).await
    })
    .await
}

async fn operate(
    plane: &ControlPlane,
    namespace: &Namespace,
    prometheus: &str,
) -> anyhow::Result<()> {
    let port = free_port()?;
    let kubeconfig = plane.kubeconfig_of(audit::USER, &["system:masters"])?;
    let kubeconfig = kubeconfig.to_str().context("a path that is no text")?;
    let arguments = [
        "run".to_owned(),
        format!("--prometheus-url={prometheus}"),
        format!("--listen-metrics=127.0.0.1:{port}"),
        "--listen-health=0".to_owned(),
        format!("--set=leaderElection.namespace={}", namespace.name()),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let operator = Operator::start(plane, &arguments, &[("KUBECONFIG", kubeconfig)]).await?;
    let read = async || Reading::take(&operator, port).await;
    let first = wait_until("the first cycle", REST, async || {
        let reading = read().await?;
        ensure!(reading.cycles >= 1.0, "none yet");
        Ok(reading)
    })
    .await?;
    let mut rest = first.cycles;
    let mut told = audit::statuses(plane)?;
    let before = wait_until("nothing is written any more", REST, async || {
        let (reading, now_told) = (read().await?, audit::statuses(plane)?);
        if now_told != told {
            (told, rest) = (now_told, reading.cycles);
        }
        let quiet = reading.cycles - rest;
        ensure!(
            quiet >= QUIET_CYCLES,
            "{quiet} cycles without a status written"
        );
        Ok(reading)
    })
    .await?;
    let began = audit::position(plane)?;
    // Nobody asks it anything meanwhile.
    tokio::time::sleep(INTERVAL * CYCLES).await;
    let after = read().await?;
    after.print_since(&before);
    audit::print_since(plane, began, after.at.duration_since(before.at))
}
