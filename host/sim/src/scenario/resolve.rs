//! From a scenario file to what a simulation runs on, every value checked.

use std::path::PathBuf;

use trimtab_contract::Objective;
use trimtab_core::snapshot::PoolRules;

use super::check::Place;
use super::file::{FaultEntry, Initial, ObjectiveEntry, PoolEntry, RulesEntry, ScenarioFile};
use super::workload::{Arrivals, Source};
use super::{Scenario, ScenarioError, fleet};
use crate::allot;
use crate::capacity::{Demand, stages};
use crate::catalogue::Catalogue;
use crate::mix::{Inventory, Kind, Limits, simplest};
use crate::spec::{FaultSpec, PoolSpec, Spec, Timing};

/// Between the seeds of two pools: the golden ratio's bits, as splitmix64 has them.
const SEED_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// `auto` looks at this much of the arrivals.
const FIRST_SECONDS: f64 = 60.0;

/// What `auto` starts with can carry this much more than arrives in the first minute: nobody
/// starts a fleet that the next minute's growth is too much for before a new replica serves.
const FIRST_HEAD_ROOM: f64 = 1.2;

/// What the command line puts in place of what the file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    pub seed: Option<u64>,
    /// Also of generated workloads, whose rates it multiplies.
    pub rate_scale: Option<f64>,
    pub spread_seconds: Option<f64>,
    /// Of traces.
    pub repeat: Option<u32>,
    /// Instead of the workload of the only pool; from where the process runs.
    pub trace: Option<PathBuf>,
}

impl Scenario {
    /// What a simulation runs on.
    ///
    /// # Errors
    /// [`ScenarioError`] that names the field, what is wrong with it, and what would be right.
    pub fn resolve(&self, overrides: &Overrides) -> Result<Spec, ScenarioError> {
        self.resolve_noting(overrides, &mut |_| ())
    }

    /// [`Self::resolve`], which also tells `note` what a user should know, e.g. how many lines of
    /// a trace were skipped.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn resolve_noting(
        &self,
        overrides: &Overrides,
        note: &mut dyn FnMut(String),
    ) -> Result<Spec, ScenarioError> {
        let root = Place::root(&self.name);
        let file = &self.file;
        let catalogue = fleet::catalogue(file, &root)?;
        let inventory = file
            .inventory
            .as_ref()
            .map(|gpus| fleet::inventory(gpus, &catalogue, &root.key("inventory")))
            .transpose()?;
        let pools = root.key("pools");
        pools.hold(!file.pools.is_empty(), "empty", "at least one pool")?;
        pools.unique(file.pools.iter().map(|pool| pool.name.as_str()))?;
        if overrides.trace.is_some() && file.pools.len() > 1 {
            return Err(pools.error(
                "one trace cannot stand for the workloads of several pools; expected a `workload` \
                 with a `trace` in each pool that is to serve one",
            ));
        }
        let mut resolved = Vec::new();
        let mut duration_seconds = 0.0_f64;
        for (index, entry) in file.pools.iter().enumerate() {
            let place = pools.index(index);
            let arrivals = self.arrivals(index, overrides, &place)?;
            duration_seconds = duration_seconds.max(arrivals.duration_seconds);
            if arrivals.skipped > 0 {
                note(format!(
                    "pool `{}`: {} failed requests of the trace are skipped",
                    entry.name, arrivals.skipped
                ));
            }
            resolved.push(pool(entry, arrivals, &catalogue, &inventory, &place)?);
        }
        start_together(&mut resolved, file, &inventory);
        Ok(Spec {
            name: file.name.clone(),
            seed: overrides.seed.unwrap_or(file.seed),
            duration_seconds,
            drain_seconds: root.not_negative("drain-seconds", file.drain_seconds)?,
            timing: timing(file, &root.key("timing"))?,
            faults: faults(&file.faults, &resolved, &root.key("faults"))?,
            pools: resolved,
            inventory,
            budget_per_hour: file
                .budget_per_hour
                .map(|budget| root.not_negative("budget-per-hour", budget))
                .transpose()?,
        })
    }

    fn arrivals(
        &self,
        index: usize,
        overrides: &Overrides,
        place: &Place<'_>,
    ) -> Result<Arrivals, ScenarioError> {
        let root = Place::root(&self.name);
        let seed = overrides.seed.unwrap_or(self.file.seed);
        let source = Source {
            directory: &self.directory,
            seed: seed.wrapping_add(SEED_STEP.wrapping_mul(index as u64)),
            duration_seconds: self
                .file
                .duration_seconds
                .map(|seconds| root.positive("duration-seconds", seconds))
                .transpose()?,
            overrides,
        };
        let workload = self.file.pools.get(index).map(|pool| &pool.workload);
        let workload = workload.ok_or_else(|| place.error("missing"))?;
        source.arrivals(workload, &place.key("workload"))
    }
}

fn pool(
    entry: &PoolEntry,
    arrivals: Arrivals,
    catalogue: &Catalogue,
    inventory: &Inventory,
    place: &Place<'_>,
) -> Result<PoolSpec, ScenarioError> {
    let mut pool = PoolSpec {
        name: entry.name.clone(),
        namespace: entry.namespace.clone(),
        model: entry.model.clone(),
        objective: objective(&entry.objective, &place.key("objective"))?,
        rules: rules(&entry.rules, &place.key("rules"))?,
        variants: fleet::variants(entry, catalogue, place)?,
        arrivals: arrivals.requests,
    };
    let first_seconds = FIRST_SECONDS.min(arrivals.duration_seconds);
    let first = pool
        .arrivals
        .iter()
        .take_while(|arrival| arrival.at_seconds < first_seconds);
    let demand = Demand::of(first, first_seconds);
    for stage in stages(&pool.variants) {
        let mut kinds = Kind::of(&pool, &stage, &demand);
        for (kind, index) in kinds.iter_mut().zip(&stage) {
            if let Some(Initial::Count(count)) =
                entry.variants.get(*index).map(|v| v.initial_replicas)
            {
                (kind.min, kind.max) = (count, count);
            }
        }
        for (index, count) in stage
            .iter()
            .zip(simplest(&kinds, inventory, FIRST_HEAD_ROOM))
        {
            if let Some(variant) = pool.variants.get_mut(*index) {
                variant.initial_replicas = count;
            }
        }
    }
    Ok(pool)
}

/// Pools choose their first counts alone; together they keep within GPUs and budget.
fn start_together(pools: &mut [PoolSpec], file: &ScenarioFile, inventory: &Inventory) {
    let chosen = file.pools.iter().map(|pool| {
        let variants = pool.variants.iter();
        let is_auto = |initial| !matches!(initial, Initial::Count(_));
        variants.map(|v| is_auto(v.initial_replicas)).collect()
    });
    let limits = Limits {
        inventory,
        budget_per_hour: file.budget_per_hour,
    };
    allot::within(pools, limits, &chosen.collect::<Vec<_>>());
}

fn objective(entry: &ObjectiveEntry, place: &Place<'_>) -> Result<Objective, ScenarioError> {
    let optional =
        |key, value: Option<f64>| value.map(|value| place.positive(key, value)).transpose();
    let percentile = entry.percentile;
    place.key("percentile").hold(
        percentile > 0.0 && percentile < 1.0,
        percentile,
        "a share between 0 and 1, e.g. 0.99",
    )?;
    Ok(Objective {
        ttft: optional("ttft-seconds", entry.ttft_seconds)?,
        itl: optional("itl-seconds", entry.itl_seconds)?,
        throughput: optional("throughput", entry.throughput)?,
        percentile,
        priority: place.at_least_one("priority", entry.priority)?,
    })
}

fn rules(entry: &RulesEntry, place: &Place<'_>) -> Result<PoolRules, ScenarioError> {
    Ok(PoolRules {
        mode: entry.mode,
        scale_to_zero_after_seconds: entry
            .scale_to_zero_after_seconds
            .map(|seconds| place.not_negative("scale-to-zero-after-seconds", seconds))
            .transpose()?,
        behavior: entry.behavior.clone(),
        max_metrics_age_seconds: place
            .positive("max-metrics-age-seconds", entry.max_metrics_age_seconds)?,
        ..PoolRules::default()
    })
}

fn timing(file: &ScenarioFile, place: &Place<'_>) -> Result<Timing, ScenarioError> {
    let entry = &file.timing;
    Ok(Timing {
        tick_seconds: place.positive("tick-seconds", entry.tick_seconds)?,
        scrape_seconds: place.positive("scrape-seconds", entry.scrape_seconds)?,
        actuation_seconds: place.positive("actuation-seconds", entry.actuation_seconds)?,
    })
}

fn faults(
    entries: &[FaultEntry],
    pools: &[PoolSpec],
    place: &Place<'_>,
) -> Result<Vec<FaultSpec>, ScenarioError> {
    let resolved = entries.iter().enumerate().map(|(index, entry)| {
        let place = place.index(index);
        Ok(match entry {
            FaultEntry::ReplicaDies {
                at_seconds,
                pool,
                variant,
            } => {
                let place = place.key("replica-dies");
                let (pool, variant) = named(pool, variant, pools, &place)?;
                let at_seconds = place.not_negative("at-seconds", *at_seconds)?;
                FaultSpec::ReplicaDies {
                    at_seconds,
                    pool,
                    variant,
                }
            }
            FaultEntry::StartFails {
                at_seconds,
                pool,
                variant,
            } => {
                let place = place.key("start-fails");
                let (pool, variant) = named(pool, variant, pools, &place)?;
                let at_seconds = place.not_negative("at-seconds", *at_seconds)?;
                FaultSpec::StartFails {
                    at_seconds,
                    pool,
                    variant,
                }
            }
            FaultEntry::MetricsVanish {
                from_seconds,
                until_seconds,
                pool,
            } => {
                let place = place.key("metrics-vanish");
                let from_seconds = place.not_negative("from-seconds", *from_seconds)?;
                place.key("until-seconds").hold(
                    until_seconds.is_finite() && *until_seconds >= from_seconds,
                    until_seconds,
                    &format!("at least `from-seconds`, which is {from_seconds}"),
                )?;
                let pool = pool_named(pool, pools, &place)?;
                FaultSpec::MetricsVanish {
                    from_seconds,
                    until_seconds: *until_seconds,
                    pool,
                }
            }
        })
    });
    resolved.collect()
}

fn pool_named(name: &str, pools: &[PoolSpec], place: &Place<'_>) -> Result<usize, ScenarioError> {
    let names = || pools.iter().map(|pool| pool.name.as_str());
    let found = names().position(|known| known == name);
    found.ok_or_else(|| place.key("pool").unknown(name, names()))
}

fn named(
    pool: &str,
    variant: &str,
    pools: &[PoolSpec],
    place: &Place<'_>,
) -> Result<(usize, usize), ScenarioError> {
    let index = pool_named(pool, pools, place)?;
    let variants = pools.get(index).map_or(&[][..], |pool| &pool.variants);
    let names = || variants.iter().map(|known| known.name.as_str());
    let found = names().position(|known| known == variant);
    Ok((
        index,
        found.ok_or_else(|| place.key("variant").unknown(variant, names()))?,
    ))
}
