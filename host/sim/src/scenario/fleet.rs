//! Accelerators, models and variants of a scenario: the catalogue merged, the constants derived.

use std::collections::BTreeMap;

use trimtab_contract::{Engine, Role};

use super::ScenarioError;
use super::check::Place;
use super::file::{
    AcceleratorEntry, EngineEntry, Initial, ModelEntry, PoolEntry, ScenarioFile, VariantEntry,
};
use crate::catalogue::{
    Accelerator, Catalogue, Model, WeightBits, iteration_time, kv_capacity_tokens,
    kv_transfer_seconds_per_token,
};
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
    let value = |key, given: Option<f64>, unit: f64, known: Option<f64>| match given {
        Some(given) => Ok(place.positive(key, given)? * unit),
        None => known.ok_or_else(|| missing(place, key)),
    };
    let flops = value("tflops", entry.tflops, 1e12, known.map(|card| card.flops))?;
    let eight_bit = known
        .map(|card| card.flops_8bit)
        .filter(|_| entry.tflops.is_none());
    let price = match entry.price_per_hour {
        Some(price) => Some(place.not_negative("price-per-hour", price)?),
        None => known.map(|card| card.price_per_hour),
    };
    let bandwidth = known.map(|card| card.bandwidth);
    let memory = known.map(|card| card.memory_bytes);
    Ok(Accelerator {
        flops,
        flops_8bit: value(
            "tflops-8bit",
            entry.tflops_8bit,
            1e12,
            eight_bit.or(Some(flops)),
        )?,
        bandwidth: value("bandwidth-tbps", entry.bandwidth_tbps, 1e12, bandwidth)?,
        memory_bytes: value("memory-gib", entry.memory_gib, 1_073_741_824.0, memory)?,
        price_per_hour: price.ok_or_else(|| missing(place, "price-per-hour"))?,
    })
}

fn model(
    entry: &ModelEntry,
    known: Option<&Model>,
    place: &Place<'_>,
) -> Result<Model, ScenarioError> {
    let billions = |key, given: Option<f64>, known: Option<f64>| match given {
        Some(given) => Ok(place.positive(key, given)? * 1e9),
        None => known.ok_or_else(|| missing(place, key)),
    };
    let count = |key, given: Option<u32>, known: Option<u32>| match given {
        Some(given) => place.at_least_one(key, given),
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
    let layers = count("layers", entry.layers, known.map(|model| model.layers))?;
    let kv_layers = known
        .map(|model| model.kv_layers)
        .filter(|_| entry.layers.is_none());
    Ok(Model {
        parameters,
        active_parameters: billions(
            "active-parameters-billions",
            entry.active_parameters_billions,
            active,
        )?,
        weight_bits: weight_bits(entry.weight_bits, known, place)?,
        layers,
        kv_layers: kv_layers.unwrap_or(layers),
        kv_heads: count(
            "kv-heads",
            entry.kv_heads,
            known.map(|model| model.kv_heads),
        )?,
        head_dim: count(
            "head-dim",
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
            return Ok((name.clone(), *gpus));
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
    let gpus = place.at_least_one("tensor-parallel", entry.tensor_parallel)?;
    let engine = engine(&entry.engine, gpus, &place.key("engine"))?;
    let cost = match entry.cost_per_hour {
        Some(cost) => place.not_negative("cost-per-hour", cost)?,
        None => card.price_per_hour * f64::from(gpus),
    };
    let kv_capacity_tokens = match entry.constants.kv_capacity_tokens {
        Some(tokens) => tokens,
        None => kv_capacity_tokens(card, model, &engine).map_err(|error| {
            place.error(format!(
                "the model does not fit `{}`: {error}",
                entry.accelerator
            ))
        })?,
    };
    let kv_transfer_seconds_per_token = match entry.constants.kv_transfer_seconds_per_token {
        Some(seconds) => place
            .key("constants")
            .not_negative("kv-transfer-seconds-per-token", seconds)?,
        None => kv_transfer_seconds_per_token(model, &engine.kv_cache_dtype),
    };
    let iteration = iteration_time(card, model, gpus, &engine.kv_cache_dtype);
    Ok(VariantSpec {
        name: entry.name.clone(),
        accelerator: entry.accelerator.clone(),
        gpus_per_replica: gpus,
        cost_per_hour: cost,
        role: entry.role,
        min_replicas: entry.min_replicas,
        max_replicas: entry.max_replicas,
        initial_replicas: initial(entry, place)?,
        iteration: constants(iteration, entry, &place.key("constants"))?,
        kv_capacity_tokens,
        engine,
        startup: Startup {
            mean_seconds: place
                .key("startup")
                .not_negative("mean-seconds", entry.startup.mean_seconds)?,
            spread: place
                .key("startup")
                .not_negative("spread", entry.startup.spread)?,
        },
        kv_transfer_seconds_per_token,
    })
}

/// The count that the run starts with; the least where it is still to be found.
fn initial(entry: &VariantEntry, place: &Place<'_>) -> Result<u32, ScenarioError> {
    let (min, max) = (entry.min_replicas, entry.max_replicas);
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
    let not_negative = |key, given: Option<f64>, derived| {
        given.map_or(Ok(derived), |seconds| place.not_negative(key, seconds))
    };
    Ok(IterationTime {
        base_seconds: match given.base_seconds {
            Some(seconds) => place.positive("base-seconds", seconds)?,
            None => derived.base_seconds,
        },
        per_token_seconds: not_negative(
            "per-token-seconds",
            given.per_token_seconds,
            derived.per_token_seconds,
        )?,
        per_kv_token_seconds: not_negative(
            "per-kv-token-seconds",
            given.per_kv_token_seconds,
            derived.per_kv_token_seconds,
        )?,
    })
}

fn engine(
    entry: &EngineEntry,
    tensor_parallel: u32,
    place: &Place<'_>,
) -> Result<Engine, ScenarioError> {
    let utilization = entry.gpu_memory_utilization;
    place.key("gpu-memory-utilization").hold(
        utilization > 0.0 && utilization <= 1.0,
        utilization,
        "a share above 0 and up to 1",
    )?;
    let optional = |key, value: Option<u32>| {
        value
            .map(|value| place.at_least_one(key, value))
            .transpose()
    };
    Ok(Engine {
        max_batched_tokens: place.at_least_one("max-batched-tokens", entry.max_batched_tokens)?,
        max_sequences: place.at_least_one("max-sequences", entry.max_sequences)?,
        max_model_length: optional("max-model-length", entry.max_model_length)?,
        tensor_parallel,
        block_size: place.at_least_one("block-size", entry.block_size)?,
        gpu_blocks: optional("gpu-blocks", entry.gpu_blocks)?,
        gpu_memory_utilization: utilization,
        kv_cache_dtype: entry.kv_cache_dtype.clone(),
        chunked_prefill: entry.chunked_prefill,
    })
}
