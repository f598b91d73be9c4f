//! Builds pools, replicas and calls with as few words as a test needs.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a fixture fails its test"
)]

use trimtab_queueing_analyzer::QueueingAnalyzer;
use trimtab_sdk::{
    Analysis, Analyzer, Context, Engine, Knowledge, Level, Objective, Pool, Refusal, Replica, Role,
    Stage, Variant, Workload,
};

pub(crate) const START_MS: u64 = 1_700_000_000_000;

/// A pool with its replicas, called as often as wanted with its own state.
#[derive(Clone, Debug)]
pub(crate) struct Fixture {
    pub(crate) pool: Pool,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) knowledge: Vec<Knowledge>,
    pub(crate) settings: String,
    pub(crate) state: Vec<u8>,
    pub(crate) now: u64,
    pub(crate) period: f64,
}

pub(crate) fn pool(model: &str) -> Fixture {
    Fixture {
        pool: Pool {
            name: "pool".into(),
            namespace: "default".into(),
            model: model.into(),
            objective: Objective {
                ttft: Some(1.0),
                itl: Some(0.05),
                throughput: None,
                percentile: 0.99,
                priority: 1,
            },
            workload: Workload::UNMEASURED,
            variants: Vec::new(),
        },
        replicas: Vec::new(),
        knowledge: Vec::new(),
        settings: "{}".into(),
        state: Vec::new(),
        now: START_MS,
        period: 15.0,
    }
}

pub(crate) fn engine() -> Engine {
    Engine {
        max_batched_tokens: 8192,
        max_sequences: 256,
        max_model_length: None,
        tensor_parallel: 1,
        block_size: 16,
        gpu_blocks: None,
        gpu_memory_utilization: 0.9,
        kv_cache_dtype: "auto".into(),
        chunked_prefill: true,
    }
}

/// A replica that reports nothing at all.
pub(crate) fn silent(variant: u32, name: String) -> Replica {
    Replica {
        variant,
        name,
        instances: 1,
        metrics_age: 10.0,
        kv_usage: None,
        waiting: None,
        kv_capacity_tokens: None,
        running: None,
        request_rate: None,
        input_tokens: None,
        output_tokens: None,
        prefix_hit_ratio: None,
        ttft: None,
        itl: None,
    }
}

impl Fixture {
    pub(crate) fn variant(mut self, accelerator: &str, role: Role, ready: u32) -> Self {
        self.pool.variants.push(Variant {
            name: format!(
                "{}-{}",
                accelerator.to_lowercase(),
                self.pool.variants.len()
            ),
            accelerator: accelerator.into(),
            gpus_per_replica: 1,
            cost: 4.0,
            role,
            min_replicas: 1,
            max_replicas: 10,
            current_replicas: ready,
            ready_replicas: ready,
            desired_replicas: ready,
            startup_time: None,
            engine: Some(engine()),
        });
        self
    }

    /// A replica for every one of the last variant that serves, each as `report` makes it.
    pub(crate) fn reporting(mut self, report: impl Fn(usize, &mut Replica)) -> Self {
        let variant = self.pool.variants.len() - 1;
        for at in 0..self.pool.variants[variant].ready_replicas as usize {
            let mut replica = silent(variant as u32, format!("{variant}-{at}"));
            report(at, &mut replica);
            self.replicas.push(replica);
        }
        self
    }

    pub(crate) fn arriving(mut self, rate: f64, input: f64, output: f64) -> Self {
        self.pool.workload.request_rate = Some(rate);
        self.pool.workload.input_tokens = Some(input);
        self.pool.workload.output_tokens = Some(output);
        self
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// One call that leaves no trace.
    pub(crate) fn answer(&self) -> Result<Analysis, Refusal> {
        let context = Context {
            now: self.now,
            period: self.period,
            settings: self.settings.clone(),
            state: self.state.clone(),
        };
        QueueingAnalyzer::analyze(&context, &self.pool, &self.replicas, &self.knowledge)
    }

    #[track_caller]
    pub(crate) fn analysis(&self) -> Analysis {
        self.answer().expect("an answer")
    }

    /// One call, after which time goes on with the state that it left.
    #[track_caller]
    pub(crate) fn tick(&mut self) -> Analysis {
        let analysis = self.analysis();
        self.state.clone_from(&analysis.state);
        self.now += (self.period * 1e3) as u64;
        analysis
    }

    /// The only stage.
    #[track_caller]
    pub(crate) fn stage(&self) -> Stage {
        let mut stages = self.analysis().stages;
        assert_eq!(stages.len(), 1, "{stages:?}");
        stages.remove(0)
    }
}

/// Replicas of the stage's first variant that meet its floor.
pub(crate) fn needed(stage: &Stage) -> f64 {
    (stage.floor / stage.capacities[0].per_replica).ceil()
}

pub(crate) fn warnings(analysis: &Analysis) -> Vec<&str> {
    let notes = analysis
        .notes
        .iter()
        .filter(|note| note.level == Level::Warning);
    notes.map(|note| note.text.as_str()).collect()
}

pub(crate) fn says(analysis: &Analysis, part: &str) -> bool {
    analysis.notes.iter().any(|note| note.text.contains(part))
}
