//! What is worth telling the host: constants that are trustworthy and that it does not know yet.

use trimtab_sdk::{Context, Knowledge, KnowledgeSource, Pool};

use crate::servers::{BASE_SECONDS, KV_CAPACITY, KV_TOKEN_SECONDS, Server, TOKEN_SECONDS};
use crate::state::State;

/// Observations after which tracked constants are told to others: five minutes of calls.
const ENOUGH_OBSERVATIONS: u32 = 20;

/// Largest relative error of an iteration's time at which they are.
const GOOD_ENOUGH: f64 = 0.1;

/// Smallest relative change that is news.
const NEWS: f64 = 0.05;

/// Milliseconds for which what was told stands whatever is learned since: two pools that learn of
/// one kind of engine and differ would else answer each other at every call.
const STANDS: u64 = 600_000;

/// Milliseconds after which knowledge is told again, before the host forgets it.
const REFRESH: u64 = 24 * 3600 * 1000;

/// The knowledge to give back after this call.
pub(crate) fn worth_telling(
    context: &Context,
    pool: &Pool,
    servers: &[Server<'_>],
    knowledge: &[Knowledge],
    state: &State,
) -> Vec<Knowledge> {
    let mut learned: Vec<Knowledge> = Vec::new();
    for server in servers {
        for (quantity, value) in quantities(server, state) {
            let told = Knowledge {
                model: pool.model.clone(),
                accelerator: server.variant.accelerator.clone(),
                gpus_per_replica: server.variant.gpus_per_replica,
                engine: server.variant.engine.clone(),
                quantity: quantity.into(),
                value,
                source: KnowledgeSource::Live,
                learned_at: context.now,
            };
            if !learned
                .iter()
                .chain(knowledge)
                .any(|known| says_it_already(known, &told))
            {
                learned.push(told);
            }
        }
    }
    learned
}

fn quantities(server: &Server<'_>, state: &State) -> Vec<(&'static str, f64)> {
    let mut quantities = Vec::new();
    let tracker = state.trackers.get(&server.key).map(|tracked| &tracked.0);
    let trusted = tracker.filter(|tracker| {
        let confidence = tracker.confidence();
        confidence.accepted >= ENOUGH_OBSERVATIONS && confidence.relative_error <= GOOD_ENOUGH
    });
    if let Some(iteration) = trusted.map(|tracker| tracker.iteration()) {
        quantities.push((BASE_SECONDS, iteration.base_seconds));
        quantities.push((TOKEN_SECONDS, iteration.token_seconds));
        quantities.push((KV_TOKEN_SECONDS, iteration.kv_token_seconds));
    }
    if let Some(tokens) = server.load.kv_capacity.mean() {
        quantities.push((KV_CAPACITY, tokens));
    }
    quantities.retain(|(_, value)| value.is_finite() && *value > 0.0);
    quantities
}

fn says_it_already(known: &Knowledge, told: &Knowledge) -> bool {
    known.quantity == told.quantity
        && known.source == KnowledgeSource::Live
        && known.model == told.model
        && known.accelerator == told.accelerator
        && known.gpus_per_replica == told.gpus_per_replica
        && known.engine == told.engine
        && match told.learned_at.saturating_sub(known.learned_at) {
            ..STANDS => true,
            STANDS..REFRESH => (known.value / told.value - 1.0).abs() < NEWS,
            _ => false,
        }
}
