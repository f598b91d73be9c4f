//! Accelerators, models and variants of a scenario: the catalogue merged, the constants derived.

use std::collections::BTreeMap;

use trimtab_contract::{Engine, Role};

use super::check::Place;
use super::file::{
    AcceleratorEntry, EngineEntry, Initial, KV_CACHE_DTYPES, ModelEntry, PoolEntry, ScenarioFile,
    VariantEntry,
};
use super::{ScenarioError, bounds};
use crate::catalogue::{
    Accelerator, Catalogue, Model, WeightBits, iteration_time, kv_capacity_tokens,
    kv_transfer_seconds_per_token,
};
use crate::excerpt::{excerpt, number};
use crate::spec::{IterationTime, Startup, VariantSpec};

/// The catalogue with what the scenario changes in it.
pub(super) fn catalogue(file: &ScenarioFile, root: &Place<'_>) -> Result<Catalogue, ScenarioError> {
    let mut catalogue = Catalogue::built_in();
    for (name, entry) in &file.accelerators {
        let place = root.key("accelerators").key(name);
        let known = catalogue.accelerators.get(name);
        let card = accelerator(entry, known, &place)?;
        catalogue.accelerators.insert(name.clone(), card);
    }
    for (name, entry) in &file.models {
        let place = root.key("models").key(name);
        let known = catalogue.models.get(name);
        let model = model(entry, known, &place)?;
        catalogue.models.insert(name.clone(), model);
    }
    Ok(catalogue)
}

/// Why a field of something new has to be given.
fn missing(place: &Place<'_>, key: &str) -> ScenarioError {
    place
        .key(key)
        .error("missing; only what the catalogue has may leave fields out")
}

fn accelerator(
    entry: &AcceleratorEntry,
    known: Option<&Accelerator>,
    place: &Place<'_>,
) -> Result<Accelerator, ScenarioError> {
    let given = |key, bounds, unit: f64, given: Option<f64>, known: Option<f64>| match given {
        Some(given) => Ok(place.within(key, bounds, given)? * unit),
        None => known.ok_or_else(|| missing(place, key)),
    };
    let tera = |key, bounds, value, known| given(key, bounds, 1e12, value, known);
    let known_flops = known.map(|card| card.flops);
    let flops = tera("tflops", bounds::TFLOPS, entry.tflops, known_flops)?;
    let eight_bit = known
        .map(|card| card.flops_8bit)
        .filter(|_| entry.tflops.is_none());
    let bandwidth = known.map(|card| card.bandwidth);
    let memory = known.map(|card| card.memory_bytes);
    let price = known.map(|card| card.price_per_hour);
    Ok(Accelerator {
        flops,
        flops_8bit: tera(
            "tflops-8bit",
            bounds::TFLOPS,
            entry.tflops_8bit,
            eight_bit.or(Some(flops)),
        )?,
        bandwidth: tera(
            "bandwidth-tbps",
            bounds::BANDWIDTH_TBPS,
            entry.bandwidth_tbps,
            bandwidth,
        )?,
        memory_bytes: given(
            "memory-gib",
            bounds::MEMORY_GIB,
            1_073_741_824.0,
            entry.memory_gib,
            memory,
        )?,
        price_per_hour: given(
            "price-per-hour",
            bounds::PRICE_PER_HOUR,
            1.0,
            entry.price_per_hour,
            price,
        )?,
    })
}

fn model(
    entry: &ModelEntry,
    known: Option<&Model>,
    place: &Place<'_>,
) -> Result<Model, ScenarioError> {
    let billions = |key, given: Option<f64>, known: Option<f64>| match given {
        Some(given) => Ok(place.within(key, bounds::PARAMETERS_BILLIONS, given)? * 1e9),
        None => known.ok_or_else(|| missing(place, key)),
    };
    let count = |key, bounds, given: Option<u32>, known: Option<u32>| match given {
        Some(given) => place.within(key, bounds, given),
        None => known.ok_or_else(|| missing(place, key)),
    };
    let parameters = billions(
        "parameters-billions",
        entry.parameters_billions,
        known.map(|model| model.parameters),
    )?;
    let active = known.map(|model| model.active_parameters);
    let active = active
        .filter(|_| entry.parameters_billions.is_none())
        .or(Some(parameters));
    let active_parameters = billions(
        "active-parameters-billions",
        entry.active_parameters_billions,
        active,
    )?;
    place.key("active-parameters-billions").hold(
        active_parameters <= parameters,
        number(active_parameters / 1e9),
        &format!(
            "at most `parameters-billions`, which is {}",
            number(parameters / 1e9)
        ),
    )?;
    let layers = count(
        "layers",
        bounds::LAYERS,
        entry.layers,
        known.map(|model| model.layers),
    )?;
    let kv_layers = known
        .map(|model| model.kv_layers)
        .filter(|_| entry.layers.is_none());
    Ok(Model {
        parameters,
        active_parameters,
        weight_bits: weight_bits(entry.weight_bits, known, place)?,
        layers,
        kv_layers: kv_layers.unwrap_or(layers),
        kv_heads: count(
            "kv-heads",
            bounds::KV_HEADS,
            entry.kv_heads,
            known.map(|model| model.kv_heads),
        )?,
        head_dim: count(
            "head-dim",
            bounds::HEAD_DIM,
            entry.head_dim,
            known.map(|model| model.head_dim),
        )?,
    })
}

fn weight_bits(
    given: Option<u32>,
    known: Option<&Model>,
    place: &Place<'_>,
) -> Result<WeightBits, ScenarioError> {
    match given {
        None => Ok(known.map_or(WeightBits::Sixteen, |model| model.weight_bits)),
        Some(16) => Ok(WeightBits::Sixteen),
        Some(8) => Ok(WeightBits::Eight),
        Some(4) => Ok(WeightBits::Four),
        Some(other) => Err(place
            .key("weight-bits")
            .error(format!("is {other}; expected 16, 8 or 4"))),
    }
}

/// GPUs by accelerator, in order of name.
pub(super) fn inventory(
    inventory: &BTreeMap<String, u32>,
    catalogue: &Catalogue,
    place: &Place<'_>,
) -> Result<Vec<(String, u32)>, ScenarioError> {
    let checked = inventory.iter().map(|(name, gpus)| {
        if catalogue.accelerators.contains_key(name) {
            return Ok((name.clone(), place.within(name, bounds::GPUS, *gpus)?));
        }
        Err(place.unknown(name, catalogue.accelerators.keys().map(String::as_str)))
    });
    checked.collect()
}

/// The variants of a pool; those that begin with `auto` replicas begin with none yet.
pub(super) fn variants(
    pool: &PoolEntry,
    catalogue: &Catalogue,
    place: &Place<'_>,
) -> Result<Vec<VariantSpec>, ScenarioError> {
    let model = catalogue.models.get(&pool.model).ok_or_else(|| {
        place
            .key("model")
            .unknown(&pool.model, catalogue.models.keys().map(String::as_str))
    })?;
    let list = place.key("variants");
    list.hold(!pool.variants.is_empty(), "empty", "at least one variant")?;
    list.unique(pool.variants.iter().map(|variant| variant.name.as_str()))?;
    let variants: Vec<VariantSpec> = pool
        .variants
        .iter()
        .enumerate()
        .map(|(index, entry)| variant(entry, model, catalogue, &list.index(index)))
        .collect::<Result<_, _>>()?;
    let has = |role| variants.iter().any(|variant| variant.role == role);
    for (one, other, named) in [
        (Role::Prefill, Role::Decode, "decode"),
        (Role::Decode, Role::Prefill, "prefill"),
    ] {
        if has(one) && !has(other) && !has(Role::Both) {
            return Err(list.error(format!(
                "no variant does the {named} part of requests; expected one with `role: {named}`"
            )));
        }
    }
    Ok(variants)
}

fn variant(
    entry: &VariantEntry,
    model: &Model,
    catalogue: &Catalogue,
    place: &Place<'_>,
) -> Result<VariantSpec, ScenarioError> {
    let card = catalogue
        .accelerators
        .get(&entry.accelerator)
        .ok_or_else(|| {
            let known = catalogue.accelerators.keys().map(String::as_str);
            place.key("accelerator").unknown(&entry.accelerator, known)
        })?;
    let gpus = place.within(
        "tensor-parallel",
        bounds::GPUS_PER_REPLICA,
        entry.tensor_parallel,
    )?;
    let engine = engine(&entry.engine, gpus, &place.key("engine"))?;
    let cost = place.within_if_set("cost-per-hour", bounds::PRICE_PER_HOUR, entry.cost_per_hour)?;
    let kv_capacity_tokens = kv_capacity(entry, model, card, &engine, place)?;
    let constants_place = place.key("constants");
    let transfer = constants_place.within_if_set(
        "kv-transfer-seconds-per-token",
        bounds::TOKEN_SECONDS,
        entry.constants.kv_transfer_seconds_per_token,
    )?;
    let transfer =
        transfer.unwrap_or_else(|| kv_transfer_seconds_per_token(model, &engine.kv_cache_dtype));
    let iteration = iteration_time(card, model, gpus, &engine.kv_cache_dtype);
    Ok(VariantSpec {
        name: entry.name.clone(),
        accelerator: entry.accelerator.clone(),
        gpus_per_replica: gpus,
        cost_per_hour: cost.unwrap_or(card.price_per_hour * f64::from(gpus)),
        role: entry.role,
        min_replicas: entry.min_replicas,
        max_replicas: entry.max_replicas,
        initial_replicas: initial(entry, place)?,
        iteration: constants(iteration, entry, &constants_place)?,
        kv_capacity_tokens,
        engine,
        startup: startup(entry, &place.key("startup"))?,
        kv_transfer_seconds_per_token: transfer,
    })
}

fn startup(entry: &VariantEntry, place: &Place<'_>) -> Result<Startup, ScenarioError> {
    let given = &entry.startup;
    Ok(Startup {
        mean_seconds: place.within("mean-seconds", bounds::STARTUP_SECONDS, given.mean_seconds)?,
        spread: place.within("spread", bounds::VARIATION, given.spread)?,
    })
}

/// What is given, else what the card's memory leaves.
fn kv_capacity(
    entry: &VariantEntry,
    model: &Model,
    card: &Accelerator,
    engine: &Engine,
    place: &Place<'_>,
) -> Result<u64, ScenarioError> {
    let Some(tokens) = entry.constants.kv_capacity_tokens else {
        return kv_capacity_tokens(card, model, engine).map_err(|error| {
            place.error(format!(
                "the model does not fit `{}`: {error}",
                entry.accelerator
            ))
        });
    };
    let place = place.key("constants");
    let tokens = place.within("kv-capacity-tokens", bounds::CAPACITY_TOKENS, tokens)?;
    let block = engine.block_size;
    place.key("kv-capacity-tokens").hold(
        tokens >= u64::from(block),
        tokens,
        &format!("at least one block, which is {block} tokens"),
    )?;
    Ok(tokens)
}

/// The count that the run starts with; the least where it is still to be found.
fn initial(entry: &VariantEntry, place: &Place<'_>) -> Result<u32, ScenarioError> {
    let min = place.within("min-replicas", bounds::REPLICAS, entry.min_replicas)?;
    let max = place.within("max-replicas", bounds::REPLICAS, entry.max_replicas)?;
    place.key("max-replicas").hold(
        min <= max,
        max,
        &format!("at least `min-replicas`, which is {min}"),
    )?;
    match entry.initial_replicas {
        Initial::Word(_) => Ok(min),
        Initial::Count(count) => {
            place.key("initial-replicas").hold(
                (min..=max).contains(&count),
                count,
                &format!("`auto`, or from `min-replicas` {min} to `max-replicas` {max}"),
            )?;
            Ok(count)
        }
    }
}

fn constants(
    derived: IterationTime,
    entry: &VariantEntry,
    place: &Place<'_>,
) -> Result<IterationTime, ScenarioError> {
    let given = &entry.constants;
    let base = place.within_if_set(
        "base-seconds",
        bounds::ITERATION_SECONDS,
        given.base_seconds,
    )?;
    let per_token = |key, seconds| place.within_if_set(key, bounds::TOKEN_SECONDS, seconds);
    let computed = per_token("per-token-seconds", given.per_token_seconds)?;
    let held = per_token("per-kv-token-seconds", given.per_kv_token_seconds)?;
    Ok(IterationTime {
        base_seconds: base.unwrap_or(derived.base_seconds),
        per_token_seconds: computed.unwrap_or(derived.per_token_seconds),
        per_kv_token_seconds: held.unwrap_or(derived.per_kv_token_seconds),
    })
}

fn engine(
    entry: &EngineEntry,
    tensor_parallel: u32,
    place: &Place<'_>,
) -> Result<Engine, ScenarioError> {
    let dtype = entry.kv_cache_dtype.as_str();
    place.key("kv-cache-dtype").hold(
        KV_CACHE_DTYPES.contains(&dtype),
        format!("`{}`", excerpt(dtype)),
        &format!("one of {}", KV_CACHE_DTYPES.join(", ")),
    )?;
    let count = |key, bounds, value: u32| place.within(key, bounds, value);
    Ok(Engine {
        max_batched_tokens: count(
            "max-batched-tokens",
            bounds::BATCHED_TOKENS,
            entry.max_batched_tokens,
        )?,
        max_sequences: count("max-sequences", bounds::SEQUENCES, entry.max_sequences)?,
        max_model_length: place.within_if_set(
            "max-model-length",
            bounds::MODEL_LENGTH,
            entry.max_model_length,
        )?,
        tensor_parallel,
        block_size: count("block-size", bounds::BLOCK_SIZE, entry.block_size)?,
        gpu_blocks: place.within_if_set("gpu-blocks", bounds::GPU_BLOCKS, entry.gpu_blocks)?,
        gpu_memory_utilization: place.within(
            "gpu-memory-utilization",
            bounds::MEMORY_SHARE,
            entry.gpu_memory_utilization,
        )?,
        kv_cache_dtype: entry.kv_cache_dtype.clone(),
        chunked_prefill: entry.chunked_prefill,
    })
}
