//! One replica from what its engine instances report: loads and capacities are their sums.

use trimtab_contract::Replica;
use trimtab_core::fleet::FleetReplica;

use super::cells::{Cell, Engine};
use crate::names::Quantity;

/// What the instances of a replica report together.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    values: [Option<f64>; Quantity::COUNT],
    /// Instances that report a load.
    pub(super) engines: u32,
    /// Instances whose last scrape went well.
    pub(super) live: u32,
    /// Instant of the oldest of their last samples, in seconds since the Unix epoch.
    pub(super) oldest: Option<f64>,
    pub(super) newest: Option<f64>,
}

impl Sums {
    pub(super) fn of(cells: &[&Cell<'_>]) -> Self {
        let engines = engines(cells);
        let mut sums = Self {
            values: [None; Quantity::COUNT],
            engines: u32::try_from(engines.len()).unwrap_or(u32::MAX),
            live: 0,
            oldest: None,
            newest: None,
        };
        for (position, value) in sums.values.iter_mut().enumerate() {
            *value = sum(cells, position);
        }
        for engine in &engines {
            if let Some(at) = largest(cells, *engine, Quantity::ReportedAt) {
                sums.live += 1;
                sums.oldest = Some(sums.oldest.map_or(at, |known| known.min(at)));
                sums.newest = Some(sums.newest.map_or(at, |known| known.max(at)));
            }
        }
        let capacities: Vec<Option<f64>> = engines
            .iter()
            .map(|engine| capacity(cells, *engine))
            .collect();
        sums.put(Quantity::KvTokens, total_capacity(cells, &capacities));
        sums.put(Quantity::KvUsage, usage(cells, &engines, &capacities));
        sums
    }

    pub(super) fn get(&self, quantity: Quantity) -> Option<f64> {
        self.values.get(quantity as usize).copied().flatten()
    }

    /// One sum over another; `None` where nothing was counted.
    pub(super) fn ratio(&self, sum: Quantity, count: Quantity) -> Option<f64> {
        ratio(self.get(sum)?, self.get(count)?)
    }

    fn put(&mut self, quantity: Quantity, value: Option<f64>) {
        if let Some(slot) = self.values.get_mut(quantity as usize) {
            *slot = value;
        }
    }

    pub(super) fn replica(&self, of: &FleetReplica, metrics_age: f64, instances: u32) -> Replica {
        Replica {
            variant: of.variant,
            name: of.name.clone(),
            instances,
            metrics_age,
            kv_usage: self.get(Quantity::KvUsage),
            waiting: self.get(Quantity::Waiting),
            kv_capacity_tokens: self.get(Quantity::KvTokens).map(|tokens| tokens as u64),
            running: self.get(Quantity::Running),
            request_rate: self.get(Quantity::Finished),
            input_tokens: self.ratio(Quantity::InputTokens, Quantity::CountedRequests),
            output_tokens: self.ratio(Quantity::OutputTokens, Quantity::CountedRequests),
            prefix_hit_ratio: self
                .ratio(Quantity::PrefixHits, Quantity::PrefixQueries)
                .map(|share| share.min(1.0)),
            ttft: self.ratio(Quantity::TtftSum, Quantity::TtftCount),
            itl: self.ratio(Quantity::ItlSum, Quantity::ItlCount),
        }
    }
}

pub(super) fn ratio(sum: f64, count: f64) -> Option<f64> {
    (count > 0.0).then(|| sum / count)
}

/// Instances that report a load. A cache's size alone is no instance: some versions give it without
/// the label `engine`.
fn engines<'a>(cells: &[&Cell<'a>]) -> Vec<Engine<'a>> {
    let of_load = [
        Quantity::ReportedAt,
        Quantity::KvUsage,
        Quantity::Waiting,
        Quantity::Running,
    ];
    let mut engines: Vec<Engine<'a>> = Vec::new();
    for cell in cells {
        let reports = of_load
            .iter()
            .any(|quantity| cell.value(*quantity).is_some() || cell.is_spoiled(*quantity));
        if reports && !engines.contains(&cell.engine) {
            engines.push(cell.engine);
        }
    }
    engines
}

/// What instances add up to. One that is not a number makes the sum unknown.
fn sum(cells: &[&Cell<'_>], position: usize) -> Option<f64> {
    let mut sum = None;
    for cell in cells {
        if cell.is_spoiled_at(position) {
            return None;
        }
        if let Some(value) = cell.value_at(position) {
            sum = Some(sum.unwrap_or(0.0) + value);
        }
    }
    sum
}

fn largest(cells: &[&Cell<'_>], engine: Engine<'_>, quantity: Quantity) -> Option<f64> {
    cells
        .iter()
        .filter(|cell| cell.engine == engine)
        .filter_map(|cell| cell.value(quantity))
        .reduce(f64::max)
}

fn capacity(cells: &[&Cell<'_>], engine: Engine<'_>) -> Option<f64> {
    largest(cells, engine, Quantity::KvTokens)
        .or_else(|| largest(cells, engine, Quantity::KvBlocks))
}

/// Tokens that all caches hold. Instances of one replica are alike, so one that does not tell its
/// size has that of the others.
fn total_capacity(cells: &[&Cell<'_>], capacities: &[Option<f64>]) -> Option<f64> {
    let mut known: Vec<f64> = capacities.iter().copied().flatten().collect();
    if known.is_empty() {
        // Sizes without the label by which loads are told apart.
        let sizes = cells.iter().filter_map(|cell| {
            cell.value(Quantity::KvTokens)
                .or_else(|| cell.value(Quantity::KvBlocks))
        });
        known = sizes.collect();
    }
    let mean = ratio(known.iter().sum(), known.len() as f64)?;
    Some(mean * capacities.len().max(known.len()) as f64)
}

/// Share of all caches in use: weighted by size, or the largest where a size is unknown.
fn usage(cells: &[&Cell<'_>], engines: &[Engine<'_>], capacities: &[Option<f64>]) -> Option<f64> {
    if cells.iter().any(|cell| cell.is_spoiled(Quantity::KvUsage)) {
        return None;
    }
    let (mut used, mut tokens, mut most) = (0.0, Some(0.0), None);
    for (engine, capacity) in engines.iter().zip(capacities) {
        let Some(share) = largest(cells, *engine, Quantity::KvUsage) else {
            continue;
        };
        most = Some(f64::max(most.unwrap_or(0.0), share));
        used += share * capacity.unwrap_or(0.0);
        tokens = tokens.zip(*capacity).map(|(sum, capacity)| sum + capacity);
    }
    let weighted = tokens.and_then(|tokens| ratio(used, tokens));
    most.and(weighted).or(most)
}
