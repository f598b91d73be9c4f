//! The control loop: scrapes, ticks of the controller, and the HPA that sets what it asked for.

use rand::RngExt as _;
use trimtab_contract::{Pool as ObservedPool, Replica as Observed, Variant};
use trimtab_core::snapshot::{PoolSnapshot, Snapshot};

use super::{Pool, SHORTEST_PERIOD_SECONDS, START_MS, Simulation};
use crate::controller::Controller;
use crate::events::Event;
use crate::fleet::{Replica, Stage};
use crate::measure::{observe_replica, observe_workload};
use crate::random::{Purpose, stream};
use crate::spec::VariantSpec;

impl<'a> Simulation<'a> {
    /// The clocks of HPA and scrapes run at seeded phases of their own; the first tick is one
    /// period after the start.
    pub(super) fn start_clocks(&mut self) {
        let phase = |purpose| stream(self.spec.seed, purpose).random::<f64>();
        let actuation = phase(Purpose::Actuation) * period(self.spec.timing.actuation_seconds);
        self.events.add(actuation, Event::Sync);
        self.events
            .add(period(self.spec.timing.tick_seconds), Event::Tick);
        for pool in 0..self.pools.len() {
            let scrape =
                phase(Purpose::RouterScrapes { pool }) * period(self.spec.timing.scrape_seconds);
            self.events.add(scrape, Event::ScrapeRouter { pool });
        }
    }

    pub(super) fn scrape_replica(&mut self, now: f64, id: usize) {
        let Some(replica) = self.fleet.replicas.get_mut(id) else {
            return;
        };
        if replica.stage != Stage::Serving {
            return;
        }
        if self
            .pools
            .get(replica.pool)
            .is_some_and(|pool| now >= pool.dark_until)
        {
            let reading = replica.engine.reading(now);
            let longest = self.spec.timing.long_window_seconds;
            replica.samples.push(now, reading, longest);
        }
        self.events.add(
            now + period(self.spec.timing.scrape_seconds),
            Event::ScrapeReplica { replica: id },
        );
    }

    pub(super) fn scrape_router(&mut self, now: f64, index: usize) {
        let Some(pool) = self.pools.get_mut(index) else {
            return;
        };
        if now >= pool.dark_until {
            pool.reading.queued_requests = pool.router.queued_requests();
            pool.reading.queued_bytes = pool.router.queued_bytes();
            let longest = self.spec.timing.long_window_seconds;
            pool.samples.push(now, pool.reading.clone(), longest);
        }
        self.events.add(
            now + period(self.spec.timing.scrape_seconds),
            Event::ScrapeRouter { pool: index },
        );
    }

    pub(super) fn tick(&mut self, now: f64, controller: &mut dyn Controller) {
        let counts = controller.decide(&self.snapshot(now));
        self.decisions.extend(counts.decisions);
        for (pool, desired) in self.pools.iter_mut().zip(&counts.desired) {
            for (last, desired) in pool.desired.iter_mut().zip(desired) {
                self.replica_changes += u64::from(last != desired);
                *last = *desired;
            }
        }
        self.ticks += 1;
        for index in 0..self.pools.len() {
            self.sample(now, index);
        }
        self.events
            .add(now + period(self.spec.timing.tick_seconds), Event::Tick);
    }

    /// What is desired becomes what is set, within the variants' bounds as the HPA has them.
    pub(super) fn sync(&mut self, now: f64) {
        for (index, pool) in self.pools.iter().enumerate() {
            for (variant, (spec, desired)) in
                pool.spec.variants.iter().zip(&pool.desired).enumerate()
            {
                let target = (*desired).min(spec.max_replicas).max(spec.min_replicas);
                if self
                    .fleet
                    .variant(index, variant)
                    .is_some_and(|state| state.target != target)
                {
                    self.fleet.scale(now, index, variant, target);
                }
            }
        }
        self.fleet.schedule(now, &mut self.events);
        for index in 0..self.pools.len() {
            self.refresh(now, index);
        }
        self.events.add(
            now + period(self.spec.timing.actuation_seconds),
            Event::Sync,
        );
    }

    fn sample(&mut self, now: f64, index: usize) {
        let cost = self.fleet.cost_per_hour(index);
        let Some(pool) = self.pools.get_mut(index) else {
            return;
        };
        let replicas = self
            .fleet
            .replicas
            .iter()
            .filter(|replica| replica.pool == index);
        let waiting: u64 = replicas
            .filter(|replica| replica.stage != Stage::Gone)
            .map(|replica| replica.engine.waiting())
            .sum();
        let serving = |variant| self.fleet.serving(index, variant).count() as u32;
        let counts = pool
            .desired
            .iter()
            .enumerate()
            .map(|(variant, desired)| (*desired, serving(variant)));
        let counts: Vec<(u32, u32)> = counts.collect();
        pool.ledger
            .sample(now, pool.router.queued_requests() + waiting, cost, &counts);
    }

    /// What production would have measured by now.
    fn snapshot(&self, now: f64) -> Snapshot {
        Snapshot {
            now_ms: START_MS + (now * 1000.0).round() as u64,
            period_seconds: period(self.spec.timing.tick_seconds),
            pools: self
                .pools
                .iter()
                .enumerate()
                .map(|(index, pool)| self.pool_snapshot(now, index, pool))
                .collect(),
            inventory: self.fleet.accelerators(),
            budget_per_hour: self.spec.budget_per_hour,
        }
    }

    fn pool_snapshot(&self, now: f64, index: usize, pool: &Pool<'a>) -> PoolSnapshot {
        let variants = || pool.spec.variants.iter().enumerate();
        let serving = variants().flat_map(|(variant, _)| self.fleet.serving(index, variant));
        let serving: Vec<&Replica<'a>> = serving
            .filter_map(|id| self.fleet.replicas.get(id))
            .collect();
        let windows = &self.spec.timing;
        let percentile = pool.spec.objective.percentile;
        PoolSnapshot {
            pool: ObservedPool {
                name: pool.spec.name.clone(),
                namespace: pool.spec.namespace.clone(),
                model: pool.spec.model.clone(),
                objective: pool.spec.objective.clone(),
                workload: observe_workload(
                    (now, windows),
                    &pool.samples,
                    serving.iter().copied(),
                    percentile,
                ),
                variants: variants()
                    .map(|(variant, spec)| self.variant(index, variant, spec, pool))
                    .collect(),
            },
            replicas: serving
                .iter()
                .filter_map(|replica| self.observed(now, replica))
                .collect(),
            idle_seconds: Some(pool.ledger.idle_seconds(now)),
            warnings: Vec::new(),
            rules: pool.spec.rules.clone(),
        }
    }

    fn observed(&self, now: f64, replica: &Replica<'a>) -> Option<Observed> {
        let variant = self.fleet.variant_spec(replica)?;
        Some(observe_replica((now, &self.spec.timing), replica, variant))
    }

    fn variant(&self, pool: usize, variant: usize, spec: &VariantSpec, of: &Pool<'a>) -> Variant {
        let state = self.fleet.variant(pool, variant);
        Variant {
            name: spec.name.clone(),
            accelerator: spec.accelerator.clone(),
            gpus_per_replica: spec.gpus_per_replica,
            cost: spec.cost_per_hour,
            role: spec.role,
            min_replicas: spec.min_replicas,
            max_replicas: spec.max_replicas,
            current_replicas: state.map_or(0, |state| state.existing.len() as u32),
            ready_replicas: self.fleet.serving(pool, variant).count() as u32,
            desired_replicas: of
                .desired
                .get(variant)
                .copied()
                .unwrap_or(spec.initial_replicas),
            startup_time: state.and_then(|state| state.starts.mean_observed()),
            engine: Some(spec.engine.clone()),
        }
    }
}

fn period(seconds: f64) -> f64 {
    seconds.max(SHORTEST_PERIOD_SECONDS)
}
