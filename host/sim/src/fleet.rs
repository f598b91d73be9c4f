//! The replicas of all pools through their lives: asked for, pending, starting, serving, draining,
//! gone. A replica costs from the moment that it holds its GPUs until it is gone.
//!
//! Counts are kept as a `Deployment` keeps them: what dies or fails to start is replaced, and of
//! too many those go first that are furthest from serving, the youngest first.

mod bill;
mod given;
mod gpus;
mod replica;
mod startup;
#[cfg(test)]
mod tests;

use trimtab_contract::Accelerator;

use self::gpus::Gpus;
pub(crate) use self::replica::{Replica, Stage};
use self::startup::Starts;
use crate::engine::{Engine, Limits};
use crate::events::{Event, Events};
use crate::measure::samples::ReplicaSamples;
use crate::spec::{Spec, VariantSpec};

/// What is known of one variant.
#[derive(Debug)]
pub(crate) struct VariantState {
    /// Replicas that the HPA has set.
    pub(crate) target: u32,
    /// Positions of the replicas that exist, in the order in which they were asked for.
    pub(crate) existing: Vec<usize>,
    /// Replicas asked for since the start, for their names.
    asked: u32,
    /// Starts that are yet to fail.
    failing_starts: u32,
    pub(crate) starts: Starts,
    limits: Limits,
}

#[derive(Debug)]
pub(crate) struct Fleet<'a> {
    spec: &'a Spec,
    /// Every replica that there ever was, in the order in which they were asked for.
    pub(crate) replicas: Vec<Replica<'a>>,
    /// By pool and variant.
    variants: Vec<Vec<VariantState>>,
    gpus: Gpus<'a>,
    /// Replicas that wait for GPUs, in the order in which they were asked for.
    unscheduled: Vec<usize>,
}

impl<'a> Fleet<'a> {
    /// A fleet whose initial replicas serve, as far as there are GPUs for them.
    pub(crate) fn new(spec: &'a Spec, events: &mut Events) -> Self {
        let mut fleet = Self::empty(spec);
        for (pool, pool_spec) in spec.pools.iter().enumerate() {
            for (variant, of) in pool_spec.variants.iter().enumerate() {
                fleet.set_target(pool, variant, of.initial_replicas);
            }
        }
        for replica in fleet.take_gpus(0.0) {
            fleet.serve(0.0, replica, events);
        }
        fleet
    }

    /// A fleet without replicas.
    pub(crate) fn empty(spec: &'a Spec) -> Self {
        let variants = spec.pools.iter().enumerate().map(|(pool, pool_spec)| {
            let variants = pool_spec.variants.iter().enumerate();
            variants
                .map(|(variant, of)| VariantState::new(spec.seed, pool, variant, of))
                .collect()
        });
        Self {
            spec,
            replicas: Vec::new(),
            variants: variants.collect(),
            gpus: Gpus::new(spec),
            unscheduled: Vec::new(),
        }
    }

    pub(crate) fn variant(&self, pool: usize, variant: usize) -> Option<&VariantState> {
        self.variants.get(pool)?.get(variant)
    }

    pub(crate) fn variant_spec(&self, replica: &Replica<'a>) -> Option<&'a VariantSpec> {
        self.spec
            .pools
            .get(replica.pool)?
            .variants
            .get(replica.variant)
    }

    /// Replicas of a variant that serve, in the order in which they were asked for.
    pub(crate) fn serving(&self, pool: usize, variant: usize) -> impl Iterator<Item = usize> {
        let existing = self
            .variant(pool, variant)
            .map_or(&[][..], |state| &state.existing);
        existing
            .iter()
            .copied()
            .filter(|replica| self.stage(*replica) == Stage::Serving)
    }

    pub(crate) fn stage(&self, replica: usize) -> Stage {
        self.replicas
            .get(replica)
            .map_or(Stage::Gone, |replica| replica.stage)
    }

    pub(crate) fn accelerators(&self) -> Option<Vec<Accelerator>> {
        self.gpus.accelerators()
    }

    /// Sets the count of a variant: what is missing is asked for, what is too much goes.
    /// [`Self::schedule`] has to follow.
    pub(crate) fn scale(&mut self, now: f64, pool: usize, variant: usize, target: u32) {
        let removed = self.set_target(pool, variant, target);
        for replica in removed {
            match self.stage(replica) {
                Stage::Serving => self.drain(now, replica),
                Stage::Unscheduled | Stage::Starting | Stage::Draining | Stage::Gone => {
                    self.end(now, replica)
                }
            }
        }
    }

    /// Gives free GPUs to those who wait for them, in the order in which they were asked for; one
    /// that needs more than there are does not hold up the others.
    pub(crate) fn schedule(&mut self, now: f64, events: &mut Events) {
        for id in self.take_gpus(now) {
            let Some(replica) = self.replicas.get_mut(id) else {
                continue;
            };
            let state = self
                .variants
                .get_mut(replica.pool)
                .and_then(|pool| pool.get_mut(replica.variant));
            let Some(state) = state else { continue };
            replica.will_fail = state.failing_starts > 0;
            state.failing_starts = state.failing_starts.saturating_sub(1);
            events.add(
                now + state.starts.draw_time(),
                Event::Started { replica: id },
            );
        }
    }

    /// A start-up is over. True where the replica serves now; what failed is replaced.
    pub(crate) fn started(&mut self, now: f64, id: usize, events: &mut Events) -> bool {
        let Some(replica) = self
            .replicas
            .get(id)
            .filter(|replica| replica.stage == Stage::Starting)
        else {
            return false;
        };
        let (pool, variant, since) = (replica.pool, replica.variant, replica.held_since);
        if replica.will_fail {
            self.lose(now, id);
            self.schedule(now, events);
            return false;
        }
        if let (Some(since), Some(state)) = (since, self.variant_mut(pool, variant)) {
            state.starts.observe(now - since);
        }
        self.serve(now, id, events);
        true
    }

    /// The oldest serving replica of a variant dies. Gives its position; it is replaced as soon as
    /// [`Self::schedule`] finds GPUs.
    pub(crate) fn die(&mut self, now: f64, pool: usize, variant: usize) -> Option<usize> {
        let oldest = self.serving(pool, variant).next()?;
        self.lose(now, oldest);
        Some(oldest)
    }

    /// The next start of a variant will fail.
    pub(crate) fn fail_next_start(&mut self, pool: usize, variant: usize) {
        if let Some(state) = self.variant_mut(pool, variant) {
            state.failing_starts += 1;
        }
    }

    /// Ends a draining replica that has nothing left to do. True where it did.
    pub(crate) fn end_if_drained(&mut self, now: f64, id: usize) -> bool {
        let drained = self
            .replicas
            .get(id)
            .is_some_and(|replica| replica.stage == Stage::Draining && replica.engine.is_empty());
        if drained {
            self.end(now, id);
        }
        drained
    }

    /// Adds what is missing. Gives what is too much, those first that are furthest from serving.
    fn set_target(&mut self, pool: usize, variant: usize, target: u32) -> Vec<usize> {
        let Some(state) = self.variant_mut(pool, variant) else {
            return Vec::new();
        };
        state.target = target;
        let (target, existing) = (target as usize, state.existing.len());
        for _ in existing..target {
            self.ask(pool, variant);
        }
        let Some(state) = self.variant(pool, variant) else {
            return Vec::new();
        };
        let mut order = state.existing.clone();
        order.sort_by_key(|replica| (self.distance_from_serving(*replica), *replica));
        order.split_off(target.min(order.len()))
    }

    const fn distance(stage: Stage) -> u8 {
        match stage {
            Stage::Serving => 0,
            Stage::Starting => 1,
            Stage::Unscheduled => 2,
            Stage::Draining | Stage::Gone => 3,
        }
    }

    fn distance_from_serving(&self, replica: usize) -> u8 {
        Self::distance(self.stage(replica))
    }

    fn ask(&mut self, pool: usize, variant: usize) {
        let id = self.replicas.len();
        let spec = self
            .spec
            .pools
            .get(pool)
            .and_then(|pool| pool.variants.get(variant));
        let (Some(spec), Some(state)) = (spec, self.variant_mut(pool, variant)) else {
            return;
        };
        let replica = Replica {
            pool,
            variant,
            name: format!("{}-{}", spec.name, state.asked),
            stage: Stage::Unscheduled,
            held_since: None,
            gone_at: None,
            serving_since: None,
            will_fail: false,
            engine: Engine::new(state.limits),
            version: 0,
            samples: ReplicaSamples::default(),
        };
        state.asked += 1;
        state.existing.push(id);
        self.replicas.push(replica);
        self.unscheduled.push(id);
    }

    /// Those of the unscheduled that now hold their GPUs.
    fn take_gpus(&mut self, now: f64) -> Vec<usize> {
        let mut scheduled = Vec::new();
        for id in std::mem::take(&mut self.unscheduled) {
            let Some(replica) = self.replicas.get_mut(id) else {
                continue;
            };
            let variant = self
                .spec
                .pools
                .get(replica.pool)
                .and_then(|pool| pool.variants.get(replica.variant));
            let Some(variant) = variant else { continue };
            if self
                .gpus
                .take(&variant.accelerator, variant.gpus_per_replica)
            {
                replica.stage = Stage::Starting;
                replica.held_since = Some(now);
                scheduled.push(id);
            } else {
                self.unscheduled.push(id);
            }
        }
        scheduled
    }

    fn serve(&mut self, now: f64, id: usize, events: &mut Events) {
        let period = self.spec.timing.scrape_seconds;
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        let state = self
            .variants
            .get_mut(replica.pool)
            .and_then(|pool| pool.get_mut(replica.variant));
        let Some(state) = state else { return };
        replica.stage = Stage::Serving;
        replica.serving_since = Some(now);
        // Scrapes lie on a grid of their own for each target, wherever in it the target appears.
        let phase = state.starts.draw_phase() * period;
        let first = ((now - phase) / period).ceil().max(0.0) * period + phase;
        events.add(first.max(now), Event::ScrapeReplica { replica: id });
    }

    fn drain(&mut self, now: f64, id: usize) {
        self.forget(id);
        if let Some(replica) = self.replicas.get_mut(id) {
            replica.stage = Stage::Draining;
        }
        self.end_if_drained(now, id);
    }

    /// Ends a replica against its variant's will, and asks for another.
    fn lose(&mut self, now: f64, id: usize) {
        self.end(now, id);
        let Some(replica) = self.replicas.get(id) else {
            return;
        };
        let (pool, variant) = (replica.pool, replica.variant);
        let missing = self
            .variant(pool, variant)
            .is_some_and(|state| state.existing.len() < state.target as usize);
        if missing {
            self.ask(pool, variant);
        }
    }

    fn end(&mut self, now: f64, id: usize) {
        self.forget(id);
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        if replica.holds_gpus() {
            replica.gone_at = Some(now);
            let variant = self
                .spec
                .pools
                .get(replica.pool)
                .and_then(|pool| pool.variants.get(replica.variant));
            if let Some(variant) = variant {
                self.gpus
                    .give_back(&variant.accelerator, variant.gpus_per_replica);
            }
        }
        replica.stage = Stage::Gone;
    }

    /// Takes a replica from the lists of those that exist.
    fn forget(&mut self, id: usize) {
        self.unscheduled.retain(|other| *other != id);
        let Some(replica) = self.replicas.get(id) else {
            return;
        };
        let (pool, variant) = (replica.pool, replica.variant);
        if let Some(state) = self.variant_mut(pool, variant) {
            state.existing.retain(|other| *other != id);
        }
    }

    fn variant_mut(&mut self, pool: usize, variant: usize) -> Option<&mut VariantState> {
        self.variants.get_mut(pool)?.get_mut(variant)
    }
}

impl VariantState {
    fn new(seed: u64, pool: usize, variant: usize, spec: &VariantSpec) -> Self {
        Self {
            target: 0,
            existing: Vec::new(),
            asked: 0,
            failing_starts: 0,
            starts: Starts::new(seed, pool, variant, spec.startup),
            limits: Limits::of(spec),
        }
    }
}
