//! The simulated fleet run against somebody else's clock, with replicas that somebody else starts
//! and ends, and a load that can change at any time: what stands behind the pods of a test cluster.
//!
//! Engines, router and requests are those of a run; there is no controller, and nobody but the
//! caller scrapes. Replicas serve from the moment at which they are named.

mod faster;
mod load;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use bumpalo::Bump;

pub use self::faster::faster;
use self::load::Load;
pub use crate::engine::Distributions;
use crate::events::{Event, Events};
use crate::fleet::Fleet;
use crate::generate::Lengths;
pub use crate::measure::histogram::Histogram;
use crate::measure::histogram::PICKER_TTFT_BOUNDS;
use crate::run::{Pool, Simulation};
use crate::spec::Spec;

/// Where the requests of a [`Live`] are kept. It grows with every request.
#[derive(Debug, Default)]
pub struct Arena(Bump);

/// What one engine exports. Counts are from its start.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineReading {
    pub running: u64,
    pub waiting: u64,
    /// Share of the KV blocks in use.
    pub kv_usage: f64,
    /// Of finished requests.
    pub finished: u64,
    /// Prompt tokens taken on, and those of them that the prefix cache had.
    pub prompt_tokens: u64,
    pub cached_tokens: u64,
    pub generated_tokens: u64,
    pub preemptions: u64,
    pub distributions: Distributions,
}

/// What a pool's endpoint picker exports. Counts are from the start.
#[derive(Clone, Debug, PartialEq)]
pub struct PickerReading {
    pub requests: u64,
    /// Requests that have come and not ended.
    pub open: u64,
    pub queued_requests: u64,
    pub queued_bytes: u64,
    /// With the time in the picker's own queue.
    pub ttft: Histogram,
    pub endpoints: u64,
    /// Means over the endpoints; `None` without any.
    pub mean: Option<MeanLoad>,
}

/// Load of a pool's endpoints.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanLoad {
    pub running: f64,
    pub waiting: f64,
    pub kv_usage: f64,
}

/// See the module.
pub struct Live<'a> {
    simulation: Simulation<'a>,
    arena: &'a Arena,
    /// By pool.
    loads: Vec<Load>,
    now: f64,
}

impl<'a> Live<'a> {
    /// All pools of a spec, without replicas. The spec's arrivals come at their times, until
    /// [`Self::set_rate`]; its initial replicas, inventory, faults and clocks do not matter.
    #[must_use]
    pub fn new(spec: &'a Spec, arena: &'a Arena) -> Self {
        let simulation = Simulation::of(spec, Fleet::empty(spec), Events::default());
        let loads = spec.pools.iter().enumerate();
        let mut live = Self {
            simulation,
            arena,
            loads: loads
                .map(|(pool, of)| Load::new(spec.seed, pool, &of.arrivals))
                .collect(),
            now: 0.0,
        };
        for (index, pool) in live.simulation.pools.iter_mut().enumerate() {
            pool.reading.ttft = Histogram::new(PICKER_TTFT_BOUNDS);
            let first = pool.spec.arrivals.first();
            if let (Some(load), Some(first)) = (live.loads.get_mut(index), first) {
                load.next = Some(first.at_seconds);
            }
        }
        for pool in 0..spec.pools.len() {
            live.expect_arrival(pool);
        }
        live
    }

    /// Lets the world go on until an instant, in seconds from the start; it never goes back.
    pub fn advance(&mut self, to_seconds: f64) {
        while let Some(at) = self.simulation.events.next_at() {
            if at > to_seconds {
                break;
            }
            let Some((now, event)) = self.simulation.events.take() else {
                break;
            };
            self.handle(now, event);
        }
        self.now = self.now.max(to_seconds);
        for pool in &mut self.simulation.pools {
            pool.ledger.forget_interval();
        }
    }

    /// From now on requests of a pool arrive at random at this rate, in requests per second.
    pub fn set_rate(&mut self, pool: usize, per_second: f64) {
        let now = self.now;
        if let Some(load) = self.loads.get_mut(pool) {
            load.set_rate(now, per_second);
        }
        self.expect_arrival(pool);
    }

    /// From the next request on; only those count that come at a rate.
    pub fn set_lengths(&mut self, pool: usize, input: Lengths, output: Lengths) {
        if let Some(load) = self.loads.get_mut(pool) {
            load.set_lengths(input, output);
        }
    }

    /// The replicas of a variant that serve from now on, by name. New ones are fresh; those that
    /// are missing take no more requests, and end with their last.
    pub fn set_replicas(&mut self, pool: usize, variant: usize, names: &BTreeSet<String>) {
        let serving = self.simulation.fleet.serving(pool, variant);
        let serving: Vec<(usize, String)> = serving
            .filter_map(|id| Some((id, self.simulation.fleet.replicas.get(id)?.name.clone())))
            .collect();
        let mut missing = names.clone();
        for (id, name) in serving {
            if !missing.remove(&name) {
                self.simulation.fleet.leave(self.now, id);
            }
        }
        for name in &missing {
            self.simulation.fleet.join(self.now, pool, variant, name);
        }
        self.simulation.refresh(self.now, pool);
    }

    /// What a replica that serves exports; `None` where there is none of this name.
    #[must_use]
    pub fn engine(&self, pool: usize, variant: usize, name: &str) -> Option<EngineReading> {
        let fleet = &self.simulation.fleet;
        let mut serving = fleet.serving(pool, variant);
        let engine = serving.find_map(|id| {
            let replica = fleet.replicas.get(id)?;
            (replica.name == name).then_some(&replica.engine)
        })?;
        let reading = engine.reading(self.now);
        let counters = reading.counters;
        Some(EngineReading {
            running: reading.running,
            waiting: reading.waiting,
            kv_usage: reading.kv_usage,
            finished: counters.finished,
            prompt_tokens: counters.prefix_queries,
            cached_tokens: counters.prefix_hits,
            // The first token of each request, and those after it.
            generated_tokens: counters.ttft_count + counters.itl_count,
            preemptions: counters.preemptions,
            distributions: engine.distributions(self.now)?,
        })
    }

    /// What a pool's picker exports.
    #[must_use]
    pub fn picker(&self, pool: usize) -> Option<PickerReading> {
        let of = self.simulation.pools.get(pool)?;
        let load = self.mean_load(pool, of);
        Some(PickerReading {
            requests: of.reading.arrived,
            open: of.ledger.open(),
            queued_requests: of.router.queued_requests(),
            queued_bytes: of.router.queued_bytes(),
            ttft: of.reading.ttft.clone(),
            endpoints: load.map_or(0, |(endpoints, _)| endpoints),
            mean: load.map(|(_, mean)| mean),
        })
    }

    fn mean_load(&self, pool: usize, of: &Pool<'a>) -> Option<(u64, MeanLoad)> {
        let fleet = &self.simulation.fleet;
        let serving = (0..of.spec.variants.len()).flat_map(|variant| fleet.serving(pool, variant));
        let (mut count, mut running, mut waiting, mut kv_usage) = (0, 0.0, 0.0, 0.0);
        for replica in serving.filter_map(|id| fleet.replicas.get(id)) {
            let reading = replica.engine.reading(self.now);
            count += 1;
            running += reading.running as f64;
            waiting += reading.waiting as f64;
            kv_usage += reading.kv_usage;
        }
        let endpoints = count as f64;
        let mean = MeanLoad {
            running: running / endpoints,
            waiting: waiting / endpoints,
            kv_usage: kv_usage / endpoints,
        };
        (count > 0).then_some((count, mean))
    }

    fn handle(&mut self, now: f64, event: Event) {
        match event {
            Event::Arrival { pool } => self.arrive(now, pool),
            Event::HandedOver {
                replica,
                slot,
                request,
            } => self.simulation.handed_over(now, replica, slot, request),
            Event::Boundary { replica, version } => self.simulation.boundary(now, replica, version),
            // Nobody asks for these here.
            Event::Started { .. }
            | Event::Fault { .. }
            | Event::ScrapeReplica { .. }
            | Event::ScrapeRouter { .. }
            | Event::Sync
            | Event::Tick => {}
        }
    }

    fn arrive(&mut self, now: f64, index: usize) {
        let arena = self.arena;
        let (Some(load), Some(pool)) = (
            self.loads.get_mut(index),
            self.simulation.pools.get_mut(index),
        ) else {
            return;
        };
        // One that was expected before the rate changed.
        if load.next != Some(now) {
            return;
        }
        match load.draw(now) {
            Some(arrival) => {
                let request = pool.router.add(arena.0.alloc(arrival));
                pool.ledger.arrive_beyond_spec();
                pool.reading.arrived += 1;
                pool.router.push(request);
                self.expect_arrival(index);
                self.simulation.dispatch(now, index);
            }
            None => {
                self.simulation.arrive(now, index);
                let next = self.simulation.pools.get(index);
                let next = next.and_then(|pool| pool.ledger.next_arrival());
                if let Some(load) = self.loads.get_mut(index) {
                    load.next = next.map(|(_, arrival)| arrival.at_seconds);
                }
            }
        }
    }

    fn expect_arrival(&mut self, pool: usize) {
        let next = self.loads.get(pool).and_then(|load| load.next);
        if let Some(at) = next {
            self.simulation.events.add(at, Event::Arrival { pool });
        }
    }
}

impl std::fmt::Debug for Live<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Live")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}
