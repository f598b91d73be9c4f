//! Models by their published configurations (`config.json` of each, and the model cards).

use super::{Model, WeightBits};

/// A model without mixture of experts and without sliding windows; all of these have 8 KV heads
/// of 128.
const fn dense(billions: f64, layers: u32, weight_bits: WeightBits) -> Model {
    Model {
        parameters: billions * 1e9,
        active_parameters: billions * 1e9,
        weight_bits,
        layers,
        kv_layers: layers,
        kv_heads: 8,
        head_dim: 128,
    }
}

pub(super) const ALL: &[(&str, Model)] = &[
    ("Llama-3.1-8B", dense(8.03, 32, WeightBits::Sixteen)),
    ("Llama-3.1-8B-FP8", dense(8.03, 32, WeightBits::Eight)),
    ("Llama-3.1-70B", dense(70.6, 80, WeightBits::Sixteen)),
    ("Llama-3.1-70B-FP8", dense(70.6, 80, WeightBits::Eight)),
    ("Llama-3.3-70B", dense(70.6, 80, WeightBits::Sixteen)),
    ("Llama-3.3-70B-FP8", dense(70.6, 80, WeightBits::Eight)),
    ("Mistral-7B", dense(7.25, 32, WeightBits::Sixteen)),
    ("Qwen3-32B", dense(32.8, 64, WeightBits::Sixteen)),
    ("Qwen3-32B-FP8", dense(32.8, 64, WeightBits::Eight)),
    (
        "gpt-oss-120b",
        Model {
            parameters: 117e9,
            active_parameters: 5.1e9,
            weight_bits: WeightBits::Four,
            layers: 36,
            // Every second layer sees 128 tokens only.
            kv_layers: 18,
            kv_heads: 8,
            head_dim: 64,
        },
    ),
];
