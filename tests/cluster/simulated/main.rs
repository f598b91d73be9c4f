//! The decisions on a cluster are those of `trimtab simulate` for the same load.
//!
//! Both have the same requests at the same seconds, the same engines, windows and settings. The
//! cluster's clocks run otherwise: its cycles and scrapes fall into other instants, and Prometheus
//! takes seconds until it asks a new pod.

mod fleet;
mod trajectory;

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};
use trimtab_cluster_tests::emulator::PoolPods;
use trimtab_cluster_tests::fixtures::crds::install_own;
use trimtab_cluster_tests::operator::metric;
use trimtab_cluster_tests::ports::free_port;
use trimtab_cluster_tests::scratch::Scratch;
use trimtab_cluster_tests::wait::{DEADLINE, wait_until};
use trimtab_cluster_tests::{
    ControlPlane, Emulator, Namespace, Operator, Prometheus, PrometheusOptions, in_namespace,
    simulation,
};
use trimtab_sim::scenario::{Overrides, Scenario};
use trimtab_sim::spec::{PoolSpec, Spec, Timing};

use self::fleet::{Fleet, Target};
use self::trajectory::{Trajectory, cost, table};
const SCENARIO: &str = include_str!("scenario.yaml");

/// When the load rises, in seconds of the run; then that of `chat-elsewhere` falls.
const RISE: f64 = 60.0;
/// The other way round.
const FALL: f64 = 120.0;

#[tokio::test]
async fn pools_asked_for_in_every_way_get_the_decisions_of_the_simulator() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    install_own(plane).await?;
    in_namespace(plane, async |one| {
        in_namespace(plane, async |other| compare(plane, one, other).await).await
    })
    .await
}

async fn compare(plane: &ControlPlane, one: &Namespace, other: &Namespace) -> anyhow::Result<()> {
    let scenario = Scenario::parse("scenario.yaml", SCENARIO, Path::new(""))?;
    let spec = scenario.resolve(&Overrides::default())?;
    let decisions = simulation::decisions(SCENARIO).await?;
    let first = decisions.first().context("no decisions")?;
    let start_ms = first.now_ms - (spec.timing.tick_seconds * 1000.0) as u64;
    let fleet = Fleet::create(&spec, one, other).await?;
    let real = run(plane, &scenario, &spec, &fleet).await?;
    let mut wrong = Vec::new();
    for (pool, real) in spec.pools.iter().zip(&real) {
        let simulated = Trajectory::of(&decisions, pool, start_ms);
        let differences = differences(&spec, pool, &simulated, real);
        if !differences.is_empty() {
            let span = (spec.timing.tick_seconds, spec.duration_seconds);
            wrong.push(differences.join("\n"));
            wrong.push(table(pool, &simulated, real, span));
        }
    }
    anyhow::ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Plays the scenario on the fleet and does with the targets what is asked for, as HPAs without
/// limits would; gives what was asked for, by pool.
async fn run(
    plane: &ControlPlane,
    scenario: &Scenario,
    spec: &Spec,
    fleet: &Fleet,
) -> anyhow::Result<Vec<Trajectory>> {
    let emulator = Emulator::start(plane, SCENARIO, 1.0, fleet.pods.clone()).await?;
    let start = Instant::now();
    let options = PrometheusOptions {
        scrape_interval: Duration::from_secs_f64(spec.timing.scrape_seconds),
        namespaces: namespaces(&fleet.pods),
        pods: Some(emulator.address()),
        ..PrometheusOptions::default()
    };
    let prometheus = Prometheus::start(plane, options).await?;
    // An operator comes to a Prometheus that is there.
    let long_enough = format!(
        "count(count_over_time(llm_d_epp_ready_endpoints[{window}s]) >= {samples})",
        window = spec.timing.window_seconds,
        samples = (spec.timing.window_seconds / spec.timing.scrape_seconds).floor(),
    );
    let all = fleet.pods.len() as f64;
    prometheus
        .wait_for(&long_enough, |of| of.iter().any(|(_, count)| *count == all))
        .await?;
    let port = free_port()?;
    let config = configuration(plane, scenario, spec, &fleet.pods, prometheus.url(), port)?;
    let scratch = Scratch::new("configuration")?;
    let file = scratch.path().join("trimtab.yaml");
    fs_err::write(&file, config.to_string())?;
    let arguments = ["run", "--config", file.to_str().context("a path")?];
    let _operator = Operator::start(plane, &arguments, &[]).await?;
    let page = format!("http://127.0.0.1:{port}/metrics");
    let look = async || {
        let text = reqwest::get(&page).await?.text().await?;
        let pools = fleet.targets.iter().map(|targets| asked(&text, targets));
        pools.collect::<anyhow::Result<Vec<Vec<u32>>>>()
    };
    wait_until("every variant is decided", DEADLINE, look).await?;
    let mut trajectories = vec![Trajectory::default(); fleet.targets.len()];
    let mut clock = interval(Duration::from_secs_f64(spec.timing.actuation_seconds));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while start.elapsed().as_secs_f64() < spec.duration_seconds {
        clock.tick().await;
        let now = start.elapsed().as_secs_f64();
        let pools = look().await?.into_iter().zip(&fleet.targets);
        for ((counts, targets), trajectory) in pools.zip(&mut trajectories) {
            let before = trajectory.at(now).to_vec();
            for (position, (count, target)) in counts.iter().zip(targets).enumerate() {
                if before.get(position) != Some(count) {
                    target.scale(*count).await?;
                }
            }
            trajectory.push(now, counts);
        }
    }
    Ok(trajectories)
}

/// What is asked for a pool's variants, by its page of metrics.
fn asked(page: &str, targets: &[Target]) -> anyhow::Result<Vec<u32>> {
    let of = |target: &Target| {
        let variant = format!("variant_name=\"{}\"", target.variant);
        let namespace = format!(",namespace=\"{}\"", target.namespace.name());
        let count = metric(page, &["wva_desired_replicas{", &variant, &namespace]);
        let count = count.with_context(|| format!("nothing is asked for {}", target.variant))?;
        Ok(count as u32)
    };
    targets.iter().map(of).collect()
}

fn namespaces(pods: &[PoolPods]) -> Vec<String> {
    let mut names: Vec<String> = pods.iter().map(|pool| pool.namespace.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// All that the simulator has from the scenario.
fn configuration(
    plane: &ControlPlane,
    scenario: &Scenario,
    spec: &Spec,
    pods: &[PoolPods],
    prometheus: &str,
    port: u16,
) -> anyhow::Result<Value> {
    let settings: Value = serde_json::from_str(&scenario.analyzer().settings)?;
    let pools = spec.pools.iter().zip(pods).map(|(pool, pods)| {
        let objective = &pool.objective;
        json!({
            "namespace": pods.namespace,
            "pool": pods.name,
            "objective": {
                "ttftSeconds": objective.ttft,
                "itlSeconds": objective.itl,
                "percentile": objective.percentile,
                "priority": objective.priority,
            },
        })
    });
    Ok(json!({
        "prometheus": {
            "url": prometheus,
            "caFile": plane.authority(),
            "windowSeconds": spec.timing.window_seconds,
            "longWindowSeconds": spec.timing.long_window_seconds,
        },
        "intervalSeconds": spec.timing.tick_seconds,
        "namespaces": namespaces(pods),
        "listen": {"metrics": format!("127.0.0.1:{port}"), "health": "0"},
        "leaderElection": {"namespace": namespaces(pods).first()},
        "policies": {"analyzer": {"settings": settings}},
        "pools": pools.collect::<Vec<Value>>(),
    }))
}

/// Where the cluster's decisions are not those of the simulator, in words.
fn differences(
    spec: &Spec,
    pool: &PoolSpec,
    simulated: &Trajectory,
    real: &Trajectory,
) -> Vec<String> {
    let mut found = Vec::new();
    for end in [RISE, FALL, spec.duration_seconds] {
        let (wanted, given) = (simulated.at(end), real.at(end));
        if !are_near(pool, wanted, given) {
            let name = &pool.name;
            found.push(format!(
                "{name}: {given:?} instead of {wanted:?} at {end} s"
            ));
        }
    }
    let rise = if pool.name == "chat-elsewhere" {
        FALL
    } else {
        RISE
    };
    let [wanted, given] = [simulated, real].map(|of| of.growth_after(rise, pool));
    let latest = wanted.map(|wanted| wanted + delay(&spec.timing));
    if given.is_none() || latest.is_none() || given > latest {
        let name = &pool.name;
        found.push(format!(
            "{name}: grows at {given:?} instead of {wanted:?} s"
        ));
    }
    found
}

/// By which the cluster may grow later: its cycle may come an interval after the simulator's, on
/// what was scraped just before the load rose, is seen by the next look, and may be an interval late
/// on a busy machine.
fn delay(timing: &Timing) -> f64 {
    2.0 * timing.tick_seconds + timing.scrape_seconds + timing.actuation_seconds
}

/// A replica more or less of each variant: the last one hangs on a few requests more or less in a
/// window. In cost together no more than one of the cheaper, or a seventh.
fn are_near(pool: &PoolSpec, wanted: &[u32], given: &[u32]) -> bool {
    let mut each = wanted.iter().zip(given);
    let costs = pool.variants.iter().map(|variant| variant.cost_per_hour);
    let least = costs.fold(f64::INFINITY, f64::min);
    let wanted_cost = cost(pool, wanted);
    wanted.len() == given.len()
        && each.all(|(wanted, given)| wanted.abs_diff(*given) <= 1)
        && (wanted_cost - cost(pool, given)).abs() <= least.max(0.15 * wanted_cost) + 1e-6
}
