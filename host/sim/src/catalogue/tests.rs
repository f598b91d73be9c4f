//! The catalogue's constants against published latencies and capacities.

use trimtab_contract::Engine;

use super::*;
use crate::spec::IterationTime;

fn engine(tensor_parallel: u32) -> Engine {
    Engine {
        max_batched_tokens: 8192,
        max_sequences: 256,
        max_model_length: None,
        tensor_parallel,
        block_size: 16,
        gpu_blocks: None,
        gpu_memory_utilization: 0.9,
        kv_cache_dtype: "auto".to_owned(),
        chunked_prefill: true,
    }
}

fn time(accelerator: &str, model: &str, tensor_parallel: u32, kv_cache: &str) -> IterationTime {
    let catalogue = Catalogue::built_in();
    let (card, model) = (
        &catalogue.accelerators[accelerator],
        &catalogue.models[model],
    );
    iteration_time(card, model, tensor_parallel, kv_cache)
}

fn capacity(accelerator: &str, model: &str, engine: &Engine) -> Result<u64, SpeedError> {
    let catalogue = Catalogue::built_in();
    kv_capacity_tokens(
        &catalogue.accelerators[accelerator],
        &catalogue.models[model],
        engine,
    )
}

#[track_caller]
fn within(share: f64, computed: f64, measured: f64) {
    let off = computed / measured - 1.0;
    assert!(
        off.abs() <= share,
        "{computed} is {:+.0} % off {measured}",
        off * 100.0
    );
}

/// Between tokens at concurrency 1: the base, one token, and half the context.
fn alone(time: IterationTime, context: f64) -> f64 {
    time.base_seconds + time.per_token_seconds + time.per_kv_token_seconds * context
}

/// Between tokens at a concurrency and output rate: as many prompt as output tokens are computed.
fn loaded(time: IterationTime, concurrency: f64, context: f64, tokens_per_second: f64) -> f64 {
    (time.base_seconds + time.per_kv_token_seconds * concurrency * context)
        / (1.0 - time.per_token_seconds * tokens_per_second)
}

#[test]
fn llama_8b_on_h100_is_as_fast_as_measured() {
    let h100 = time("H100", "Llama-3.1-8B", 1, "auto");
    assert!((6e-3..7e-3).contains(&h100.base_seconds), "{h100:?}");
    assert!((20e-6..32e-6).contains(&h100.per_token_seconds), "{h100:?}");
    within(0.05, h100.per_kv_token_seconds, 0.05e-6);
    // vLLM: between tokens almost alone, and the prompt of 4,096 tokens.
    within(0.05, alone(h100, 600.0), 6.76e-3);
    within(
        0.10,
        h100.base_seconds + 4096.0 * h100.per_token_seconds,
        110e-3,
    );
    // vLLM, 1024 in and 1024 out at 4.97 a second: 81 requests at 15.9 ms.
    within(0.15, loaded(h100, 81.0, 1536.0, 4.97 * 2048.0), 15.88e-3);
    // vLLM, 256 in and 256 out at 38.2 a second: 178 requests at 17.95 ms.
    within(0.15, loaded(h100, 178.0, 384.0, 38.2 * 512.0), 17.95e-3);
}

/// NIM serves fp8 weights with a KV cache of 8 bits: at concurrency 100 the gap between tokens
/// leaves no room for one of 16.
#[test]
fn narrow_weights_on_h100_are_as_fast_as_measured() {
    let small = time("H100", "Llama-3.1-8B-FP8", 1, "fp8");
    within(0.08, alone(small, 300.0), 4.63e-3);
    within(
        0.05,
        small.base_seconds + 5000.0 * small.per_token_seconds,
        77.5e-3,
    );
    within(0.15, loaded(small, 100.0, 1500.0, 2.0 * 9392.0), 10.04e-3);
    let large = time("H100", "Llama-3.3-70B-FP8", 2, "fp8");
    within(0.05, alone(large, 300.0), 18.8e-3);
    within(
        0.05,
        large.base_seconds + 1000.0 * large.per_token_seconds,
        82.5e-3,
    );
    within(
        0.20,
        large.base_seconds + 5000.0 * large.per_token_seconds,
        407e-3,
    );
    within(0.15, loaded(large, 100.0, 1500.0, 2.0 * 2895.0), 34.21e-3);
}

#[test]
fn llama_8b_on_a100_is_as_fast_as_measured() {
    within(
        0.05,
        alone(time("A100-40", "Llama-3.1-8B", 1, "auto"), 1088.0),
        1.0 / 75.0,
    );
}

#[test]
fn kv_capacity_is_what_memory_leaves() {
    within(
        0.03,
        capacity("H100", "Llama-3.1-8B", &engine(1)).unwrap() as f64,
        440e3,
    );
    within(
        0.03,
        capacity("H100", "Llama-3.3-70B-FP8", &engine(2)).unwrap() as f64,
        236e3,
    );
    let narrow = Engine {
        kv_cache_dtype: "fp8_e4m3".to_owned(),
        ..engine(1)
    };
    within(
        0.03,
        capacity("H100", "Llama-3.1-8B", &narrow).unwrap() as f64,
        880e3,
    );
    let fixed = Engine {
        gpu_blocks: Some(100),
        ..engine(1)
    };
    assert_eq!(capacity("H100", "Llama-3.1-8B", &fixed), Ok(1600));
    assert_eq!(
        capacity("H100", "Llama-3.1-8B", &engine(1)).unwrap() % 16,
        0
    );
}

#[test]
fn a_model_that_does_not_fit_is_refused() {
    let error = capacity("H100", "Llama-3.1-70B", &engine(1))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "the weights of 141.2 GB and 3.0 GB for activations leave no room for the KV cache in 77.0 \
         GB of usable memory; more GPUs (`tensor-parallel`), a larger card or a model in fewer bits \
         would do"
    );
}

#[test]
fn published_kv_sizes_follow_from_the_configuration() {
    let models = Catalogue::built_in().models;
    assert_eq!(models["Llama-3.1-8B"].kv_bytes_per_token("auto"), 131_072.0);
    assert_eq!(
        models["Llama-3.1-70B"].kv_bytes_per_token("auto"),
        327_680.0
    );
    assert_eq!(models["Qwen3-32B"].kv_bytes_per_token("fp8"), 131_072.0);
    assert_eq!(models["gpt-oss-120b"].kv_bytes_per_token("auto"), 36_864.0);
    within(0.01, models["gpt-oss-120b"].weight_bytes(), 61e9);
}

#[test]
fn cards_with_less_bandwidth_are_slower() {
    let cards = ["B200", "H200", "H100", "A100", "L40S", "L4"];
    let base = cards.map(|card| time(card, "Llama-3.1-8B", 1, "auto").base_seconds);
    assert!(base.is_sorted(), "{base:?}");
}
