//! What an accelerator's data sheet and a model's size say about a replica before anything was
//! measured: the constants of its iteration, and the tokens that its KV cache holds.

use crate::iteration::Iteration;
use crate::model_name::ModelSize;

/// Data-sheet numbers of one card.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accelerator {
    pub name: &'static str,
    /// Dense bf16, in FLOP/s. Makers' sheets usually print the sparse figure, twice this.
    pub flops: f64,
    /// Bytes per second that its memory delivers.
    pub bandwidth: f64,
    /// Bytes.
    pub memory: f64,
    /// Whether 8-bit floats run at twice the bf16 rate.
    pub fast_fp8: bool,
}

const fn card(name: &'static str, tera: f64, giga: f64, tera_per_s: f64, fp8: bool) -> Accelerator {
    Accelerator {
        name,
        flops: tera * 1e12,
        bandwidth: tera_per_s * 1e12,
        memory: giga * 1e9,
        fast_fp8: fp8,
    }
}

/// Makers' data sheets as collected by rooflinenotes.dev, pricegpu.pages.dev, coreai-xeb.pages.dev
/// and hmc-tech.com. The more special name stands before the one that it contains.
const CARDS: [Accelerator; 12] = [
    card("H100-PCIE", 756.0, 80.0, 2.0, true),
    card("H100", 989.0, 80.0, 3.35, true),
    card("H200", 989.0, 141.0, 4.8, true),
    card("B200", 2250.0, 180.0, 8.0, true),
    card("A100-40", 312.0, 40.0, 1.555, false),
    card("A100", 312.0, 80.0, 2.04, false),
    card("L40S", 362.0, 48.0, 0.864, true),
    card("L40", 181.0, 48.0, 0.864, true),
    card("L4", 121.0, 24.0, 0.3, true),
    card("A10G", 70.0, 24.0, 0.6, false),
    card("MI300X", 1307.0, 192.0, 5.3, true),
    card("GAUDI-3", 1835.0, 128.0, 3.7, true),
];

/// Taken for a card that is not in the table: the middle of it.
const MIDDLING: Accelerator = card("A100", 312.0, 80.0, 2.04, false);

/// Share of the data sheet's FLOP/s that large matrix products reach in serving.
///
/// With 8 billion parameters on an H100 this gives 32 µs for a token; fits to measured runs of
/// vLLM lie between 21 and 32 µs.
const COMPUTE_EFFICIENCY: f64 = 0.5;

/// Share of the data sheet's bandwidth that reading weights and KV cache reaches.
///
/// With 8 billion parameters on an H100 this gives 6.0 ms for an iteration and 0.049 µs for a KV
/// token; measured runs of vLLM start from 6.5 to 6.9 ms, a fit to them has 0.049 µs.
const BANDWIDTH_EFFICIENCY: f64 = 0.8;

/// What is left of the speed of several GPUs after each doubling of their number: 70 billion
/// parameters in fp8 on two H100 take 18.7 ms an iteration where the bandwidth alone says 13.2.
const PARALLEL_EFFICIENCY: f64 = 0.8;

/// Bytes on each GPU that are neither weights nor KV cache: activations and CUDA graphs.
const ACTIVATION_BYTES: f64 = 3e9;

/// The card that `name` means, e.g. "H100" or "NVIDIA-A100-SXM4-40GB".
#[must_use]
pub fn accelerator(name: &str) -> Option<Accelerator> {
    let name = name.to_ascii_uppercase().replace(['_', ' '], "-");
    let words = |word: &str| name.split('-').any(|part| part == word);
    CARDS
        .into_iter()
        .find(|card| match card.name.split_once('-') {
            Some((family, detail)) => {
                words(family) && name.split('-').any(|part| part.starts_with(detail))
            }
            None => words(card.name),
        })
}

/// The card taken where [`accelerator`] knows none.
#[must_use]
pub const fn middling() -> Accelerator {
    MIDDLING
}

/// The constants of an iteration of `model` that is spread over `gpus` cards.
///
/// The base is the time to read the weights once, a computed token costs two operations for each
/// active parameter, a held token the time to read its keys and values.
#[must_use]
pub fn iteration(card: &Accelerator, gpus: u32, model: &ModelSize) -> Iteration {
    let gpus = f64::from(gpus.max(1));
    let speed = gpus * PARALLEL_EFFICIENCY.powf(gpus.log2());
    let bandwidth = card.bandwidth * BANDWIDTH_EFFICIENCY * speed;
    let narrow = model.bytes_per_parameter <= 1.0 && card.fast_fp8;
    let flops = card.flops * COMPUTE_EFFICIENCY * speed * if narrow { 2.0 } else { 1.0 };
    Iteration {
        base_seconds: model.weight_bytes() / bandwidth,
        token_seconds: 2.0 * model.active_parameters / flops,
        kv_token_seconds: model.kv_bytes_per_token / bandwidth,
    }
}

/// Tokens that fit beside the weights in the share `utilization` of the memory of `gpus` cards;
/// `None` where the weights themselves do not fit.
#[must_use]
pub fn kv_capacity_tokens(
    card: &Accelerator,
    gpus: u32,
    utilization: f64,
    model: &ModelSize,
) -> Option<u64> {
    let gpus = f64::from(gpus.max(1));
    // Marketing gigabytes understate: "80 GB" is 85.5e9 bytes.
    let memory = card.memory * 1.07 * gpus * utilization;
    let free = memory - model.weight_bytes() - ACTIVATION_BYTES * gpus;
    let tokens = (free / model.kv_bytes_per_token).floor();
    (tokens.is_finite() && tokens >= 1.0).then_some(tokens as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_name::model_size;

    #[test]
    fn the_8b_model_on_h100_is_as_measured() {
        let h100 = accelerator("H100").unwrap();
        let prior = iteration(&h100, 1, &model_size("meta-llama/Llama-3.1-8B-Instruct"));
        assert!((5.5e-3..6.9e-3).contains(&prior.base_seconds), "{prior:?}");
        assert!((20e-6..33e-6).contains(&prior.token_seconds), "{prior:?}");
        assert!(
            (4.5e-8..5.5e-8).contains(&prior.kv_token_seconds),
            "{prior:?}"
        );
    }

    #[test]
    fn two_gpus_read_fp8_weights_as_measured() {
        let h100 = accelerator("H100").unwrap();
        let prior = iteration(&h100, 2, &model_size("Llama-3.3-70B-Instruct-FP8"));
        assert!((14e-3..20e-3).contains(&prior.base_seconds), "{prior:?}");
    }

    #[test]
    fn kv_capacity_follows_from_memory() {
        let h100 = accelerator("H100").unwrap();
        let small = kv_capacity_tokens(&h100, 1, 0.9, &model_size("Llama-3.1-8B")).unwrap();
        assert!((420_000..460_000).contains(&small), "{small}");
        let large = model_size("Llama-3.1-70B");
        assert_eq!(
            kv_capacity_tokens(&h100, 1, 0.9, &large),
            None,
            "weights alone need 141 GB"
        );
    }

    #[test]
    fn product_names_find_their_card() {
        let found = |name: &str| accelerator(name).map(|card| card.name);
        assert_eq!(found("NVIDIA-H100-80GB-HBM3"), Some("H100"));
        assert_eq!(found("nvidia_h100_pcie"), Some("H100-PCIE"));
        assert_eq!(found("NVIDIA-A100-SXM4-40GB"), Some("A100-40"));
        assert_eq!(found("NVIDIA-A100-PCIE-80GB"), Some("A100"));
        assert_eq!(found("NVIDIA-L40S-48GB"), Some("L40S"));
        assert_eq!(found("L4"), Some("L4"));
        assert_eq!(found("Intel-Gaudi-3-128GB"), Some("GAUDI-3"));
        assert_eq!(found("unresolved"), None);
    }
}
