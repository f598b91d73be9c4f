//! What a serving engine was started with: its settings as read from a container's command line
//! and environment.

mod flags;
mod script;
#[cfg(test)]
mod tests;
mod words;

use trimtab_contract::Engine;

use self::flags::Flags;
use crate::objects::template::Container;

/// The engines whose command lines are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Vllm,
    Sglang,
    /// llm-d-inference-sim: vLLM's flags with defaults of its own.
    Simulator,
}

/// An engine's settings. What was not set depends on the accelerator, so it stays open here.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) kind: Kind,
    /// The name under which it serves, which its metrics carry as `model_name`.
    pub(crate) model: Option<String>,
    max_batched_tokens: Option<u32>,
    max_sequences: Option<u32>,
    max_model_length: Option<u32>,
    tensor_parallel: u32,
    block_size: Option<u32>,
    gpu_blocks: Option<u32>,
    gpu_memory_utilization: Option<f64>,
    kv_cache_dtype: String,
    chunked_prefill: bool,
}

/// Reads the container that runs an engine: the last one whose model is known, or else the last
/// one that looks like an engine; sidecars may be named after the engine that they serve.
pub(crate) fn read(containers: &[Container]) -> Option<Settings> {
    let found: Vec<Settings> = containers.iter().filter_map(settings).collect();
    let named = found.iter().rfind(|settings| settings.model.is_some());
    named.or(found.last()).cloned()
}

fn settings(container: &Container) -> Option<Settings> {
    let commands = words::of(container);
    let starting = commands.iter().rfind(|words| starts_engine(words));
    let words = starting.or(commands.last()).map_or(&[][..], Vec::as_slice);
    let kind = kind(container, words)?;
    let flags = Flags::read(words);
    let mut settings = match kind {
        Kind::Vllm | Kind::Simulator => vllm(kind, container, words, &flags),
        Kind::Sglang => sglang(&flags),
    };
    // A variable whose value is not in the object is no name.
    settings.model = settings.model.filter(|model| !model.contains('$'));
    Some(settings)
}

/// An image may be a registry's mirror under any name, and a command line may be the image's own:
/// either is enough.
fn kind(container: &Container, words: &[String]) -> Option<Kind> {
    let image = container.image.as_deref().unwrap_or_default();
    let images = [
        ("llm-d-inference-sim", Kind::Simulator),
        ("sglang", Kind::Sglang),
        ("vllm", Kind::Vllm),
        ("llm-d-cuda", Kind::Vllm),
    ];
    let by_image = || {
        let mut images = images.iter().filter(|(name, _)| image.contains(name));
        images.next().map(|(_, kind)| *kind)
    };
    program(words).or_else(by_image).or_else(|| {
        let takes_model = words.iter().any(is_model_flag);
        takes_model.then_some(Kind::Vllm)
    })
}

/// The engine that a command line starts.
fn program(words: &[String]) -> Option<Kind> {
    let runs = |name: &str| {
        words.iter().any(|word| {
            let last = word.rsplit('/').next().unwrap_or(word);
            let module = last.strip_prefix(name);
            module.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    let programs = [
        ("llm-d-inference-sim", Kind::Simulator),
        ("sglang", Kind::Sglang),
        ("vllm", Kind::Vllm),
    ];
    let mut running = programs.iter().filter(|(name, _)| runs(name));
    running.next().map(|(_, kind)| *kind)
}

fn starts_engine(words: &[String]) -> bool {
    program(words).is_some() || words.iter().any(is_model_flag)
}

fn is_model_flag(word: &String) -> bool {
    word == "--model" || word.starts_with("--model=")
}

fn vllm(kind: Kind, container: &Container, words: &[String], flags: &Flags) -> Settings {
    // V0 is gone since vLLM 0.11; until then this variable chose it.
    let first_engine = container.variable("VLLM_USE_V1") == Some("0");
    let positional = || {
        let serve = words.iter().position(|word| word == "serve");
        let at = match serve {
            Some(serve) => serve + 1,
            // The images of newer versions start `vllm serve` by themselves.
            None if container.command.is_empty() && program(words).is_none() => 0,
            None => return None,
        };
        words.get(at).filter(|word| !word.starts_with('-')).cloned()
    };
    Settings {
        kind,
        model: flags
            .text(&["served-model-name"])
            .or_else(|| flags.text(&["model"]))
            .or_else(positional),
        max_batched_tokens: flags.count(&["max-num-batched-tokens"]),
        max_sequences: flags.count(&["max-num-seqs"]),
        max_model_length: flags.count(&["max-model-len"]),
        tensor_parallel: flags
            .count(&["tensor-parallel-size", "tp"])
            .unwrap_or(1)
            .max(1),
        block_size: flags.count(&["block-size"]),
        gpu_blocks: flags.count(&["num-gpu-blocks-override", "kv-cache-size"]),
        gpu_memory_utilization: flags.share(&["gpu-memory-utilization"]),
        kv_cache_dtype: flags.text(&["kv-cache-dtype"]).unwrap_or_else(auto),
        chunked_prefill: flags
            .switch("enable-chunked-prefill")
            .unwrap_or(!first_engine),
    }
}

fn sglang(flags: &Flags) -> Settings {
    let chunk = flags.signed(&["chunked-prefill-size"]);
    let chunked_prefill = chunk.is_none_or(|tokens| tokens > 0);
    let prefill = || flags.count(&["max-prefill-tokens"]).or(Some(16_384));
    let page = flags.count(&["page-size"]).unwrap_or(1).max(1);
    Settings {
        kind: Kind::Sglang,
        model: flags
            .text(&["served-model-name"])
            .or_else(|| flags.text(&["model-path", "model"])),
        max_batched_tokens: if chunked_prefill {
            chunk.and_then(|tokens| u32::try_from(tokens).ok())
        } else {
            prefill()
        },
        max_sequences: flags.count(&["max-running-requests"]),
        max_model_length: flags.count(&["context-length"]),
        tensor_parallel: flags
            .count(&["tensor-parallel-size", "tp-size", "tp"])
            .unwrap_or(1)
            .max(1),
        block_size: Some(page),
        gpu_blocks: flags
            .count(&["max-total-tokens"])
            .map(|tokens| tokens / page),
        gpu_memory_utilization: flags.share(&["mem-fraction-static"]),
        kv_cache_dtype: flags.text(&["kv-cache-dtype"]).unwrap_or_else(auto),
        chunked_prefill,
    }
}

fn auto() -> String {
    "auto".to_owned()
}

impl Settings {
    /// The settings in force on an accelerator: each engine's own defaults where nothing was set.
    pub(crate) fn on(&self, accelerator: &str) -> Engine {
        let (batched, sequences) = self.defaults(accelerator);
        let mut max_batched_tokens = self.max_batched_tokens.unwrap_or(batched);
        if let (Some(length), false) = (self.max_model_length, self.chunked_prefill) {
            // Without chunks a whole prompt must fit into one iteration.
            max_batched_tokens = max_batched_tokens.max(length);
        }
        // Each request of an iteration has a token of it.
        let sequences = sequences.min(max_batched_tokens);
        let max_sequences = self.max_sequences.unwrap_or(sequences).max(1);
        if let Some(length) = self.max_model_length {
            max_batched_tokens = max_batched_tokens.min(max_sequences.saturating_mul(length));
        }
        let (block_size, memory) = match self.kind {
            Kind::Vllm | Kind::Simulator => (16, 0.9),
            Kind::Sglang => (1, 0.88),
        };
        let gpu_blocks = match self.kind {
            Kind::Simulator => Some(self.gpu_blocks.unwrap_or(1024)),
            Kind::Vllm | Kind::Sglang => self.gpu_blocks,
        };
        Engine {
            max_batched_tokens: max_batched_tokens.max(1),
            max_sequences,
            max_model_length: match self.kind {
                Kind::Simulator => Some(self.max_model_length.unwrap_or(1024)),
                Kind::Vllm | Kind::Sglang => self.max_model_length,
            },
            tensor_parallel: self.tensor_parallel,
            block_size: self.block_size.unwrap_or(block_size).max(1),
            gpu_blocks,
            gpu_memory_utilization: self.gpu_memory_utilization.unwrap_or(memory),
            kv_cache_dtype: self.kv_cache_dtype.clone(),
            chunked_prefill: self.chunked_prefill,
        }
    }

    /// Tokens and requests of an iteration where neither was set. vLLM (`EngineArgs`) and SGLang
    /// (`ServerArgs`) choose by the card's memory.
    fn defaults(&self, accelerator: &str) -> (u32, u32) {
        let large = is_large(accelerator);
        match self.kind {
            Kind::Simulator => (2048, 5),
            Kind::Vllm if large => (8192, 1024),
            Kind::Vllm => (2048, 256),
            Kind::Sglang if large => (8192, 1024),
            Kind::Sglang => (2048, 256),
        }
    }
}

/// Cards of 70 GiB and more, the A100 excepted, as vLLM draws the line.
fn is_large(accelerator: &str) -> bool {
    let name = accelerator.to_ascii_uppercase();
    if let Some((_, profile)) = name.split_once("-MIG-") {
        let memory = profile.split_once('.').map(|(_, memory)| memory);
        let gigabytes = memory.and_then(|memory| memory.split_once("GB")?.0.parse::<u32>().ok());
        return !name.contains("A100") && gigabytes.is_some_and(|memory| memory >= 70);
    }
    [
        "H100",
        "H200",
        "H20",
        "H800",
        "GH200",
        "B200",
        "B300",
        "RTX-PRO-6000",
        "MI3",
        "GAUDI2",
        "GAUDI-2",
        "GAUDI3",
        "GAUDI-3",
    ]
    .iter()
    .any(|card| name.contains(card))
}
