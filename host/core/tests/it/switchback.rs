//! A simulated pool under an experiment, through the real tick: load with a daily swing and noise
//! that remembers, replicas that take minutes to come, latency that grows with utilisation.

use std::f64::consts::TAU;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use trimtab_contract::{
    Analysis, Capacity, Context, Descriptor, Knowledge, Limits, Objective, Plan, Pool, Replica,
    Request, Role, Stage, Target, Variant, Workload,
};
use trimtab_core::experiment::{Arm, Experiment, Record, Report};
use trimtab_core::memory::Memory;
use trimtab_core::policies::{Analyzer, Bound, CallError, Digest, Optimizer, PoolPolicies};
use trimtab_core::snapshot::{Behavior, PoolRules, PoolSnapshot, Snapshot};
use trimtab_core::tick::tick;

const START_MS: u64 = 1_800_000_000_000;
const TICK_SECONDS: f64 = 60.0;
const STARTUP_TICKS: u64 = 3;
const TICKS_A_DAY: f64 = 1440.0;

/// Requests per second that keep one replica wholly busy.
const PER_REPLICA: f64 = 1.0;

/// Utilisation that the pool's own policy aims at.
pub(crate) const CONTROL: f64 = 0.60;

/// Utilisation at which a tenth of the replicas is saved.
pub(crate) const CANDIDATE: f64 = CONTROL / 0.9;

/// A pool's surroundings. 16 requests per second arrive, 40 % more and less in the course of a day,
/// which takes 15 to 37 replicas, and more where the noise is strong.
#[derive(Clone, Copy)]
pub(crate) struct World {
    /// Standard deviation of the noise, as a share of the load.
    pub(crate) noise: f64,
    /// Time in which the noise forgets all but 1/e of what it was.
    pub(crate) correlation_minutes: f64,
    /// Objective for the time to first token, in seconds: of an idle replica it is 0.2, at the
    /// control's utilisation 0.5.
    pub(crate) ttft: f64,
}

/// Runs an experiment between two utilisations to its end, over the load that `seed` gives.
pub(crate) fn run(rules: &Experiment, world: World, control: f64, candidate: f64) -> Report {
    let policies = [control, candidate].map(|utilization| [policies(utilization)]);
    let mut weather = Weather::new(world, rules.seed);
    let mut plant = Plant::new(world, weather.next(0) / control / PER_REPLICA);
    let mut memory = Memory::default();
    let mut record = Record::default();
    for number in 0.. {
        plant.serve(weather.next(number), number, &mut weather);
        let seen = &plant.snapshot;
        let pool = seen.pools.first();
        let arm = pool.and_then(|pool| record.tick(rules, pool, seen.now_ms, TICK_SECONDS));
        let [control, candidate] = &policies;
        let decisions = match arm {
            Some(Arm::Control) => tick(seen, control, &mut memory),
            Some(Arm::Candidate) => tick(seen, candidate, &mut memory),
            None => break,
        };
        let asked = decisions.first().and_then(|pool| pool.variants.first());
        if let Some(asked) = asked {
            plant.scale(asked.desired, number);
        }
    }
    record.report()
}

/// Draws what happens to a pool. Noise is drawn tick by tick, whatever the policies do, so that a
/// seed gives the same load to all of them.
struct Weather {
    world: World,
    rng: ChaCha8Rng,
    /// Where in the day the experiment begins, in ticks.
    phase: f64,
    noise: f64,
}

impl Weather {
    fn new(world: World, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let spread = 1e6 * normal(&mut rng);
        let noise = normal(&mut rng);
        Self {
            world,
            rng,
            phase: spread.rem_euclid(TICKS_A_DAY),
            noise,
        }
    }

    /// Requests per second that arrive until this tick.
    fn next(&mut self, number: u64) -> f64 {
        let World {
            noise,
            correlation_minutes,
            ..
        } = self.world;
        let kept = (-TICK_SECONDS / 60.0 / correlation_minutes).exp();
        self.noise = kept * self.noise + (1.0 - kept * kept).sqrt() * normal(&mut self.rng);
        let hour = (number as f64 + self.phase) / TICKS_A_DAY;
        let mean = 16.0 * (1.0 + 0.4 * (TAU * hour).sin());
        let load = mean * (noise * self.noise - noise * noise / 2.0).exp();
        let counted = load + (load / TICK_SECONDS).sqrt() * normal(&mut self.rng);
        counted.max(0.0)
    }
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// The pool and what became of its requests.
struct Plant {
    /// The tick from which each replica serves, oldest first.
    replicas: Vec<u64>,
    queued: f64,
    snapshot: Snapshot,
}

impl Plant {
    fn new(world: World, replicas: f64) -> Self {
        Self {
            replicas: vec![0; replicas.ceil() as usize],
            queued: 0.0,
            snapshot: Snapshot {
                now_ms: START_MS,
                period_seconds: TICK_SECONDS,
                pools: vec![pool(world)],
                inventory: None,
                budget_per_hour: None,
            },
        }
    }

    fn scale(&mut self, replicas: u32, number: u64) {
        self.replicas
            .resize(replicas as usize, number + STARTUP_TICKS);
    }

    /// Serves what arrived until this tick, and measures it.
    fn serve(&mut self, rate: f64, number: u64, weather: &mut Weather) {
        let ready = self.replicas.iter().filter(|from| **from <= number).count();
        let capacity = ready.max(1) as f64 * PER_REPLICA;
        let busy = ((rate + self.queued / TICK_SECONDS) / capacity).min(0.98);
        self.queued = (self.queued + (rate - capacity) * TICK_SECONDS).max(0.0);
        let jitter = (0.1 * normal(&mut weather.rng)).exp();
        let ttft = 0.2 / (1.0 - busy) * jitter + self.queued / capacity;
        self.snapshot.now_ms = START_MS + number * 60_000;
        let current = self.replicas.len() as u32;
        for seen in &mut self.snapshot.pools {
            seen.pool.workload.request_rate = Some(rate);
            seen.pool.workload.ttft_at_percentile = Some(ttft);
            seen.pool.workload.itl_at_percentile = Some(0.02 * (1.0 + busy));
            for variant in &mut seen.pool.variants {
                variant.current_replicas = current;
                variant.desired_replicas = current;
                variant.ready_replicas = ready as u32;
            }
            seen.replicas.resize_with(ready, replica);
        }
    }
}

fn pool(world: World) -> PoolSnapshot {
    let variant = Variant {
        name: "v".to_owned(),
        accelerator: "H100".to_owned(),
        gpus_per_replica: 1,
        cost: 2.5,
        role: Role::Both,
        min_replicas: 1,
        max_replicas: 200,
        current_replicas: 0,
        ready_replicas: 0,
        desired_replicas: 0,
        startup_time: Some(TICK_SECONDS * STARTUP_TICKS as f64),
        engine: None,
    };
    PoolSnapshot {
        pool: Pool {
            name: "pool".to_owned(),
            namespace: "default".to_owned(),
            model: "model".to_owned(),
            objective: Objective {
                ttft: Some(world.ttft),
                itl: Some(0.05),
                throughput: None,
                percentile: 0.95,
                priority: 1,
            },
            workload: Workload {
                queued_requests: Some(0.0),
                ..Workload::UNMEASURED
            },
            variants: vec![variant],
        },
        replicas: Vec::new(),
        idle_seconds: Some(0.0),
        warnings: Vec::new(),
        rules: PoolRules {
            behavior: Some(Behavior::default()),
            ..PoolRules::default()
        },
    }
}

fn replica() -> Replica {
    Replica {
        variant: 0,
        name: String::new(),
        instances: 1,
        metrics_age: 5.0,
        kv_usage: Some(0.5),
        waiting: Some(0.0),
        kv_capacity_tokens: None,
        running: Some(4.0),
        request_rate: None,
        input_tokens: None,
        output_tokens: None,
        prefix_hit_ratio: None,
        ttft: None,
        itl: None,
    }
}

/// An analyzer that aims at a utilisation, and an optimizer that gives what it asks for.
fn policies(utilization: f64) -> PoolPolicies {
    let analyzer: Arc<dyn Analyzer> = Arc::new(Native::new("aims", utilization));
    let optimizer: Arc<dyn Optimizer> = Arc::new(Native::new("gives", 0.0));
    PoolPolicies {
        analyzers: vec![Bound::new(vec![analyzer], "{}")],
        optimizer: Bound::new(vec![optimizer], "{}"),
    }
}

struct Native {
    descriptor: Descriptor,
    digest: Digest,
    utilization: f64,
}

impl Native {
    fn new(name: &str, utilization: f64) -> Self {
        Self {
            descriptor: Descriptor {
                name: name.to_owned(),
                version: "1".to_owned(),
                summary: String::new(),
                settings_schema: "{}".to_owned(),
                state_format: "1".to_owned(),
            },
            digest: Digest(format!("sha256:{name}-{utilization}")),
            utilization,
        }
    }
}

impl Analyzer for Native {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn analyze(
        &self,
        _: &Context,
        pool: &Pool,
        _: &[Replica],
        _: &[Knowledge],
    ) -> Result<Analysis, CallError> {
        let demand = pool.workload.request_rate.unwrap_or(0.0);
        let needed = demand / self.utilization;
        let capacity = Capacity {
            variant: 0,
            per_replica: PER_REPLICA,
            load: demand,
            predicted_ttft: None,
            predicted_itl: None,
        };
        let stage = Stage {
            role: Role::Both,
            unit: "requests/s".to_owned(),
            demand,
            forecast: None,
            floor: needed,
            ceiling: needed,
            capacities: vec![capacity],
        };
        Ok(Analysis {
            stages: vec![stage],
            learned: Vec::new(),
            notes: Vec::new(),
            state: Vec::new(),
        })
    }
}

impl Optimizer for Native {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn optimize(&self, _: &Context, requests: &[Request], _: &Limits) -> Result<Plan, CallError> {
        let targets = (0..).zip(requests).map(|(request, asked)| {
            let floors = asked.stages.iter().map(|stage| stage.floor);
            Target {
                request,
                variant: 0,
                replicas: (floors.fold(0.0, f64::max) / PER_REPLICA).ceil() as u32,
                reason: "covers the floor".to_owned(),
            }
        });
        Ok(Plan {
            targets: targets.collect(),
            notes: Vec::new(),
            state: Vec::new(),
        })
    }
}
