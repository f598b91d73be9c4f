//! What a scenario file may leave out.

use trimtab_contract::Role;
use trimtab_core::snapshot::PoolRules;

use super::file::{Auto, EngineEntry, Initial, RulesEntry, StartupEntry, TimingEntry};
use crate::spec::Timing;

pub(super) fn seed() -> u64 {
    1
}

pub(super) fn drain_seconds() -> f64 {
    600.0
}

pub(super) fn namespace() -> String {
    "default".to_owned()
}

pub(super) fn percentile() -> f64 {
    0.99
}

pub(super) fn priority() -> u32 {
    1
}

pub(super) fn one() -> f64 {
    1.0
}

pub(super) fn once() -> u32 {
    1
}

pub(super) fn spread_seconds() -> f64 {
    300.0
}

pub(super) fn day() -> f64 {
    86_400.0
}

/// Of a prompt or an answer: the context length of Llama 3.1.
pub(super) fn longest() -> u32 {
    131_072
}

pub(super) fn max_replicas() -> u32 {
    64
}

pub(super) fn role() -> Role {
    Role::Both
}

pub(super) fn initial() -> Initial {
    Initial::Word(Auto::Auto)
}

impl Default for TimingEntry {
    fn default() -> Self {
        let Timing {
            tick_seconds,
            scrape_seconds,
            actuation_seconds,
            window_seconds,
            long_window_seconds,
        } = Timing::default();
        Self {
            tick_seconds,
            scrape_seconds,
            actuation_seconds,
            window_seconds,
            long_window_seconds,
        }
    }
}

impl Default for RulesEntry {
    fn default() -> Self {
        let rules = PoolRules::default();
        Self {
            mode: rules.mode,
            scale_to_zero_after_seconds: rules.scale_to_zero_after_seconds,
            behavior: rules.behavior,
            max_metrics_age_seconds: rules.max_metrics_age_seconds,
        }
    }
}

/// vLLM's own defaults on a large card, as of its V1 engine.
impl Default for EngineEntry {
    fn default() -> Self {
        Self {
            max_batched_tokens: 8192,
            max_sequences: 256,
            max_model_length: None,
            block_size: 16,
            gpu_blocks: None,
            gpu_memory_utilization: 0.9,
            kv_cache_dtype: "auto".to_owned(),
            chunked_prefill: true,
        }
    }
}

impl Default for StartupEntry {
    fn default() -> Self {
        Self {
            mean_seconds: 120.0,
            spread: 0.2,
        }
    }
}
