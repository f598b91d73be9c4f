//! What is known of one replica of each variant before and beside today's measurements: its engine,
//! its memory, and the constants of its iteration.

use trimtab_models::accelerators::{self, Accelerator};
use trimtab_models::model_name::ModelSize;
use trimtab_models::{Batch, Iteration, Lengths, ModelError, Replica, Role};
use trimtab_sdk::{Engine, Knowledge, KnowledgeSource, Pool, Variant};

use crate::loads::Load;
use crate::state::Profile;

pub(crate) const BASE_SECONDS: &str = "iteration-base-seconds";
pub(crate) const TOKEN_SECONDS: &str = "iteration-token-seconds";
pub(crate) const KV_TOKEN_SECONDS: &str = "iteration-kv-token-seconds";
pub(crate) const KV_CAPACITY: &str = "kv-capacity-tokens";

/// vLLM's own defaults, taken where a variant's settings are not known.
const MAX_SEQUENCES: u32 = 256;
const MAX_BATCHED_TOKENS: u32 = 8192;
const MEMORY_UTILIZATION: f64 = 0.9;

/// Requests that may wait for each that runs before more would be turned away; vLLM itself turns
/// none away.
const WAITING_PER_SEQUENCE: u32 = 10;

/// One replica of a variant, as far as it is known.
#[derive(Clone, Debug)]
pub(crate) struct Server<'a> {
    /// Of its variant in the pool.
    pub(crate) position: u32,
    pub(crate) variant: &'a Variant,
    pub(crate) load: &'a Load,
    /// Engines in one replica; each is a queue of its own.
    pub(crate) instances: f64,
    /// Under which the constants are tracked: the same for all variants that share them.
    pub(crate) key: String,
    /// Constants before anything was tracked here.
    pub(crate) start: Iteration,
    /// Whether `start` was measured under load elsewhere or before.
    pub(crate) known_live: bool,
    /// False where the accelerator is not in the table and a middling one is assumed.
    pub(crate) card_known: bool,
    pub(crate) batch: Batch,
}

impl<'a> Server<'a> {
    pub(crate) fn new(
        (position, variant, load): (u32, &'a Variant, &'a Load),
        pool: &Pool,
        model: &ModelSize,
        knowledge: &[Knowledge],
    ) -> Self {
        let known = Known {
            model: &pool.model,
            variant,
            knowledge,
        };
        let card = accelerators::accelerator(&variant.accelerator);
        let sheet = card.unwrap_or_else(accelerators::middling);
        let instances = instances(variant, load);
        let gpus = gpus_per_engine(variant, instances);
        let (start, known_live) = match known.iteration() {
            Some(known) => known,
            None => (accelerators::iteration(&sheet, gpus, model), false),
        };
        let kv = kv_capacity(&known, load, instances)
            .or_else(|| sheet_capacity(&sheet, gpus, variant, model));
        Self {
            position,
            variant,
            load,
            instances,
            key: key(variant),
            start,
            known_live,
            card_known: card.is_some(),
            batch: batch(variant.engine.as_ref(), kv),
        }
    }

    pub(crate) fn role(&self) -> Role {
        match self.variant.role {
            trimtab_sdk::Role::Both => Role::Both,
            trimtab_sdk::Role::Prefill => Role::Prefill,
            trimtab_sdk::Role::Decode => Role::Decode,
        }
    }

    /// Lengths of the requests that the variant's own replicas serve: a router may send the short
    /// ones to the slow replicas. A prefill replica knows nothing of answers.
    pub(crate) fn own_lengths(&self, profile: &Profile) -> Lengths {
        let output = self.load.output_tokens.value();
        let own = Profile {
            input_tokens: self
                .load
                .input_tokens
                .value()
                .unwrap_or(profile.input_tokens),
            output_tokens: output
                .filter(|_| self.role() != Role::Prefill)
                .unwrap_or(profile.output_tokens)
                .max(1.0),
            prefix_hits: self.load.prefix_hits.value().unwrap_or(profile.prefix_hits),
        };
        own.lengths()
    }

    /// One engine of a replica as the queueing model sees it.
    pub(crate) fn engine(
        &self,
        iteration: Iteration,
        lengths: Lengths,
    ) -> Result<Replica, ModelError> {
        Replica::in_role(self.role(), iteration, lengths, self.batch)
    }

    /// Tokens that the KV cache of a whole replica holds.
    pub(crate) fn kv_capacity(&self) -> Option<f64> {
        self.batch
            .kv_capacity_tokens
            .map(|tokens| tokens as f64 * self.instances)
    }
}

/// As the replicas report, else as many as the GPUs make up.
fn instances(variant: &Variant, load: &Load) -> f64 {
    load.instances
        .mean()
        .or_else(|| {
            let engine = variant.engine.as_ref()?;
            Some(f64::from(
                variant.gpus_per_replica / engine.tensor_parallel.max(1),
            ))
        })
        .unwrap_or(1.0)
        .max(1.0)
}

fn gpus_per_engine(variant: &Variant, instances: f64) -> u32 {
    (f64::from(variant.gpus_per_replica) / instances)
        .round()
        .max(1.0) as u32
}

/// Of one engine: as the replicas report, else as set, else as known.
fn kv_capacity(known: &Known<'_>, load: &Load, instances: f64) -> Option<u64> {
    let replica = load.kv_capacity.mean().or_else(|| {
        let set = known.variant.engine.as_ref().and_then(|engine| {
            let blocks = f64::from(engine.gpu_blocks?);
            Some(blocks * f64::from(engine.block_size) * instances)
        });
        set.filter(|tokens| *tokens > 0.0)
            .or_else(|| known.value(KV_CAPACITY).map(|(value, _)| value))
    })?;
    Some((replica / instances).floor() as u64).filter(|tokens| *tokens > 0)
}

fn sheet_capacity(
    card: &Accelerator,
    gpus: u32,
    variant: &Variant,
    model: &ModelSize,
) -> Option<u64> {
    let engine = variant.engine.as_ref();
    let utilization = engine.map_or(MEMORY_UTILIZATION, |engine| engine.gpu_memory_utilization);
    let narrow = engine.is_some_and(|engine| engine.kv_cache_dtype.starts_with("fp8"));
    let bytes = model.kv_bytes_per_token * if narrow { 0.5 } else { 1.0 };
    let model = ModelSize {
        kv_bytes_per_token: bytes,
        ..*model
    };
    accelerators::kv_capacity_tokens(card, gpus, utilization, &model)
}

fn batch(engine: Option<&Engine>, kv_capacity_tokens: Option<u64>) -> Batch {
    let set =
        |value: Option<u32>, default: u32| value.filter(|value| *value > 0).unwrap_or(default);
    let max_sequences = set(engine.map(|engine| engine.max_sequences), MAX_SEQUENCES);
    Batch {
        max_sequences,
        max_batched_tokens: set(
            engine.map(|engine| engine.max_batched_tokens),
            MAX_BATCHED_TOKENS,
        ),
        kv_capacity_tokens,
        max_waiting: max_sequences.saturating_mul(WAITING_PER_SEQUENCE),
    }
}

/// Variants with the same key have the same constants.
fn key(variant: &Variant) -> String {
    let hardware = format!("{}/{}", variant.accelerator, variant.gpus_per_replica);
    match &variant.engine {
        None => hardware,
        Some(engine) => format!(
            "{hardware}/{}/{}",
            engine.tensor_parallel, engine.kv_cache_dtype
        ),
    }
}

/// The host's knowledge of one variant's model, accelerator and engine.
struct Known<'a> {
    model: &'a str,
    variant: &'a Variant,
    knowledge: &'a [Knowledge],
}

impl Known<'_> {
    /// The three constants, and whether all of them were measured.
    fn iteration(&self) -> Option<(Iteration, bool)> {
        let (base_seconds, base_live) = self.value(BASE_SECONDS)?;
        let (token_seconds, token_live) = self.value(TOKEN_SECONDS)?;
        let (kv_token_seconds, kv_live) = self.value(KV_TOKEN_SECONDS)?;
        let iteration = Iteration {
            base_seconds,
            token_seconds,
            kv_token_seconds,
        };
        Some((iteration, base_live && token_live && kv_live))
    }

    /// The best value of a quantity: measured before derived, then the newest.
    fn value(&self, quantity: &str) -> Option<(f64, bool)> {
        let live = |known: &Knowledge| known.source == KnowledgeSource::Live;
        self.knowledge
            .iter()
            .filter(|known| known.quantity == quantity && self.matches(known))
            .filter(|known| known.value.is_finite() && known.value > 0.0)
            .max_by(|a, b| {
                (live(a), a.learned_at)
                    .cmp(&(live(b), b.learned_at))
                    .then(a.value.total_cmp(&b.value))
            })
            .map(|known| (known.value, live(known)))
    }

    fn matches(&self, known: &Knowledge) -> bool {
        known.model == self.model
            && known.accelerator == self.variant.accelerator
            && known.gpus_per_replica == self.variant.gpus_per_replica
            && match (&known.engine, &self.variant.engine) {
                (Some(theirs), Some(ours)) => compatible(theirs, ours),
                (None, _) | (_, None) => true,
            }
    }
}

/// Whether two engines hold and compute the same: limits of the batch and of lengths do not matter.
fn compatible(a: &Engine, b: &Engine) -> bool {
    a.tensor_parallel == b.tensor_parallel
        && a.kv_cache_dtype == b.kv_cache_dtype
        && a.block_size == b.block_size
        && a.gpu_blocks == b.gpu_blocks
        && (a.gpu_memory_utilization - b.gpu_memory_utilization).abs() < 1e-9
}
