//! What a process has cost so far, as the kernel and its own metrics say.

use std::collections::BTreeMap;

use anyhow::Context as _;
use tokio::time::Instant;
use trimtab_cluster_tests::Operator;

/// Ticks of the kernel's clock a second, on every Linux that there is.
const CLOCK: f64 = 100.0;

pub(crate) struct Reading {
    pub(crate) at: Instant,
    pub(crate) cycles: f64,
    /// Seconds of CPU.
    cpu: f64,
    resident_mib: f64,
    largest_mib: f64,
    /// Queries to Prometheus.
    queries: f64,
    /// Seconds in which one of them ran, added up.
    query_seconds: f64,
    /// Seconds by stage.
    stages: BTreeMap<String, f64>,
    whole: f64,
}

impl Reading {
    pub(crate) async fn take(operator: &Operator, port: u16) -> anyhow::Result<Self> {
        let id = operator.process_id().await.context("it has ended")?;
        let url = format!("http://127.0.0.1:{port}/metrics");
        let text = reqwest::get(url).await?.text().await?;
        let sum = |name: &str| {
            let values = values(&text, name).map(|(_, value)| value);
            values.sum::<f64>()
        };
        let stages = values(&text, "trimtab_tick_stage_duration_seconds_sum");
        let status = fs_err::read_to_string(format!("/proc/{id}/status"))?;
        let mib = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let kib = line.and_then(|line| line.split_whitespace().nth(1));
            let kib = kib.and_then(|kib| kib.parse::<f64>().ok());
            anyhow::Ok(kib.with_context(|| format!("no {key}"))? / 1024.0)
        };
        Ok(Self {
            at: Instant::now(),
            cycles: values(&text, "trimtab_ticks_total")
                .filter(|(labels, _)| labels.contains("done"))
                .map(|(_, value)| value)
                .sum(),
            cpu: cpu(id)?,
            resident_mib: mib("VmRSS")?,
            largest_mib: mib("VmHWM")?,
            queries: sum("trimtab_prometheus_query_duration_seconds_count"),
            query_seconds: sum("trimtab_prometheus_query_duration_seconds_sum"),
            stages: stages
                .map(|(labels, value)| (labels.to_owned(), value))
                .collect(),
            whole: sum("wva_optimization_duration_seconds_sum"),
        })
    }

    #[expect(clippy::print_stdout, reason = "what a benchmark says")]
    pub(crate) fn print_since(&self, before: &Self) {
        let cycles = self.cycles - before.cycles;
        let each = |now: f64, then: f64| (now - then) / cycles;
        let millis = |now: f64, then: f64| each(now, then) * 1000.0;
        println!("  {cycles} cycles, each:");
        println!("    time {:.1} ms", millis(self.whole, before.whole));
        for (stage, seconds) in &self.stages {
            let then = before.stages.get(stage).copied().unwrap_or_default();
            println!("      {stage} {:.1} ms", millis(*seconds, then));
        }
        println!("    CPU {:.1} ms", millis(self.cpu, before.cpu));
        let (queries, seconds) = (
            each(self.queries, before.queries),
            millis(self.query_seconds, before.query_seconds),
        );
        println!("    {queries:.1} queries, {seconds:.1} ms of them");
        println!(
            "  resident {:.0} MiB, at most {:.0} MiB",
            self.resident_mib, self.largest_mib
        );
    }
}

/// Series of a family, with the text of their labels.
fn values<'t>(text: &'t str, name: &str) -> impl Iterator<Item = (&'t str, f64)> {
    text.lines().filter_map(move |line| {
        let (series, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
        let is_whole = series.is_empty() || series.starts_with('{');
        is_whole.then_some((series, value.parse().ok()?))
    })
}

/// User and system time of a process, in seconds.
fn cpu(id: u32) -> anyhow::Result<f64> {
    let text = fs_err::read_to_string(format!("/proc/{id}/stat"))?;
    // The name before may hold blanks.
    let (_, rest) = text.rsplit_once(')').context("no name in stat")?;
    let times = rest.split_whitespace().skip(11).take(2);
    let times: Result<Vec<f64>, _> = times.map(str::parse::<f64>).collect();
    Ok(times?.iter().sum::<f64>() / CLOCK)
}
