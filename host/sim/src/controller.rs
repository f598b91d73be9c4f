//! Who decides in a run: Trimtab's engine, or a baseline beside it.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use trimtab_core::binding::{Binding, decide};
use trimtab_core::decision::{PoolDecision, VariantDecision};
use trimtab_core::memory::Memory;
use trimtab_core::shadow::shadows;
use trimtab_core::snapshot::Snapshot;

use crate::run::START_MS;
use crate::tried::{Asked, Deciding, ExperimentSeries, ShadowResult, Swapped, Tried};

/// Counts for one tick, by pool and variant in the snapshot's order.
pub struct Counts {
    pub desired: Vec<Vec<u32>>,
    /// Why, where the controller says so.
    pub decisions: Vec<PoolDecision>,
}

/// Called once a tick with what production would have measured by then.
pub trait Controller {
    fn decide(&mut self, snapshot: &Snapshot) -> Counts;

    /// What it tried beside deciding. Asked for once, when the run is over.
    fn tried(&mut self) -> Tried {
        Tried::default()
    }
}

/// What a pool is bound with from an instant on.
#[derive(Clone)]
pub struct Swap {
    /// From the start of the run.
    pub at_seconds: f64,
    /// Position of the pool.
    pub pool: usize,
    pub binding: Binding,
}

/// The engine itself, with any policies.
pub struct Engine {
    bindings: Vec<Binding>,
    /// Those to come, in order of time.
    swaps: VecDeque<Swap>,
    memory: Memory,
    /// Namespace and name of each pool, as they were last seen.
    pools: Vec<(String, String)>,
    tried: Tried,
}

impl Engine {
    /// `bindings` stands beside the spec's pools, position by position.
    #[must_use]
    pub fn new<B: Into<Binding>>(bindings: Vec<B>) -> Self {
        Self {
            bindings: bindings.into_iter().map(Into::into).collect(),
            swaps: VecDeque::new(),
            memory: Memory::default(),
            pools: Vec::new(),
            tried: Tried::default(),
        }
    }

    /// Swaps are made between two ticks: the first tick at or after their instant is decided with
    /// what they bring. Of two for one pool at the same instant the later in the list holds.
    #[must_use]
    pub fn with_swaps(mut self, mut swaps: Vec<Swap>) -> Self {
        swaps.sort_by(|one, other| one.at_seconds.total_cmp(&other.at_seconds));
        self.swaps = swaps.into();
        self
    }

    fn swap(&mut self, now: f64) {
        let is_due = |swap: &mut Swap| swap.at_seconds <= now;
        while let Some(swap) = self.swaps.pop_front_if(is_due) {
            let Some(bound) = self.bindings.get_mut(swap.pool) else {
                continue;
            };
            self.tried.swaps.push(Swapped {
                at_seconds: now,
                pool: swap.pool,
                before: Deciding::of(&bound.policies),
                after: Deciding::of(&swap.binding.policies),
            });
            // Of an experiment from here on: it begins anew.
            let trial = swap.binding.trial.as_ref();
            let candidate = trial.and_then(|trial| trial.candidate.as_ref());
            let mut known = self.tried.experiments.iter_mut();
            let series = known.find(|series| series.pool == swap.pool);
            if let (Some(series), Some(candidate)) = (series, candidate) {
                series.control = Deciding::of(&swap.binding.policies);
                series.candidate = Deciding::of(candidate);
            }
            *bound = swap.binding;
        }
    }

    /// However long it takes: what a shadow says must not depend on the machine.
    fn ask_shadows(&mut self, now: f64, snapshot: &Snapshot, decisions: &[PoolDecision]) {
        let memory = &mut self.memory;
        let mut asked = shadows(snapshot, &self.bindings, decisions, memory, &|| true);
        let pools = &self.pools;
        asked.sort_by_cached_key(|of| {
            let place = |(namespace, pool): &(String, String)| {
                (namespace, pool) == (&of.namespace, &of.pool)
            };
            (pools.iter().position(place), of.candidate.clone())
        });
        let asked = asked.into_iter().map(|shadowed| Asked {
            at_seconds: now,
            shadowed,
        });
        self.tried.asked.extend(asked);
    }

    fn look_at_experiments(&mut self, now: f64) {
        let pools = self.pools.iter().zip(&self.bindings).enumerate();
        for (pool, ((namespace, name), binding)) in pools {
            let report = self.memory.experiment(namespace, name);
            let trial = binding.trial.as_ref();
            let candidate = trial.and_then(|trial| trial.candidate.as_ref());
            let (Some(report), Some(candidate)) = (report, candidate) else {
                continue;
            };
            let known = &mut self.tried.experiments;
            match known.iter_mut().find(|series| series.pool == pool) {
                Some(series) => series.ticks.push((now, report)),
                None => known.push(ExperimentSeries {
                    pool,
                    control: Deciding::of(&binding.policies),
                    candidate: Deciding::of(candidate),
                    ticks: vec![(now, report)],
                }),
            }
        }
    }

    /// What all shadows of a pool came to, by name.
    fn shadow_results(
        &self,
        pool: usize,
        (namespace, name): &(String, String),
    ) -> Vec<ShadowResult> {
        let bound = self.bindings.get(pool);
        let policies = |name: &str| {
            let mut shadows = bound.into_iter().flat_map(|of| &of.shadows);
            let shadow = shadows.find(|shadow| shadow.name == name);
            shadow.map(|shadow| Deciding::of(&shadow.policies))
        };
        let of_pool = self.memory.shadows(namespace, name);
        let results = of_pool.map(|(candidate, tally)| ShadowResult {
            pool,
            candidate: candidate.to_owned(),
            policies: policies(candidate).unwrap_or_default(),
            tally: tally.clone(),
        });
        results.collect()
    }
}

impl Controller for Engine {
    fn decide(&mut self, snapshot: &Snapshot) -> Counts {
        let now = snapshot.now_ms.saturating_sub(START_MS) as f64 / 1000.0;
        let pools = snapshot.pools.iter().map(|seen| &seen.pool);
        self.pools = pools
            .map(|pool| (pool.namespace.clone(), pool.name.clone()))
            .collect();
        self.swap(now);
        let decisions = decide(snapshot, &self.bindings, &mut self.memory);
        self.ask_shadows(now, snapshot, &decisions);
        self.look_at_experiments(now);
        let desired = decisions
            .iter()
            .map(|pool| pool.variants.iter().map(asked).collect())
            .collect();
        Counts { desired, decisions }
    }

    fn tried(&mut self) -> Tried {
        let mut tried = std::mem::take(&mut self.tried);
        let pools = self.pools.iter().enumerate();
        let results = pools.flat_map(|(pool, names)| self.shadow_results(pool, names));
        tried.shadows = results.collect();
        tried
    }
}

/// A count that is not published is shown, and changes nothing.
const fn asked(variant: &VariantDecision) -> u32 {
    if variant.published {
        variant.desired
    } else {
        variant.previous
    }
}
