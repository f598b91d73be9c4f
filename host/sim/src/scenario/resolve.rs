//! From a scenario file to what a simulation runs on, every value checked.

use std::path::PathBuf;

use trimtab_contract::Objective;
use trimtab_core::snapshot::{Behavior, PoolRules};

use super::check::Place;
use super::file::{FaultEntry, Initial, ObjectiveEntry, PoolEntry, RulesEntry, ScenarioFile};
use super::workload::{Arrivals, Source};
use super::{Scenario, ScenarioError, bounds, fleet, start};
use crate::allot;
use crate::catalogue::Catalogue;
use crate::excerpt::number;
use crate::mix::{Inventory, Limits};
use crate::spec::{FaultSpec, PoolSpec, Spec, Timing};

/// Between the seeds of two pools: the golden ratio's bits, as splitmix64 has them.
pub(super) const SEED_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Most turns of a clock in a run: every tick leaves a decision of each pool in memory. 173 days
/// at 15 s.
const MOST_TURNS: f64 = 1e6;

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
        root.key("name").named(&file.name)?;
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
        let drain_seconds =
            root.within("drain-seconds", bounds::DRAIN_SECONDS, file.drain_seconds)?;
        let timing = timing(file, duration_seconds + drain_seconds, &root.key("timing"))?;
        let budget_per_hour = root.within_if_set(
            "budget-per-hour",
            bounds::BUDGET_PER_HOUR,
            file.budget_per_hour,
        )?;
        start_together(&mut resolved, file, &inventory);
        let spec = Spec {
            name: file.name.clone(),
            seed: overrides.seed.unwrap_or(file.seed),
            duration_seconds,
            drain_seconds,
            timing,
            faults: faults(&file.faults, &resolved, &root.key("faults"))?,
            pools: resolved,
            inventory,
            budget_per_hour,
        };
        // What is wrong with policies is said here too, to whoever does not ask for them.
        self.pools(&spec)?;
        self.swaps(&spec)?;
        Ok(spec)
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
            duration_seconds: root.within_if_set(
                "duration-seconds",
                bounds::DURATION_SECONDS,
                self.file.duration_seconds,
            )?,
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
    start::serves_something(&pool, &place.key("variants"))?;
    let given = entry
        .variants
        .iter()
        .map(|variant| variant.initial_replicas);
    let given: Vec<Initial> = given.collect();
    start::first_replicas(&mut pool, &given, arrivals.duration_seconds, inventory);
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
    let latency = |key, seconds| place.within_if_set(key, bounds::LATENCY_SECONDS, seconds);
    Ok(Objective {
        ttft: latency("ttft-seconds", entry.ttft_seconds)?,
        itl: latency("itl-seconds", entry.itl_seconds)?,
        throughput: place.within_if_set(
            "throughput",
            bounds::TOKENS_PER_SECOND,
            entry.throughput,
        )?,
        percentile: place.within("percentile", bounds::PERCENTILE, entry.percentile)?,
        priority: place.within("priority", bounds::PRIORITY, entry.priority)?,
    })
}

fn rules(entry: &RulesEntry, place: &Place<'_>) -> Result<PoolRules, ScenarioError> {
    Ok(PoolRules {
        mode: entry.mode,
        scale_to_zero_after_seconds: place.within_if_set(
            "scale-to-zero-after-seconds",
            bounds::INSTANT_SECONDS,
            entry.scale_to_zero_after_seconds,
        )?,
        behavior: behavior(entry.behavior.as_ref(), &place.key("behavior"))?,
        max_metrics_age_seconds: place.within(
            "max-metrics-age-seconds",
            bounds::AGE_SECONDS,
            entry.max_metrics_age_seconds,
        )?,
        ..PoolRules::default()
    })
}

/// HPA's behaviour, within what Kubernetes takes.
fn behavior(
    given: Option<&Behavior>,
    place: &Place<'_>,
) -> Result<Option<Behavior>, ScenarioError> {
    let Some(behavior) = given else {
        return Ok(None);
    };
    for (key, rules) in [
        ("scaleUp", &behavior.scale_up),
        ("scaleDown", &behavior.scale_down),
    ] {
        let place = place.key(key);
        place.within(
            "stabilizationWindowSeconds",
            bounds::WINDOW_SECONDS,
            rules.stabilization_window_seconds,
        )?;
        let list = place.key("policies");
        list.hold(!rules.policies.is_empty(), "empty", "at least one policy")?;
        for (index, policy) in rules.policies.iter().enumerate() {
            let place = list.index(index);
            place.within("value", bounds::CHANGE, policy.value)?;
            place.within(
                "periodSeconds",
                bounds::CHANGE_SECONDS,
                policy.period_seconds,
            )?;
        }
    }
    Ok(given.cloned())
}

fn timing(
    file: &ScenarioFile,
    run_seconds: f64,
    place: &Place<'_>,
) -> Result<Timing, ScenarioError> {
    let clock = |key, seconds: f64| {
        let seconds = place.within(key, bounds::PERIOD_SECONDS, seconds)?;
        let turns = run_seconds / seconds;
        if turns <= MOST_TURNS {
            return Ok(seconds);
        }
        Err(place.key(key).error(format!(
            "is {}, which is {turns:.0} turns in the {run_seconds:.0} s of the run; expected at \
             most {MOST_TURNS:.0}: at least {:.1}, or less time",
            number(seconds),
            (run_seconds / MOST_TURNS * 10.0).ceil() / 10.0
        )))
    };
    let entry = &file.timing;
    let window = |key, seconds| place.within(key, bounds::MEASURED_SECONDS, seconds);
    let long = window("long-window-seconds", entry.long_window_seconds)?;
    place.key("long-window-seconds").hold(
        long >= entry.window_seconds,
        number(long),
        &format!(
            "at least `window-seconds`, which is {}",
            number(entry.window_seconds)
        ),
    )?;
    Ok(Timing {
        tick_seconds: clock("tick-seconds", entry.tick_seconds)?,
        scrape_seconds: clock("scrape-seconds", entry.scrape_seconds)?,
        actuation_seconds: clock("actuation-seconds", entry.actuation_seconds)?,
        window_seconds: window("window-seconds", entry.window_seconds)?,
        long_window_seconds: long,
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
                let at_seconds =
                    place.within("at-seconds", bounds::INSTANT_SECONDS, *at_seconds)?;
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
                let at_seconds =
                    place.within("at-seconds", bounds::INSTANT_SECONDS, *at_seconds)?;
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
                let from_seconds =
                    place.within("from-seconds", bounds::INSTANT_SECONDS, *from_seconds)?;
                place.within("until-seconds", bounds::INSTANT_SECONDS, *until_seconds)?;
                place.key("until-seconds").hold(
                    *until_seconds >= from_seconds,
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
