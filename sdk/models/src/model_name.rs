//! How large a model is, as far as its name tells.

/// What the weights and the KV cache of a model take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModelSize {
    /// Parameters in memory.
    pub parameters: f64,
    /// Parameters that compute one token; fewer than all in a mixture of experts.
    pub active_parameters: f64,
    /// Of the weights.
    pub bytes_per_parameter: f64,
    /// Bytes of keys and values that one token holds, at 16 bits a number.
    pub kv_bytes_per_token: f64,
    /// False where the name says nothing and a model of 8 billion parameters is assumed.
    pub recognised: bool,
}

impl ModelSize {
    #[must_use]
    pub fn weight_bytes(&self) -> f64 {
        self.parameters * self.bytes_per_parameter
    }
}

/// Part of a name, billions of parameters, of active ones, KV bytes per token at 16 bits
/// (2 · layers · KV heads · head dimension · 2), bytes per parameter as released.
type Known = (&'static str, f64, f64, f64, f64);

/// Models whose name does not tell, or whose KV cache is known exactly; from their model cards.
const KNOWN: [Known; 13] = [
    ("llama-3.1-8b", 8.03, 8.03, 131_072.0, 2.0),
    ("llama-3-8b", 8.03, 8.03, 131_072.0, 2.0),
    ("llama-3.1-70b", 70.6, 70.6, 327_680.0, 2.0),
    ("llama-3.3-70b", 70.6, 70.6, 327_680.0, 2.0),
    ("llama-3.1-405b", 405.9, 405.9, 516_096.0, 2.0),
    ("qwen3-32b", 32.8, 32.8, 262_144.0, 2.0),
    ("mistral-7b", 7.25, 7.25, 131_072.0, 2.0),
    ("mixtral-8x7b", 46.7, 12.9, 131_072.0, 2.0),
    ("gpt-oss-120b", 117.0, 5.1, 36_864.0, 0.52),
    ("gpt-oss-20b", 20.9, 3.6, 24_576.0, 0.62),
    ("deepseek-v3", 671.0, 37.0, 70_272.0, 1.0),
    ("deepseek-r1", 671.0, 37.0, 70_272.0, 1.0),
    ("phi-4", 14.7, 14.7, 204_800.0, 2.0),
];

/// Number formats that names spell out, with the bytes that a weight takes in them, scales included.
const FORMATS: [(&str, f64); 12] = [
    ("fp8", 1.0),
    ("w8a8", 1.0),
    ("w8a16", 1.0),
    ("int8", 1.0),
    ("awq", 0.55),
    ("gptq", 0.55),
    ("w4a16", 0.55),
    ("int4", 0.55),
    ("4bit", 0.55),
    ("nvfp4", 0.55),
    ("mxfp4", 0.55),
    ("fp4", 0.55),
];

/// Billions of parameters assumed where a name says nothing.
const ASSUMED_BILLIONS: f64 = 8.03;

/// Reads a model's name, e.g. "meta-llama/Llama-3.1-8B-Instruct" or "Qwen3-30B-A3B-FP8".
#[must_use]
pub fn model_size(name: &str) -> ModelSize {
    let name = name.to_ascii_lowercase().replace([' ', '_'], "-");
    let spelled = Spelled::read(&name);
    let known = KNOWN
        .iter()
        .find(|(part, billions, ..)| name.contains(part) && spelled.may_be(*billions));
    let (billions, active, kv, released) = match (known, spelled.billions) {
        (Some((_, billions, active, kv, released)), _) => (*billions, *active, *kv, *released),
        (None, Some(billions)) => {
            let active = spelled.active.unwrap_or(billions);
            (billions, active, estimated_kv_bytes(billions), 2.0)
        }
        (None, None) => (ASSUMED_BILLIONS, ASSUMED_BILLIONS, 131_072.0, 2.0),
    };
    let format = FORMATS.iter().find(|(word, _)| name.contains(word));
    ModelSize {
        parameters: billions * 1e9,
        active_parameters: active * 1e9,
        bytes_per_parameter: format.map_or(released, |(_, bytes)| *bytes),
        kv_bytes_per_token: kv,
        recognised: known.is_some() || spelled.billions.is_some(),
    }
}

/// Models with grouped-query attention hold about this, from those of 8 to 70 billion parameters.
fn estimated_kv_bytes(billions: f64) -> f64 {
    131_072.0 * (billions / 8.0).powf(0.45)
}

/// Sizes spelled out in a name, in billions of parameters.
#[derive(Clone, Copy, Debug, Default)]
struct Spelled {
    billions: Option<f64>,
    active: Option<f64>,
}

impl Spelled {
    fn read(name: &str) -> Self {
        let mut spelled = Self::default();
        for word in name.split(['-', '/', ':', '@']) {
            if let Some(size) = word.strip_prefix('a').and_then(billions) {
                spelled.active = Some(size);
            } else if let Some((experts, size)) = experts(word) {
                // Attention is shared between the experts, of which two work on a token.
                spelled.billions = Some(0.83 * experts * size);
                spelled.active = Some(1.85 * size);
            } else if let Some(size) = billions(word) {
                spelled.billions = Some(spelled.billions.map_or(size, |other| other.max(size)));
            }
        }
        spelled
    }

    /// Whether the name's own number does not contradict a known model, as it does where a small
    /// model is called after the large one that it was distilled from.
    fn may_be(&self, billions: f64) -> bool {
        self.billions
            .is_none_or(|own| (0.8..1.25).contains(&(own / billions)))
    }
}

/// "8b" is 8, "135m" is 0.135.
fn billions(word: &str) -> Option<f64> {
    let (digits, scale) = match word.strip_suffix('b') {
        Some(digits) => (digits, 1.0),
        None => (word.strip_suffix('m')?, 1e-3),
    };
    number(digits).map(|size| size * scale)
}

/// "8x7b" is (8, 7).
fn experts(word: &str) -> Option<(f64, f64)> {
    let (experts, size) = word.split_once('x')?;
    Some((number(experts)?, billions(size)?))
}

fn number(digits: &str) -> Option<f64> {
    let plain = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    let value = plain.then(|| digits.parse::<f64>().ok()).flatten()?;
    (value > 0.0 && value < 1e5).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn billions_of(name: &str) -> (f64, f64) {
        let size = model_size(name);
        (
            (size.parameters / 1e8).round() / 10.0,
            (size.active_parameters / 1e8).round() / 10.0,
        )
    }

    #[test]
    fn names_tell_the_size() {
        assert_eq!(billions_of("meta-llama/Llama-3.1-8B-Instruct"), (8.0, 8.0));
        assert_eq!(billions_of("llama3.1:70b"), (70.0, 70.0));
        assert_eq!(billions_of("Qwen/Qwen2.5-0.5B-Instruct"), (0.5, 0.5));
        assert_eq!(billions_of("HuggingFaceTB/SmolLM2-135M"), (0.1, 0.1));
        assert_eq!(billions_of("mistralai/Mixtral-8x22B-v0.1"), (146.1, 40.7));
        assert_eq!(billions_of("Qwen/Qwen3-30B-A3B"), (30.0, 3.0));
        assert_eq!(billions_of("deepseek-ai/DeepSeek-V3"), (671.0, 37.0));
        assert_eq!(
            billions_of("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B"),
            (32.0, 32.0)
        );
    }

    #[test]
    fn an_unknown_name_is_said_to_be_unknown() {
        assert!(!model_size("my-company/assistant").recognised);
        assert_eq!(billions_of("my-company/assistant"), (8.0, 8.0));
    }

    #[test]
    fn quantised_weights_take_fewer_bytes() {
        assert_eq!(
            model_size("Llama-3.3-70B-Instruct-FP8").bytes_per_parameter,
            1.0
        );
        assert_eq!(model_size("Llama-3.1-8B-AWQ").bytes_per_parameter, 0.55);
        assert_eq!(model_size("Llama-3.1-8B").bytes_per_parameter, 2.0);
    }

    #[test]
    fn kv_bytes_of_unlisted_models_are_near_listed_ones() {
        assert!((estimated_kv_bytes(32.8) / 262_144.0 - 1.0).abs() < 0.1);
        assert!((estimated_kv_bytes(70.6) / 327_680.0 - 1.0).abs() < 0.1);
    }
}
