//! The loop: a cycle each period; who does not lead only looks on.

mod keeping;

use std::collections::BTreeSet;
use std::env;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, timeout};
use trimtab_cluster::actuation::Follower;
use trimtab_cluster::checkpoint::Checkpoint;
use trimtab_cluster::events::{News, Speaker};
use trimtab_cluster::lease::{Elector, LeaseConfig};
use trimtab_cluster::status::Writer;
use trimtab_cluster::{Cluster, policy_status};
use trimtab_core::memory::Memory;
use trimtab_observe::{Client as Prometheus, Measurer, Pace, Queries};
use trimtab_publish::Health;
use trimtab_publish::desired::Desired;
use trimtab_publish::http;
use trimtab_publish::metrics::{Build, Live, Outcome, Registry};
use trimtab_publish::scaler::Registrations;
use trimtab_sandbox::Sandbox;

use super::actuating::{Actuator, Rules, Waking, Woken};
use super::clock::{Stopwatch, now_ms, steady_ms};
use super::config::Config;
use super::cycle::{self, Cycle};
use super::leader::{Election, Leadership};
use super::logging::Log;
use super::policies::keeper::{Keeper, Shelf};
use super::policies::{Defaults, Policies, Resolver};
use super::reloading::Reloading;
use super::serving::Serving;
use super::wiring::{self, Clients};
use super::{RunArguments, shutdown};

/// How often caches that are not complete yet are looked at.
const SYNC_POLL: Duration = Duration::from_millis(200);
/// How often what is still missing is told of.
const SYNC_TELL: Duration = Duration::from_secs(10);
/// How long a process that is told to stop may take to keep what it knows: it is killed after 30 s.
const LAST_SAVE: Duration = Duration::from_secs(5);
/// The one cache that readiness is told of.
const CACHE: &str = "cluster";

/// Everything that outlives a cycle.
struct Operator {
    cycle: Cycle,
    checkpoint: Checkpoint,
    /// The reign whose memory was loaded.
    reign: Option<u32>,
    saved: Stopwatch,
    health: Arc<Health>,
    clock: Stopwatch,
    /// Pools that were started, or could not be, between two cycles.
    woken: mpsc::UnboundedReceiver<Woken>,
}

#[expect(
    clippy::too_many_lines,
    reason = "what there is, in the order in which it needs each other"
)]
pub(super) async fn operate(arguments: &RunArguments, sandbox: Sandbox, log: &Log) -> Result<()> {
    let stopping = shutdown::listen()?;
    let live = Live::default();
    let clients = Clients::connect(&live).await?;
    let mut sources = Reloading::new(arguments, log, &clients);
    let config = sources.first().await?;
    log.set_level(&config.logging.level)?;
    let measured = wiring::prometheus(&config)?;
    let defaults = Defaults::load(&sandbox, &config.policies)?;
    defaults.0.check(&config)?;
    let registry = wiring::policies(sandbox, &config.policies)?;
    let windows = measured.windows;
    let prometheus = Prometheus::new(&measured)?;
    let build = Build {
        version: env!("CARGO_PKG_VERSION"),
        revision: None,
    };
    let instance = config.controller_instance.as_deref();
    let desired = Arc::new(Desired::new(wiring::longest_word_ms(&config), steady_ms));
    let told = Registry::new(&build, &live, Arc::clone(&desired), instance);
    let told = Arc::new(told);
    let health = Arc::new(Health::new([CACHE]));
    let clock = Stopwatch::start();
    let mut servers = serve(&config, &told, &health, clock, &stopping).await?;
    let cluster = Cluster::start(
        clients.watching.clone(),
        wiring::cluster(&config)?,
        config.namespaces.clone(),
    );
    if !synced(&cluster, &health, &stopping).await {
        return end(servers).await;
    }
    let identity = identity();
    let namespace = config.own_namespace(&clients.namespace);
    let checkpoint = Checkpoint::new(clients.asking.clone(), &namespace, &config.lease_name());
    let lease = wiring::lease(&config, &namespace, &identity);
    let (leadership, elected) = elect(&config, &clients, lease, &desired);
    let registrations = Arc::new(Registrations::new(move || clock.elapsed()));
    let serving_namespace = namespace.clone();
    let serving = Serving {
        client: clients.asking.clone(),
        namespace,
        desired: Arc::clone(&desired),
        registrations: Arc::clone(&registrations),
        registry: Arc::clone(&told),
        clock,
        stopping: stopping.clone(),
    };
    servers.extend(serving.start(&config, &leadership).await?);
    let (rules, passed_on) = watch::channel(Arc::new(Rules {
        config: config.clone(),
        inherited: sources.pools(),
        bound: Arc::default(),
    }));
    let shelf = Shelf::new(registry);
    let (pass_on, seen) = watch::channel(None);
    let figures_after_ms = wiring::figures_after_ms(&config);
    let keeper = Keeper {
        cluster: cluster.clone(),
        client: clients.asking.clone(),
        shelf: Arc::clone(&shelf),
        resolver: Resolver::new(defaults.0.clone(), &serving_namespace),
        maxima: config.policies.maxima.clone(),
        leadership: leadership.clone(),
        seen,
        writer: policy_status::Writer::new(clients.asking.clone(), figures_after_ms),
    };
    servers.push(tokio::spawn(keeper.run(stopping.clone())));
    let policies = Policies::new(defaults, shelf, &live);
    let (tell, woken) = mpsc::unbounded_channel();
    let actuator = Actuator {
        client: clients.asking.clone(),
        cluster: cluster.clone(),
    };
    if config.scale_from_zero.enabled {
        let waking = Waking {
            actuator: actuator.clone(),
            probe: Arc::new(wiring::probe(&config)?),
            desired: Arc::clone(&desired),
            leadership: leadership.clone(),
            rules: passed_on,
            woken: tell,
        };
        servers.push(tokio::spawn(waking.run(stopping.clone())));
    }
    let mut operator = Operator {
        cycle: Cycle {
            cluster,
            prometheus,
            queries: Queries::new(windows),
            pace: Pace::new(windows),
            measurer: Measurer::new(windows),
            policies,
            bound: Arc::default(),
            passed_on: pass_on,
            memory: Memory::default(),
            registry: told,
            registrations,
            writer: Writer::new(clients.asking.clone(), config.writes_per_second),
            policy_writer: policy_status::Writer::new(clients.asking.clone(), figures_after_ms),
            news: News::default(),
            speaker: Speaker::new(clients.asking, &identity),
            leadership,
            actuator,
            follower: Follower::default(),
            tolerances: BTreeSet::new(),
            rules,
            not_started: Vec::new(),
            config,
            inherited: sources.pools(),
            unanswered: None,
        },
        checkpoint,
        reign: None,
        saved: clock,
        health,
        clock,
        woken,
    };
    operator.work(&stopping, &mut sources).await;
    operator.end(elected).await;
    end(servers).await
}

/// Waits until the cluster is known; false where the process is told to stop before. Until then it
/// is no candidate either: it could not decide.
async fn synced(cluster: &Cluster, health: &Health, stopping: &watch::Receiver<bool>) -> bool {
    let mut told = Stopwatch::start();
    loop {
        let missing = cluster.missing();
        if missing.is_empty() {
            health.synced(CACHE);
            tracing::info!("the cluster is known");
            return true;
        }
        let missing = missing.join("; ");
        if told.elapsed() > SYNC_TELL {
            tracing::warn!(missing, "waiting for the cluster");
            told.lap();
        }
        health.lacks(CACHE, missing);
        tokio::select! {
            () = tokio::time::sleep(SYNC_POLL) => {}
            () = shutdown::told(stopping.clone()) => return false,
        }
    }
}

/// Takes part in the election, where there is to be one.
fn elect(
    config: &Config,
    clients: &Clients,
    lease: LeaseConfig,
    desired: &Arc<Desired>,
) -> (Leadership, Option<Election>) {
    let election = &config.leader_election;
    if !election.enabled {
        desired.lead(Some(u64::MAX));
        return (Leadership::alone(), None);
    }
    let elector = Elector::new(clients.asking.clone(), lease);
    let retry = election.retry_period_seconds.duration();
    let (leadership, election) = Leadership::elect(elector, retry, Arc::clone(desired));
    (leadership, Some(election))
}

async fn end(servers: Vec<JoinHandle<()>>) -> Result<()> {
    for server in servers {
        server.await.context("a server ended badly")?;
    }
    tracing::info!("stopped");
    Ok(())
}

/// This process's name among those that would lead: the pod's, or the machine's, and a number.
fn identity() -> String {
    let name = env::var("POD_NAME").or_else(|_| env::var("HOSTNAME"));
    let name = name.unwrap_or_else(|_| "trimtab".to_owned());
    format!("{name}_{}_{:x}", std::process::id(), now_ms())
}

async fn serve(
    config: &Config,
    registry: &Arc<Registry>,
    health: &Arc<Health>,
    clock: Stopwatch,
    stopping: &watch::Receiver<bool>,
) -> Result<Vec<JoinHandle<()>>> {
    let metrics = http::metrics(Arc::clone(registry));
    let probes = http::health(Arc::clone(health), move || clock.elapsed());
    let listen = &config.listen;
    let routes = if listen.metrics == listen.health {
        vec![(listen.metrics, "listen.metrics", metrics.merge(probes))]
    } else {
        vec![
            (listen.metrics, "listen.metrics", metrics),
            (listen.health, "listen.health", probes),
        ]
    };
    let mut servers = Vec::new();
    for (address, key, routes) in routes {
        let Some(listener) = wiring::bind(address, key).await? else {
            continue;
        };
        let stop = shutdown::told(stopping.clone());
        servers.push(tokio::spawn(async move {
            if let Err(error) = http::serve(listener, routes, stop).await {
                tracing::warn!(%error, key, "the server ended badly");
            }
        }));
    }
    Ok(servers)
}

impl Operator {
    /// Cycles until the process is told to stop. A cycle that is due while the one before still
    /// runs is skipped.
    async fn work(&mut self, stopping: &watch::Receiver<bool>, sources: &mut Reloading<'_>) {
        let period = self.cycle.config.interval_seconds.duration();
        let mut due = interval(period);
        self.health.started(self.clock.elapsed(), period);
        let mut leadership = self.cycle.leadership.clone();
        loop {
            let wait = tokio::select! {
                biased;
                () = shutdown::told(stopping.clone()) => return,
                () = leadership.changed() => Wait::Changed,
                Some(woken) = self.woken.recv() => Wait::Woken(woken),
                _ = due.tick() => Wait::Due,
            };
            if let Wait::Woken(woken) = &wait {
                self.cycle.woken(woken.clone());
                while let Ok(woken) = self.woken.try_recv() {
                    self.cycle.woken(woken);
                }
            }
            if let Wait::Changed = wait {
                // Whoever takes over decides at once.
                due = interval(period);
                continue;
            }
            let took = Stopwatch::start();
            sources.reload(&mut self.cycle).await;
            let Some(reign) = self.cycle.leadership.reign() else {
                tokio::select! {
                    biased;
                    () = shutdown::told(stopping.clone()) => return,
                    // Whoever takes over decides at once.
                    () = leadership.changed() => due = interval(period),
                    () = self.follow(period, took) => {}
                }
                continue;
            };
            self.turn(reign, period).await;
            for _ in 0..skipped(took.elapsed(), period) {
                self.cycle.registry.ended(Outcome::Skipped, &[]);
            }
            tokio::select! {
                () = shutdown::told(stopping.clone()) => return,
                () = self.ask_ahead(period, took) => {}
            }
        }
    }

    /// A cycle of one that does not lead, so that it knows the fleet when its turn comes.
    async fn follow(&mut self, period: Duration, took: Stopwatch) {
        let limit = self.cycle.config.tick_timeout().duration();
        let cycle = cycle::follow_within_span(&mut self.cycle);
        match timeout(limit, cycle).await {
            Ok(()) => self.health.ticked(self.clock.elapsed(), period),
            Err(_) => self.cycle.registry.ended(Outcome::Failed, &[]),
        }
        self.ask_ahead(period, took).await;
    }

    /// Whatever is not answered in time is asked in a cycle.
    async fn ask_ahead(&mut self, period: Duration, took: Stopwatch) {
        let left = period.saturating_sub(took.elapsed());
        let _ = timeout(left / 2, self.cycle.ask_ahead()).await;
    }

    /// A cycle of the leader.
    async fn turn(&mut self, reign: u32, period: Duration) {
        if self.reign != Some(reign) && !self.resume(reign).await {
            self.cycle.registry.ended(Outcome::Failed, &[]);
            // Being started anew would not help.
            return self.health.ticked(self.clock.elapsed(), period);
        }
        let limit = self.cycle.config.tick_timeout().duration();
        let cycle = cycle::within_span(&mut self.cycle);
        let Ok(changed) = timeout(limit, cycle).await else {
            tracing::warn!(
                seconds = limit.as_secs_f64(),
                "the cycle took too long; given up"
            );
            return self.cycle.registry.ended(Outcome::Failed, &[]);
        };
        self.health.ticked(self.clock.elapsed(), period);
        let interval = self.cycle.config.checkpoint_interval_seconds.duration();
        if changed || self.saved.elapsed() >= interval {
            self.save().await;
        }
    }

    /// Keeps what is known, and lets another lead.
    async fn end(mut self, election: Option<Election>) {
        if self.reign.is_some() && timeout(LAST_SAVE, self.save()).await.is_err() {
            tracing::warn!("the last state is not saved: the API server does not answer");
        }
        if let Some(election) = election {
            election.end().await;
        }
    }
}

enum Wait {
    Due,
    Changed,
    /// A pool was started: what is asked for now is decided at once.
    Woken(Woken),
}

/// Due at once, then each period.
fn interval(period: Duration) -> Interval {
    let mut due = tokio::time::interval(period);
    due.set_missed_tick_behavior(MissedTickBehavior::Skip);
    due
}

/// Cycles that fell due while one took so long.
fn skipped(took: Duration, period: Duration) -> u32 {
    (took.as_secs_f64() / period.as_secs_f64().max(0.001)) as u32
}
