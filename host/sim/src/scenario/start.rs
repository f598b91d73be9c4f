//! What a pool starts with: the first count of each variant.

use super::ScenarioError;
use super::check::Place;
use super::file::Initial;
use crate::capacity::{Demand, stages};
use crate::engine::longest_request;
use crate::mix::{Inventory, Kind, simplest};
use crate::spec::{PoolSpec, VariantSpec};

/// `auto` looks at this much of the arrivals.
const FIRST_SECONDS: f64 = 60.0;

/// What `auto` starts with can carry this much more than arrives in the first minute: nobody
/// starts a fleet that the next minute's growth is too much for before a new replica serves.
const FIRST_HEAD_ROOM: f64 = 1.2;

/// Refuses a variant that would turn away every request of the pool.
pub(super) fn serves_something(pool: &PoolSpec, list: &Place<'_>) -> Result<(), ScenarioError> {
    let lengths = pool
        .arrivals
        .iter()
        .map(|request| u64::from(request.input_tokens) + u64::from(request.output_tokens));
    let Some(shortest) = lengths.min() else {
        return Ok(());
    };
    for (index, variant) in pool.variants.iter().enumerate() {
        let longest = longest_request(variant);
        if longest < shortest {
            return Err(list.index(index).error(format!(
                "takes requests of at most {longest} tokens, prompt and answer together, and the \
                 shortest of the workload has {shortest}; expected a larger KV cache, \
                 `max-model-length`, or without `chunked-prefill` `max-batched-tokens`"
            )));
        }
    }
    Ok(())
}

/// Sets the first counts: those that are given, and for `auto` what fits the first minute.
pub(super) fn first_replicas(
    pool: &mut PoolSpec,
    given: &[Initial],
    duration_seconds: f64,
    inventory: &Inventory,
) {
    let first_seconds = FIRST_SECONDS.min(duration_seconds);
    let first = pool
        .arrivals
        .iter()
        .take_while(|arrival| arrival.at_seconds < first_seconds);
    let demand = Demand::of(first, first_seconds);
    for stage in stages(&pool.variants) {
        let mut kinds = Kind::of(pool, &stage, &demand);
        for (kind, index) in kinds.iter_mut().zip(&stage) {
            if let Some(Initial::Count(count)) = given.get(*index) {
                (kind.min, kind.max) = (*count, *count);
            }
        }
        let counts = simplest(&kinds, inventory, FIRST_HEAD_ROOM);
        let none = counts.iter().all(|count| *count == 0);
        for (index, count) in stage.iter().zip(counts) {
            if let Some(variant) = pool.variants.get_mut(*index) {
                variant.initial_replicas = count;
            }
        }
        if none && pool.rules.scale_to_zero_after_seconds.is_none() {
            keep_one(pool, &stage, given, inventory);
        }
    }
}

/// The guard holds one replica of a role where the pool may not go to zero, GPUs or not: the run
/// starts with it, of a variant that there are GPUs for where there is one, and of these the
/// cheapest.
fn keep_one(pool: &mut PoolSpec, stage: &[usize], given: &[Initial], inventory: &Inventory) {
    let has_gpus = |variant: &VariantSpec| {
        inventory.as_ref().is_none_or(|gpus| {
            gpus.iter().any(|(name, count)| {
                *name == variant.accelerator && *count >= variant.gpus_per_replica
            })
        })
    };
    let candidates = pool.variants.iter_mut().enumerate();
    let kept = candidates
        .filter(|(index, variant)| {
            let is_auto = matches!(given.get(*index), Some(Initial::Word(_)));
            is_auto && stage.contains(index) && variant.max_replicas > 0
        })
        .map(|(_, variant)| variant)
        .min_by(|one, other| {
            let rank = |variant: &VariantSpec| !has_gpus(variant);
            let by_cost = one.cost_per_hour.total_cmp(&other.cost_per_hour);
            rank(one).cmp(&rank(other)).then(by_cost)
        });
    if let Some(variant) = kept {
        variant.initial_replicas = 1;
    }
}
