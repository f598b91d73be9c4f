//! One run: a deterministic discrete-event simulation of the pools of a spec under a controller.
//!
//! Between events nothing is computed; an engine's many iterations are one event. The same spec,
//! seed and controller give the same outcome, bit for bit.

mod control;
#[cfg(test)]
mod tests;
mod traffic;

use trimtab_core::decision::PoolDecision;

use crate::controller::Controller;
use crate::engine::Output;
use crate::events::{Event, Events};
use crate::fleet::Fleet;
use crate::ledger::{Ledger, Totals};
use crate::measure::{RouterReading, RouterSamples};
use crate::outcome::Outcome;
use crate::quantile::percentiles;
use crate::router::Router;
use crate::spec::{FaultSpec, PoolSpec, Spec};
use crate::tried::Tried;

/// The instant at which every run starts, in milliseconds since the Unix epoch:
/// 2026-01-01T00:00:00Z. A snapshot's `now_ms` is this plus the run's time.
pub const START_MS: u64 = 1_767_225_600_000;

/// Shortest period of a clock, in seconds: keeps a run finite whatever the spec says.
const SHORTEST_PERIOD_SECONDS: f64 = 0.1;

/// Runs a spec under a controller. `progress` is told the share done, once a tick.
///
/// Cost and GPU hours count `0..duration_seconds`, so that runs of the same spec compare however
/// long their last requests take. The controller goes on deciding while these drain.
pub fn run(spec: &Spec, controller: &mut dyn Controller, progress: &mut dyn FnMut(f64)) -> Outcome {
    let mut simulation = Simulation::new(spec);
    while let Some((now, event)) = simulation.next_event() {
        simulation.handle(now, event, controller, progress);
    }
    progress(1.0);
    Outcome {
        tried: controller.tried(),
        ..simulation.close()
    }
}

/// One pool with all that is its own.
#[derive(Debug)]
pub(crate) struct Pool<'a> {
    pub(crate) spec: &'a PoolSpec,
    pub(crate) router: Router<'a>,
    pub(crate) ledger: Ledger<'a>,
    /// What the router exports, up to date.
    pub(crate) reading: RouterReading,
    samples: RouterSamples,
    /// Last asked for by the controller, by variant.
    desired: Vec<u32>,
    /// No metrics are scraped until then, in seconds.
    dark_until: f64,
}

pub(crate) struct Simulation<'a> {
    spec: &'a Spec,
    pub(crate) events: Events,
    pub(crate) fleet: Fleet<'a>,
    pub(crate) pools: Vec<Pool<'a>>,
    /// Kept between boundaries for its memory.
    outputs: Vec<Output>,
    replica_changes: u64,
    ticks: u64,
    decisions: Vec<PoolDecision>,
}

impl<'a> Simulation<'a> {
    fn new(spec: &'a Spec) -> Self {
        let mut events = Events::default();
        let fleet = Fleet::new(spec, &mut events);
        let mut simulation = Self::of(spec, fleet, events);
        simulation.start();
        simulation
    }

    /// Without arrivals, faults and clocks.
    pub(crate) fn of(spec: &'a Spec, fleet: Fleet<'a>, events: Events) -> Self {
        let pools = spec
            .pools
            .iter()
            .enumerate()
            .map(|(index, pool)| Pool::new(index, pool, &fleet));
        let pools: Vec<Pool<'a>> = pools.collect();
        Self {
            spec,
            events,
            fleet,
            pools,
            outputs: Vec::new(),
            replica_changes: 0,
            ticks: 0,
            decisions: Vec::new(),
        }
    }

    fn start(&mut self) {
        for pool in 0..self.pools.len() {
            self.expect_arrival(pool);
        }
        for (fault, spec) in self.spec.faults.iter().enumerate() {
            let at = match spec {
                FaultSpec::ReplicaDies { at_seconds, .. }
                | FaultSpec::StartFails { at_seconds, .. } => *at_seconds,
                FaultSpec::MetricsVanish { from_seconds, .. } => *from_seconds,
            };
            self.events.add(at, Event::Fault { fault });
        }
        self.start_clocks();
        // Initial replicas for which there are no GPUs wait for them.
        self.fleet.schedule(0.0, &mut self.events);
    }

    /// The next event, unless the run is over: when its time is and all requests have ended, or
    /// when these have had their time to drain.
    fn next_event(&mut self) -> Option<(f64, Event)> {
        let done = self.pools.iter().all(|pool| pool.ledger.is_done());
        let end = if done {
            self.spec.duration_seconds
        } else {
            self.spec.duration_seconds + self.spec.drain_seconds
        };
        self.events.next_at().filter(|at| *at <= end)?;
        self.events.take()
    }

    fn handle(
        &mut self,
        now: f64,
        event: Event,
        controller: &mut dyn Controller,
        progress: &mut dyn FnMut(f64),
    ) {
        match event {
            Event::Arrival { pool } => self.arrive(now, pool),
            Event::HandedOver {
                replica,
                slot,
                request,
            } => self.handed_over(now, replica, slot, request),
            Event::Started { replica } => self.started(now, replica),
            Event::Fault { fault } => self.fault(now, fault),
            Event::Boundary { replica, version } => self.boundary(now, replica, version),
            Event::ScrapeReplica { replica } => self.scrape_replica(now, replica),
            Event::ScrapeRouter { pool } => self.scrape_router(now, pool),
            Event::Sync => self.sync(now),
            Event::Tick => {
                progress((now / self.spec.duration_seconds).min(1.0));
                self.tick(now, controller);
            }
        }
    }

    fn close(self) -> Outcome {
        let mut totals = Totals::default();
        let pools = self
            .pools
            .into_iter()
            .map(|pool| pool.ledger.close(&mut totals))
            .collect();
        let (cost, gpu_hours) = self.fleet.bill(self.spec.duration_seconds);
        let arrived = totals.requests.arrived;
        Outcome {
            requests: totals.requests,
            attainment: (arrived > 0).then(|| totals.met as f64 / arrived as f64),
            ttft_seconds: percentiles(&mut totals.ttft),
            itl_seconds: percentiles(&mut totals.itl),
            cost,
            gpu_hours,
            replica_changes: self.replica_changes,
            ticks: self.ticks,
            policy_faults: self.decisions.iter().map(faults_of).sum(),
            pools,
            out_of_reach: Vec::new(),
            decisions: self.decisions,
            tried: Tried::default(),
        }
    }
}

impl<'a> Pool<'a> {
    fn new(index: usize, spec: &'a PoolSpec, fleet: &Fleet<'a>) -> Self {
        let mut router = Router::new(spec);
        router.refresh(index, fleet);
        Self {
            spec,
            router,
            ledger: Ledger::new(spec),
            reading: RouterReading::default(),
            samples: RouterSamples::default(),
            desired: spec
                .variants
                .iter()
                .map(|variant| variant.initial_replicas)
                .collect(),
            dark_until: f64::NEG_INFINITY,
        }
    }
}

fn faults_of(decision: &PoolDecision) -> u64 {
    let analyses = decision
        .analyses
        .iter()
        .map(|analyzed| analyzed.call.faults.len());
    (analyses.sum::<usize>() + decision.plan.call.faults.len()) as u64
}
