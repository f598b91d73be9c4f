//! A simulation, resolved and checked: what the scenario file becomes and the engine runs.

use trimtab_contract::{Engine, Objective, Role};
use trimtab_core::snapshot::PoolRules;

/// Everything that a run is made of. The same spec and seed give the same run.
#[derive(Clone, Debug)]
pub struct Spec {
    pub name: String,
    pub seed: u64,
    /// Requests arrive until here, in seconds; the run ends when they are done, or `drain_seconds` later.
    pub duration_seconds: f64,
    pub drain_seconds: f64,
    pub timing: Timing,
    pub pools: Vec<PoolSpec>,
    /// GPUs by accelerator name; `None` where the inventory is unknown.
    pub inventory: Option<Vec<(String, u32)>>,
    pub budget_per_hour: Option<f64>,
    pub faults: Vec<FaultSpec>,
}

/// The clocks of the control loop, and what is measured over, in seconds.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Between decisions.
    pub tick_seconds: f64,
    /// Between scrapes of a replica's metrics.
    pub scrape_seconds: f64,
    /// Between looks of the HPA at the desired count.
    pub actuation_seconds: f64,
    /// Over which rates, maxima and times are taken.
    pub window_seconds: f64,
    /// Over which token lengths and prefix hits are taken. Older samples are forgotten.
    pub long_window_seconds: f64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            tick_seconds: 15.0,
            scrape_seconds: 15.0,
            actuation_seconds: 15.0,
            window_seconds: 60.0,
            long_window_seconds: 300.0,
        }
    }
}

#[derive(Clone, Debug)]
pub struct PoolSpec {
    pub name: String,
    pub namespace: String,
    pub model: String,
    pub objective: Objective,
    pub rules: PoolRules,
    pub variants: Vec<VariantSpec>,
    /// In order of arrival.
    pub arrivals: Vec<Arrival>,
}

/// One request of a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// From the start of the run.
    pub at_seconds: f64,
    pub input_tokens: u32,
    pub output_tokens: u32,
    /// Ids of the prompt's 512-token prefix blocks, where the trace has them; the same id is the
    /// same content. Empty otherwise.
    pub prefix_blocks: Box<[u32]>,
}

#[derive(Clone, Debug)]
pub struct VariantSpec {
    pub name: String,
    pub accelerator: String,
    pub gpus_per_replica: u32,
    pub cost_per_hour: f64,
    pub role: Role,
    pub min_replicas: u32,
    pub max_replicas: u32,
    /// Replicas that serve when the run starts.
    pub initial_replicas: u32,
    pub engine: Engine,
    pub iteration: IterationTime,
    pub kv_capacity_tokens: u64,
    pub startup: Startup,
    /// Time of the KV cache's transfer from prefill to decode, for each token of the prompt.
    pub kv_transfer_seconds_per_token: f64,
}

/// Time of one iteration: `base + per_token · computed tokens + per_kv_token · KV tokens held`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IterationTime {
    pub base_seconds: f64,
    pub per_token_seconds: f64,
    pub per_kv_token_seconds: f64,
}

/// Time from asking for a replica until it serves: log-normal round the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Startup {
    pub mean_seconds: f64,
    /// Standard deviation over the mean.
    pub spread: f64,
}

/// Something that goes wrong at a set time.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultSpec {
    /// The oldest serving replica of a variant dies; its requests go back to the router.
    ReplicaDies {
        at_seconds: f64,
        pool: usize,
        variant: usize,
    },
    /// The next start of the variant after this time fails when it would have served.
    StartFails {
        at_seconds: f64,
        pool: usize,
        variant: usize,
    },
    /// No metrics of the pool are scraped in this span.
    MetricsVanish {
        from_seconds: f64,
        until_seconds: f64,
        pool: usize,
    },
}
