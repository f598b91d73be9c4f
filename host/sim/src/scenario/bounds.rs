//! What is plausible for each number of a scenario: held to by the program, shown by the schema.
//!
//! The upper bounds lie far above what exists: they are there so that a slip of the hand is told
//! of, and that no sum or product of what is let in leaves the numbers that a run can work with.

use std::fmt;

use schemars::Schema;

use crate::trace;

/// A range of numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    low: f64,
    /// Whether `low` itself is no value.
    above: bool,
    high: f64,
    whole: bool,
}

impl Bounds {
    /// Both ends are values.
    const fn from_to(low: f64, high: f64) -> Self {
        Self {
            low,
            above: false,
            high,
            whole: false,
        }
    }

    /// 0 is no value.
    const fn positive(high: f64) -> Self {
        Self {
            above: true,
            ..Self::from_to(0.0, high)
        }
    }

    /// Whole numbers; both ends are values.
    const fn count(low: u32, high: u32) -> Self {
        Self {
            whole: true,
            ..Self::from_to(low as f64, high as f64)
        }
    }

    /// Puts the bounds into a field's schema.
    pub(super) fn shown(self) -> impl FnMut(&mut Schema) {
        let value = move |value: f64| {
            if self.whole {
                serde_json::Value::from(value as u64)
            } else {
                value.into()
            }
        };
        let low = if self.above {
            "exclusiveMinimum"
        } else {
            "minimum"
        };
        move |schema| {
            // The derived one of a count is 0.
            schema.remove("minimum");
            schema.insert(low.to_owned(), value(self.low));
            schema.insert("maximum".to_owned(), value(self.high));
        }
    }

    /// The same for each value of a map.
    pub(super) fn shown_of_values(self) -> impl FnMut(&mut Schema) {
        move |schema| {
            let values = schema.get_mut("additionalProperties");
            let values = values.and_then(|values| <&mut Schema>::try_from(values).ok());
            if let Some(values) = values {
                self.shown()(values);
            }
        }
    }

    pub(super) fn contain(&self, value: f64) -> bool {
        let over = value > self.low || (!self.above && value == self.low);
        over && value <= self.high
    }
}

/// `a number above 0 and up to 1000`.
impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.whole { "whole number" } else { "number" };
        let Self { low, high, .. } = self;
        if self.above {
            write!(f, "a {kind} above {low} and up to {high}")
        } else {
            write!(f, "a {kind} from {low} to {high}")
        }
    }
}

/// What a name looks like: at least one character, and none that steers a terminal.
pub(super) fn name(schema: &mut Schema) {
    schema.insert("minLength".to_owned(), 1.into());
    schema.insert("pattern".to_owned(), r"^[^\x00-\x1f\x7f-\x9f]*$".into());
}

/// Analyzers, an optimizer, or both.
pub(super) fn some_policy(schema: &mut Schema) {
    let either = serde_json::json!([{"required": ["analyzers"]}, {"required": ["optimizer"]}]);
    schema.insert("anyOf".to_owned(), either);
}

// Time.
pub(super) const DURATION_SECONDS: Bounds = Bounds::from_to(1.0, trace::LONGEST_SECONDS);
pub(super) const INSTANT_SECONDS: Bounds = Bounds::from_to(0.0, trace::LONGEST_SECONDS);
pub(super) const DRAIN_SECONDS: Bounds = Bounds::from_to(0.0, 86_400.0);
/// Of a clock: an event of each replica or pool.
pub(super) const PERIOD_SECONDS: Bounds = Bounds::from_to(0.1, 86_400.0);
/// Of a window of measurements, as the operator has it.
pub(super) const MEASURED_SECONDS: Bounds = Bounds::from_to(2.0, 3600.0);
pub(super) const STARTUP_SECONDS: Bounds = Bounds::from_to(0.0, 86_400.0);
/// Standard deviation over mean: a log-normal distribution of 100 is all tail.
pub(super) const VARIATION: Bounds = Bounds::from_to(0.0, 100.0);

// Money.
pub(super) const PRICE_PER_HOUR: Bounds = Bounds::from_to(0.0, 1e6);
pub(super) const BUDGET_PER_HOUR: Bounds = Bounds::from_to(0.0, 1e12);

// Data sheets. The fastest GPU of 2026 has some 5,000 TFLOP/s, 8 TB/s and 300 GiB.
pub(super) const TFLOPS: Bounds = Bounds::from_to(0.01, 1e6);
pub(super) const BANDWIDTH_TBPS: Bounds = Bounds::from_to(1e-3, 1e4);
pub(super) const MEMORY_GIB: Bounds = Bounds::from_to(0.1, 1e5);
pub(super) const PARAMETERS_BILLIONS: Bounds = Bounds::from_to(1e-3, 1e5);
pub(super) const LAYERS: Bounds = Bounds::count(1, 10_000);
pub(super) const KV_HEADS: Bounds = Bounds::count(1, 10_000);
pub(super) const HEAD_DIM: Bounds = Bounds::count(1, 65_536);

// The fleet.
pub(super) const GPUS: Bounds = Bounds::count(0, 10_000_000);
pub(super) const GPUS_PER_REPLICA: Bounds = Bounds::count(1, 1024);
/// As many as the guard takes for plausible in a plan.
pub(super) const REPLICAS: Bounds = Bounds::count(0, 100_000);

// The engine.
pub(super) const BATCHED_TOKENS: Bounds = Bounds::count(1, 10_000_000);
pub(super) const SEQUENCES: Bounds = Bounds::count(1, 1_000_000);
pub(super) const MODEL_LENGTH: Bounds = Bounds::count(2, 1_000_000_000);
pub(super) const BLOCK_SIZE: Bounds = Bounds::count(1, 1024);
pub(super) const GPU_BLOCKS: Bounds = Bounds::count(1, 1_000_000_000);
pub(super) const MEMORY_SHARE: Bounds = Bounds::positive(1.0);
pub(super) const ITERATION_SECONDS: Bounds = Bounds::from_to(1e-6, 60.0);
pub(super) const TOKEN_SECONDS: Bounds = Bounds::from_to(0.0, 1.0);
pub(super) const CAPACITY_TOKENS: Bounds = Bounds::count(1, 4_000_000_000);

// The objective and the rules.
pub(super) const LATENCY_SECONDS: Bounds = Bounds::from_to(1e-4, 86_400.0);
pub(super) const TOKENS_PER_SECOND: Bounds = Bounds::positive(1e9);
pub(super) const PRIORITY: Bounds = Bounds::count(1, 1_000_000);
pub(super) const AGE_SECONDS: Bounds = Bounds::from_to(1.0, trace::LONGEST_SECONDS);
pub(super) const PERCENTILE: Bounds = Bounds::from_to(0.01, 0.99999);

// Experiments: as the PoolPolicy has them.
pub(super) const SLOT_SECONDS: Bounds = Bounds::from_to(1.0, trace::LONGEST_SECONDS);
pub(super) const WASHOUT_SECONDS: Bounds = Bounds::from_to(0.0, trace::LONGEST_SECONDS);
pub(super) const SLOTS: Bounds = Bounds::count(2, 10_000);
pub(super) const SHARE: Bounds = Bounds::from_to(0.0, 1.0);
pub(super) const RATIO: Bounds = Bounds::positive(1e6);

// HPA's behaviour: as Kubernetes validates it.
pub(super) const WINDOW_SECONDS: Bounds = Bounds::count(0, 3600);
pub(super) const CHANGE: Bounds = Bounds::count(1, i32::MAX as u32);
pub(super) const CHANGE_SECONDS: Bounds = Bounds::count(1, 1800);

// The workload.
pub(super) const RATE: Bounds = Bounds::from_to(0.0, 1e6);
/// Shorter turns would be noise, and take for ever to draw.
pub(super) const TURN_SECONDS: Bounds = Bounds::from_to(0.1, trace::LONGEST_SECONDS);
pub(super) const RATE_SCALE: Bounds = Bounds::positive(1e6);
pub(super) const REPEAT: Bounds = Bounds::count(1, 1_000_000);
pub(super) const MEAN_TOKENS: Bounds = Bounds::from_to(1.0, trace::MOST_TOKENS as f64);
pub(super) const TOKENS: Bounds = Bounds::count(1, trace::MOST_TOKENS);
