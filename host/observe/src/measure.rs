//! From Prometheus' answers to measurements of pools: plain and synchronous.
//!
//! Missing is `None` and never zero, a value that cannot be is taken as missing and said, and what
//! is not measured any more grows old. Nothing of one namespace is ever read for another.

mod cells;
mod histogram;
mod index;
mod memory;
mod picker;
mod replica;
mod state;
#[cfg(test)]
mod tests;
mod workload;

use trimtab_core::fleet::{FleetPool, Measured};

use self::cells::Cells;
use self::index::Index;
use self::memory::{Activity, Memory, PoolMemory, Seen};
use self::picker::{PickerLoad, Pickers};
use self::replica::Sums;
use self::state::Reports;
use self::workload::{Buckets, Side, Sources};
use crate::answer::Answers;
use crate::names::{Quantity, Topic};
use crate::pace::takes_turns;
use crate::queries::Windows;

/// Prometheus' clock and ours may differ by this without a word, in seconds.
const CLOCK_TOLERANCE: f64 = 5.0;

/// Measures pools, tick by tick. Remembers only when replicas last reported and when pools were
/// last busy; a pool that a tick does not name is forgotten.
#[derive(Clone, Debug, Default)]
pub struct Measurer {
    windows: Windows,
    memory: Memory,
}

/// What a tick has in common for all pools.
struct Tick<'a> {
    answers: &'a Answers,
    /// Our clock, in seconds since the Unix epoch.
    now: f64,
    /// Prometheus' clock; `None` where it returned nothing.
    evaluated_at: Option<f64>,
    gap: bool,
    cells: Cells<'a>,
    pickers: Pickers<'a>,
    buckets: Buckets,
}

impl Measurer {
    #[must_use]
    pub fn new(windows: Windows) -> Self {
        Self {
            windows,
            memory: Memory::default(),
        }
    }

    /// One [`Measured`] for each pool, in their order. `now_ms` is our clock, in milliseconds since
    /// the Unix epoch.
    pub fn measure(
        &mut self,
        pools: &[FleetPool],
        answers: &Answers,
        now_ms: u64,
    ) -> Vec<Measured> {
        let now = now_ms as f64 / 1000.0;
        let (mut last, gap) = self
            .memory
            .begin(now, f64::from(self.windows.short_seconds));
        let index = Index::new(pools);
        let cells = Cells::gather(pools, &index, answers);
        let buckets = Buckets::gather(answers, &cells.models);
        let tick = Tick {
            answers,
            now,
            evaluated_at: evaluated_at(answers),
            gap,
            pickers: Pickers::gather(pools, &index, answers),
            cells,
            buckets,
        };
        let mut measured = Vec::with_capacity(pools.len());
        for (position, pool) in pools.iter().enumerate() {
            let key = (pool.pool.namespace.clone(), pool.pool.name.clone());
            let mut memory = last.take(&key);
            measured.push(self.pool(&tick, position, pool, &mut memory));
            self.memory.put(key, memory);
        }
        measured
    }

    fn pool(
        &self,
        tick: &Tick<'_>,
        position: usize,
        pool: &FleetPool,
        memory: &mut PoolMemory,
    ) -> Measured {
        let mut reports = Reports::default();
        let mut replicas = Vec::with_capacity(pool.replicas.len());
        let mut sums = Vec::with_capacity(pool.replicas.len());
        let mut last = memory.take_replicas();
        for (number, replica) in pool.replicas.iter().enumerate() {
            let of = Sums::of(&tick.cells.of(position, number, replica));
            let seen = self.seen(tick, replica.ready_since_ms, &of);
            let reporting = memory.reporting(&mut last, &replica.name, seen);
            reports.add(replica, &of, &reporting);
            replicas.push(of.replica(replica, reporting.age, reporting.instances));
            sums.push((replica.variant, of));
        }
        let picker = tick.pickers.load(position, pool.picker.as_ref());
        let counts_are_whole = !reports.lost_count && !tick.answers.is_partial(Topic::Throughput);
        let sources = Sources {
            counts_are_whole,
            position,
            pool: &pool.pool,
            replicas: &sums,
            picker: &picker,
            buckets: &tick.buckets,
        };
        let mut activity = activity(&sources, &reports, pool.rules.max_metrics_age_seconds);
        let queue_is_lost = tick.answers.failure(Topic::PickerQueue).is_some();
        if activity == Activity::Quiet && pool.picker.is_some() && queue_is_lost {
            activity = Activity::Unknown;
        }
        Measured {
            workload: sources.workload(),
            idle_seconds: memory.idle_seconds(tick.now, activity, tick.gap),
            metrics: reports.state(tick.answers, pool),
            warnings: warnings(tick, position, pool, &reports, &picker),
            replicas,
        }
    }

    fn seen(&self, tick: &Tick<'_>, ready_since_ms: u64, sums: &Sums) -> Seen {
        // By the clock that runs ahead, so that ours cannot make anything look young.
        let latest = tick.evaluated_at.map_or(tick.now, |at| at.max(tick.now));
        Seen {
            now: tick.now,
            ready_since: ready_since_ms as f64 / 1000.0,
            age: sums.oldest.map(|oldest| (latest - oldest).max(0.0)),
            live: sums.live,
            engines: sums.engines,
            counts: sums.get(Quantity::Finished).is_some(),
            forget_after: f64::from(self.windows.long_seconds),
        }
    }
}

/// Answers that were kept from an earlier tick have no say in it.
fn evaluated_at(answers: &Answers) -> Option<f64> {
    let topics = Topic::ALL.iter();
    topics
        .filter(|topic| !takes_turns(**topic))
        .filter_map(|topic| answers.of(*topic)?.evaluated_at)
        .filter(|at| at.is_finite())
        .reduce(f64::max)
}

/// Whether requests are in a pool. Quiet is what is known to be so of each replica that serves; of
/// a pool without any, its picker must say it.
fn activity(sources: &Sources<'_>, reports: &Reports, max_age: f64) -> Activity {
    let picker = sources.picker;
    let signs = [
        picker.arrivals,
        picker.queued_requests,
        sources.total(Side::All, Quantity::Waiting),
        sources.total(Side::All, Quantity::Running),
        sources.total(Side::All, Quantity::Finished),
    ];
    if signs.iter().flatten().any(|sign| *sign > 0.0) {
        return Activity::Busy;
    }
    let arrivals = picker.arrivals.is_some();
    let told = |sums: &Sums| {
        let gauges = [Quantity::Waiting, Quantity::Running];
        let counted = arrivals || sums.get(Quantity::Finished).is_some();
        counted && gauges.iter().all(|gauge| sums.get(*gauge).is_some())
    };
    let all_told = sources.replicas.iter().all(|(_, sums)| told(sums));
    let fresh = reports.oldest <= max_age;
    if all_told && fresh && !picker.queue_is_unclear && (arrivals || !sources.replicas.is_empty()) {
        Activity::Quiet
    } else {
        Activity::Unknown
    }
}

fn warnings(
    tick: &Tick<'_>,
    position: usize,
    pool: &FleetPool,
    reports: &Reports,
    picker: &PickerLoad,
) -> Vec<String> {
    let mut warnings = tick.answers.warnings();
    warnings.extend(tick.cells.complaints(position));
    warnings.extend(reports.complaint());
    warnings.extend(picker.warnings.iter().cloned());
    if let Some(of) = pool.picker.as_ref().filter(|_| picker.arrivals.is_none()) {
        warnings.push(format!(
            "no requests are counted by the endpoint picker of `{}`: the request rate is taken \
             from the engines; does Prometheus scrape the picker?",
            of.pool
        ));
    }
    if reports.lost_count && picker.arrivals.is_none() {
        let lost = "some replicas no longer say how many requests they finish: the request rate is \
                    not known";
        warnings.push(lost.to_owned());
    }
    let behind = tick.evaluated_at.map_or(0.0, |at| tick.now - at);
    if behind.abs() > CLOCK_TOLERANCE {
        let side = if behind > 0.0 { "behind" } else { "ahead of" };
        warnings.push(format!(
            "Prometheus' clock is {:.0} s {side} ours; synchronize both",
            behind.abs()
        ));
    }
    let latest = tick.evaluated_at.map_or(tick.now, |at| at.max(tick.now));
    if let Some(newest) = reports.newest.filter(|at| *at > latest + CLOCK_TOLERANCE) {
        warnings.push(format!(
            "samples are {:.0} s in the future and taken as of now; synchronize the clocks",
            newest - latest
        ));
    }
    warnings
}
