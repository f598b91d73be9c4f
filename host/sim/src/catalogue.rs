//! Accelerators and models by their data sheets, and the iteration constants that follow.

mod accelerators;
mod models;
mod speed;

use std::collections::BTreeMap;

pub use speed::{SpeedError, iteration_time, kv_capacity_tokens, kv_transfer_seconds_per_token};

/// One card.
#[derive(Clone, Debug, PartialEq)]
pub struct Accelerator {
    /// Dense bf16 floating-point operations per second.
    pub flops: f64,
    /// The same with 8-bit operands; [`Self::flops`] where the card has no 8-bit units.
    pub flops_8bit: f64,
    /// Of its memory, in bytes per second.
    pub bandwidth: f64,
    /// As the driver reports it.
    pub memory_bytes: f64,
    /// On demand, in US$ an hour.
    pub price_per_hour: f64,
}

/// One model in one number format.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub parameters: f64,
    /// Parameters that compute one token: all of them, save in mixtures of experts.
    pub active_parameters: f64,
    pub weight_bits: WeightBits,
    pub layers: u32,
    /// Layers that keep keys and values of the whole context: all of them, save where some have a
    /// sliding window, which is small enough to leave out.
    pub kv_layers: u32,
    pub kv_heads: u32,
    pub head_dim: u32,
}

/// Number format of the weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WeightBits {
    Sixteen,
    Eight,
    /// MXFP4, with its scales: 4.25 bits, and some layers in bf16.
    Four,
}

impl Model {
    /// Bytes of the weights, over all GPUs.
    #[must_use]
    pub fn weight_bytes(&self) -> f64 {
        self.parameters
            * match self.weight_bits {
                WeightBits::Sixteen => 2.0,
                WeightBits::Eight => 1.0,
                // gpt-oss-120b: 61 GB for 117 billion parameters.
                WeightBits::Four => 0.52,
            }
    }

    /// Bytes of keys and values per token, over all GPUs; half of them with a `kv-cache-dtype`
    /// of 8 bits.
    #[must_use]
    pub fn kv_bytes_per_token(&self, kv_cache_dtype: &str) -> f64 {
        let elements =
            2.0 * f64::from(self.kv_layers) * f64::from(self.kv_heads) * f64::from(self.head_dim);
        elements
            * if kv_cache_dtype.starts_with("fp8") {
                1.0
            } else {
                2.0
            }
    }
}

/// What a scenario can name.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalogue {
    pub accelerators: BTreeMap<String, Accelerator>,
    pub models: BTreeMap<String, Model>,
}

impl Catalogue {
    /// The shipped data sheets.
    #[must_use]
    pub fn built_in() -> Self {
        let accelerators = accelerators::ALL
            .iter()
            .map(|(name, sheet)| (*name, sheet.card()));
        let models = models::ALL
            .iter()
            .map(|(name, model)| (*name, model.clone()));
        Self {
            accelerators: accelerators
                .map(|(name, card)| (name.to_owned(), card))
                .collect(),
            models: models
                .map(|(name, model)| (name.to_owned(), model))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests;
