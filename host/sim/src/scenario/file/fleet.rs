//! What serves it: accelerators, models and variants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trimtab_contract::Role;

use crate::scenario::{bounds, defaults};

/// An accelerator's data sheet. For one that is in the catalogue: what differs. For a new one:
/// all, save `tflops-8bit`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AcceleratorEntry {
    /// Dense bf16 TFLOP/s. Makers mostly print the sparse figure, which is twice that.
    #[schemars(transform = bounds::TFLOPS.shown())]
    pub tflops: Option<f64>,
    /// Dense 8-bit TFLOP/s; without it: as with bf16.
    #[serde(rename = "tflops-8bit")]
    #[schemars(transform = bounds::TFLOPS.shown())]
    pub tflops_8bit: Option<f64>,
    /// TB/s.
    #[schemars(transform = bounds::BANDWIDTH_TBPS.shown())]
    pub bandwidth_tbps: Option<f64>,
    /// GiB.
    #[schemars(transform = bounds::MEMORY_GIB.shown())]
    pub memory_gib: Option<f64>,
    /// Of one GPU.
    #[schemars(transform = bounds::PRICE_PER_HOUR.shown())]
    pub price_per_hour: Option<f64>,
}

/// A model's configuration. For one that is in the catalogue: what differs. For a new one: all,
/// save `active-parameters-billions` and `weight-bits`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ModelEntry {
    /// Parameters of all layers and experts.
    #[schemars(transform = bounds::PARAMETERS_BILLIONS.shown())]
    pub parameters_billions: Option<f64>,
    /// Of a mixture of experts: those that compute one token.
    #[schemars(transform = bounds::PARAMETERS_BILLIONS.shown())]
    pub active_parameters_billions: Option<f64>,
    /// 16 (the default), 8 or 4.
    #[schemars(extend("enum" = [16, 8, 4, null]))]
    pub weight_bits: Option<u32>,
    /// `num_hidden_layers` of the model's configuration.
    #[schemars(transform = bounds::LAYERS.shown())]
    pub layers: Option<u32>,
    /// `num_key_value_heads` of the model's configuration.
    #[schemars(transform = bounds::KV_HEADS.shown())]
    pub kv_heads: Option<u32>,
    /// `head_dim` of the model's configuration.
    #[schemars(transform = bounds::HEAD_DIM.shown())]
    pub head_dim: Option<u32>,
}

/// A group of identical replicas.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct VariantEntry {
    /// Of its own in the pool.
    #[schemars(transform = bounds::name)]
    pub name: String,
    /// Of the catalogue, or of `accelerators`.
    pub accelerator: String,
    /// GPUs of a replica, which share one copy of the weights.
    #[serde(default = "defaults::once")]
    #[schemars(transform = bounds::GPUS_PER_REPLICA.shown())]
    pub tensor_parallel: u32,
    /// Of a replica. Without it: the price of its GPUs.
    #[schemars(transform = bounds::PRICE_PER_HOUR.shown())]
    pub cost_per_hour: Option<f64>,
    /// `both`, `prefill` or `decode`.
    #[serde(default = "defaults::role")]
    #[schemars(with = "RoleSchema")]
    pub role: Role,
    #[serde(default)]
    /// At least so many replicas at all times.
    #[schemars(transform = bounds::REPLICAS.shown())]
    pub min_replicas: u32,
    #[serde(default = "defaults::max_replicas")]
    /// At most so many replicas; at least `min-replicas`.
    #[schemars(transform = bounds::REPLICAS.shown())]
    pub max_replicas: u32,
    /// Replicas that serve when the run starts; `auto` for what fits the first minute.
    #[serde(default = "defaults::initial")]
    pub initial_replicas: Initial,
    /// The serving engine's settings. Without it: vLLM's defaults on a large card.
    #[serde(default)]
    pub engine: EngineEntry,
    /// Time from asking for a replica until it serves.
    #[serde(default)]
    pub startup: StartupEntry,
    /// Constants instead of what follows from the data sheets.
    #[serde(default)]
    pub constants: ConstantsEntry,
}

/// [`Role`] for the schema.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is used")]
enum RoleSchema {
    Both,
    Prefill,
    Decode,
}

/// A count, or `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number of replicas, or `auto`")]
pub enum Initial {
    Count(#[schemars(transform = bounds::REPLICAS.shown())] u32),
    Word(Auto),
}

/// The word `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Auto {
    Auto,
}

/// The serving engine's settings, by vLLM's names.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct EngineEntry {
    /// `--max-num-batched-tokens`.
    #[schemars(transform = bounds::BATCHED_TOKENS.shown())]
    pub max_batched_tokens: u32,
    /// `--max-num-seqs`.
    #[schemars(transform = bounds::SEQUENCES.shown())]
    pub max_sequences: u32,
    /// `--max-model-len`.
    #[schemars(transform = bounds::MODEL_LENGTH.shown())]
    pub max_model_length: Option<u32>,
    /// `--block-size`.
    #[schemars(transform = bounds::BLOCK_SIZE.shown())]
    pub block_size: u32,
    /// `--num-gpu-blocks-override`.
    #[schemars(transform = bounds::GPU_BLOCKS.shown())]
    pub gpu_blocks: Option<u32>,
    /// `--gpu-memory-utilization`.
    #[schemars(transform = bounds::MEMORY_SHARE.shown())]
    pub gpu_memory_utilization: f64,
    /// `--kv-cache-dtype`.
    #[schemars(transform = kv_cache_dtypes)]
    pub kv_cache_dtype: String,
    /// `--enable-chunked-prefill`.
    pub chunked_prefill: bool,
}

/// What vLLM takes as `--kv-cache-dtype`, as far as the size of an element is known here: 8 bits for
/// `fp8` and its kin, else 16.
pub(in crate::scenario) const KV_CACHE_DTYPES: [&str; 7] = [
    "auto", "float16", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2", "fp8_inc",
];

fn kv_cache_dtypes(schema: &mut schemars::Schema) {
    schema.insert("enum".to_owned(), KV_CACHE_DTYPES.as_slice().into());
}

/// Time from asking for a replica until it serves: log-normal.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct StartupEntry {
    /// Mean of all starts.
    #[schemars(transform = bounds::STARTUP_SECONDS.shown())]
    pub mean_seconds: f64,
    /// Standard deviation over mean.
    #[schemars(transform = bounds::VARIATION.shown())]
    pub spread: f64,
}

/// What an iteration takes, and what memory holds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ConstantsEntry {
    /// Of every iteration: weights read, kernels launched.
    #[schemars(transform = bounds::ITERATION_SECONDS.shown())]
    pub base_seconds: Option<f64>,
    /// Of each token that an iteration computes.
    #[schemars(transform = bounds::TOKEN_SECONDS.shown())]
    pub per_token_seconds: Option<f64>,
    /// Of each token that the KV cache holds for running requests.
    #[schemars(transform = bounds::TOKEN_SECONDS.shown())]
    pub per_kv_token_seconds: Option<f64>,
    /// Tokens that the KV cache of a replica holds: at least one block.
    #[schemars(transform = bounds::CAPACITY_TOKENS.shown())]
    pub kv_capacity_tokens: Option<u64>,
    /// Of each token of a prompt on the way from a prefill to a decode replica.
    #[schemars(transform = bounds::TOKEN_SECONDS.shown())]
    pub kv_transfer_seconds_per_token: Option<f64>,
}
