//! From data sheets to the time of an iteration and the size of the KV cache.
//!
//! An iteration reads all weights once and the keys and values of every request in the batch, and
//! computes `2 · parameters` operations per token: a roofline whose three parts add up, since
//! they overlap little in practice. Efficiencies are what measured latencies leave of the sheets'
//! figures (tests compare): Llama-3.1-8B and 3.3-70B on H100, with vLLM and NIM, and 8B on A100.

use trimtab_contract::Engine;

use super::{Accelerator, Model, WeightBits};
use crate::spec::IterationTime;

/// Share of the printed bandwidth that reading weights of 16 bits, or keys and values, reaches.
/// 8B on H100: 6.5 to 7.0 ms between tokens at concurrency 1, of which 4.8 at full bandwidth.
const BANDWIDTH_EFFICIENCY: f64 = 0.80;

/// The same for weights of 8 bits and less, whose kernels are further from the roofline.
/// 8B fp8 on H100: 4.55 ms, of which 2.4 at full bandwidth.
const NARROW_BANDWIDTH_EFFICIENCY: f64 = 0.65;

/// Share of the printed FLOP/s that a prompt reaches. 8B on H100: 25 to 28 µs per token of a
/// prompt alone, 21 in a fit over whole runs; 16.2 at the full rate.
const COMPUTE_EFFICIENCY: f64 = 0.65;

/// The same for weights of 8 bits and less. 8B fp8 on H100: 14.5 µs; 8.1 at the full rate.
const NARROW_COMPUTE_EFFICIENCY: f64 = 0.55;

/// Launching a layer's kernels, in seconds.
const LAYER_SECONDS: f64 = 20e-6;

/// Two all-reduces a layer of small messages between GPUs, in seconds. 70B fp8 on two H100:
/// 18.7 ms at concurrency 1.
const ALL_REDUCE_SECONDS: f64 = 12e-6;

/// Bytes on each GPU for activations and captured graphs.
const ACTIVATION_BYTES: f64 = 3e9;

/// Bytes per second from a prefill to a decode replica: RDMA at 400 Gb/s, four fifths of it used.
const TRANSFER_BANDWIDTH: f64 = 40e9;

/// Why a model cannot run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SpeedError {
    #[error(
        "the weights of {weight_gb:.1} GB and {activation_gb:.1} GB for activations leave no room \
         for the KV cache in {usable_gb:.1} GB of usable memory; more GPUs (`tensor-parallel`), a \
         larger card or a model in fewer bits would do"
    )]
    TooLarge {
        weight_gb: f64,
        activation_gb: f64,
        usable_gb: f64,
    },
    #[error(
        "weights and activations leave room for {left:.0} tokens in the KV cache, which is less \
         than one block of {block_size}; a smaller `block-size`, more GPUs (`tensor-parallel`) or a \
         larger card would do"
    )]
    NoBlock { left: f64, block_size: u32 },
}

/// The three constants of an iteration.
///
/// All weights are read in every iteration, also of a mixture of experts: batches of a few
/// requests already touch most experts.
#[must_use]
pub fn iteration_time(
    accelerator: &Accelerator,
    model: &Model,
    tensor_parallel: u32,
    kv_cache_dtype: &str,
) -> IterationTime {
    let gpus = f64::from(tensor_parallel);
    let (flops, compute, read) = match model.weight_bits {
        WeightBits::Sixteen => (accelerator.flops, COMPUTE_EFFICIENCY, BANDWIDTH_EFFICIENCY),
        WeightBits::Eight | WeightBits::Four => (
            accelerator.flops_8bit,
            NARROW_COMPUTE_EFFICIENCY,
            NARROW_BANDWIDTH_EFFICIENCY,
        ),
    };
    let all_reduce = if tensor_parallel > 1 {
        ALL_REDUCE_SECONDS
    } else {
        0.0
    };
    let overhead = f64::from(model.layers) * (LAYER_SECONDS + all_reduce);
    let kv_bytes = model.kv_bytes_per_token(kv_cache_dtype);
    IterationTime {
        base_seconds: model.weight_bytes() / (accelerator.bandwidth * read * gpus) + overhead,
        per_token_seconds: 2.0 * model.active_parameters / (flops * compute * gpus),
        per_kv_token_seconds: kv_bytes / (accelerator.bandwidth * BANDWIDTH_EFFICIENCY * gpus),
    }
}

/// Tokens that the KV cache of a replica holds: a whole number of blocks.
///
/// # Errors
/// [`SpeedError`] where not one block is left.
pub fn kv_capacity_tokens(
    accelerator: &Accelerator,
    model: &Model,
    engine: &Engine,
) -> Result<u64, SpeedError> {
    let gpus = f64::from(engine.tensor_parallel);
    let usable = accelerator.memory_bytes * engine.gpu_memory_utilization * gpus;
    let left = usable - model.weight_bytes() - ACTIVATION_BYTES * gpus;
    let tokens = left / model.kv_bytes_per_token(&engine.kv_cache_dtype);
    let blocks = tokens / f64::from(engine.block_size);
    if tokens >= 1.0 && blocks < 1.0 {
        return Err(SpeedError::NoBlock {
            left: tokens.floor(),
            block_size: engine.block_size,
        });
    }
    if blocks < 1.0 {
        return Err(SpeedError::TooLarge {
            weight_gb: model.weight_bytes() / 1e9,
            activation_gb: ACTIVATION_BYTES * gpus / 1e9,
            usable_gb: usable / 1e9,
        });
    }
    let fitting = blocks.floor() as u64;
    let blocks = engine
        .gpu_blocks
        .map_or(fitting, |fixed| fitting.min(u64::from(fixed)));
    Ok(blocks * u64::from(engine.block_size))
}

/// Time for which one token's keys and values are on the way from prefill to decode.
#[must_use]
pub fn kv_transfer_seconds_per_token(model: &Model, kv_cache_dtype: &str) -> f64 {
    model.kv_bytes_per_token(kv_cache_dtype) / TRANSFER_BANDWIDTH
}
