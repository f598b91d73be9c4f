//! How loaded a replica would be with one more request, comparable between variants.

use trimtab_contract::Objective;

use crate::engine::{Limits, Outlook};
use crate::spec::{Arrival, VariantSpec};

/// Time to first token against which waiting prompts are weighed where the objective sets none.
const DEFAULT_TTFT_SECONDS: f64 = 1.0;
/// Least share of the bound on the time between tokens that a variant is taken to have left over
/// its base: keeps the load of one that cannot meet the bound finite, and above all others.
const LEAST_ROOM: f64 = 0.05;

/// What turns the outlook of a variant's replicas into a load: 1 where it has no room left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    limits: Limits,
    kv_tokens: f64,
    /// Seconds of an iteration between an empty batch and the objective; `None` without one.
    room_seconds: Option<f64>,
    ttft_seconds: f64,
}

impl Scale {
    pub(super) fn new(variant: &VariantSpec, objective: &Objective) -> Self {
        let limits = Limits::of(variant);
        let room = |bound: f64| (bound - limits.iteration.base_seconds).max(bound * LEAST_ROOM);
        Self {
            limits,
            kv_tokens: limits.blocks as f64 * f64::from(limits.block_size),
            room_seconds: objective.itl.map(room).filter(|room| *room > 0.0),
            ttft_seconds: objective
                .ttft
                .filter(|bound| *bound > 0.0)
                .unwrap_or(DEFAULT_TTFT_SECONDS),
        }
    }

    /// Its engines take on requests of this length.
    pub(super) fn holds(&self, arrival: &Arrival) -> bool {
        u64::from(arrival.input_tokens) + u64::from(arrival.output_tokens.max(1))
            <= self.limits.longest
    }

    /// The largest of the shares that KV cache, batch places and time between tokens would be used
    /// to with this request, plus the share of the time to first token that its prompt and those
    /// before it take. In proportion to these, unequal replicas reach their limits together.
    pub(super) fn load(&self, outlook: &Outlook, arrival: &Arrival, cached_tokens: u64) -> f64 {
        let input = f64::from(arrival.input_tokens);
        let sequences = (outlook.running + outlook.waiting + 1) as f64;
        let held = outlook.held_tokens + outlook.backlog_tokens as f64 + input;
        let time = self.limits.iteration;
        let batch = time.per_token_seconds * sequences + time.per_kv_token_seconds * held;
        let between_tokens = self.room_seconds.map_or(0.0, |room| batch / room);
        let shares = between_tokens
            .max(held / self.kv_tokens)
            .max(sequences / self.limits.max_sequences as f64);
        let to_compute = (outlook.backlog_tokens
            + u64::from(arrival.input_tokens).saturating_sub(cached_tokens))
            as f64;
        shares + to_compute * time.per_token_seconds / self.ttft_seconds
    }
}
