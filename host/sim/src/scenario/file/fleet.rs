//! What serves it: accelerators, models and variants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trimtab_contract::Role;

use crate::scenario::defaults;

/// An accelerator's data sheet. For one that is in the catalogue: what differs. For a new one:
/// all, save `tflops-8bit`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AcceleratorEntry {
    /// Dense bf16 TFLOP/s. Makers mostly print the sparse figure, which is twice that.
    pub tflops: Option<f64>,
    /// Dense 8-bit TFLOP/s; without it: as with bf16.
    #[serde(rename = "tflops-8bit")]
    pub tflops_8bit: Option<f64>,
    /// TB/s.
    pub bandwidth_tbps: Option<f64>,
    /// GiB.
    pub memory_gib: Option<f64>,
    /// Of one GPU.
    pub price_per_hour: Option<f64>,
}

/// A model's configuration. For one that is in the catalogue: what differs. For a new one: all,
/// save `active-parameters-billions` and `weight-bits`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ModelEntry {
    pub parameters_billions: Option<f64>,
    /// Of a mixture of experts: those that compute one token.
    pub active_parameters_billions: Option<f64>,
    /// 16 (the default), 8 or 4.
    pub weight_bits: Option<u32>,
    pub layers: Option<u32>,
    pub kv_heads: Option<u32>,
    pub head_dim: Option<u32>,
}

/// A group of identical replicas.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct VariantEntry {
    pub name: String,
    /// Of the catalogue, or of `accelerators`.
    pub accelerator: String,
    /// GPUs of a replica, which share one copy of the weights.
    #[serde(default = "defaults::once")]
    pub tensor_parallel: u32,
    /// Of a replica. Without it: the price of its GPUs.
    pub cost_per_hour: Option<f64>,
    /// `both`, `prefill` or `decode`.
    #[serde(default = "defaults::role")]
    #[schemars(with = "RoleSchema")]
    pub role: Role,
    #[serde(default)]
    pub min_replicas: u32,
    #[serde(default = "defaults::max_replicas")]
    pub max_replicas: u32,
    /// Replicas that serve when the run starts; `auto` for what fits the first minute.
    #[serde(default = "defaults::initial")]
    pub initial_replicas: Initial,
    #[serde(default)]
    pub engine: EngineEntry,
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
    Count(u32),
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
    pub max_batched_tokens: u32,
    /// `--max-num-seqs`.
    pub max_sequences: u32,
    /// `--max-model-len`.
    pub max_model_length: Option<u32>,
    /// `--block-size`.
    pub block_size: u32,
    /// `--num-gpu-blocks-override`.
    pub gpu_blocks: Option<u32>,
    /// `--gpu-memory-utilization`.
    pub gpu_memory_utilization: f64,
    /// `--kv-cache-dtype`.
    pub kv_cache_dtype: String,
    /// `--enable-chunked-prefill`.
    pub chunked_prefill: bool,
}

/// Time from asking for a replica until it serves: log-normal.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct StartupEntry {
    pub mean_seconds: f64,
    /// Standard deviation over mean.
    pub spread: f64,
}

/// What an iteration takes, and what memory holds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ConstantsEntry {
    pub base_seconds: Option<f64>,
    pub per_token_seconds: Option<f64>,
    pub per_kv_token_seconds: Option<f64>,
    pub kv_capacity_tokens: Option<u64>,
    pub kv_transfer_seconds_per_token: Option<f64>,
}
