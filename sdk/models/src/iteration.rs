//! What a replica is made of: the time of one iteration, the lengths of its requests, the limits
//! of its batch, and which half of a request it does.

/// Time of one iteration of the engine: `base + token · computed tokens + kv · KV tokens held`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Iteration {
    /// Spent whatever the batch holds (α): weights are read, kernels launched.
    pub base_seconds: f64,
    /// For each token computed, of a prompt or of an answer (β).
    pub token_seconds: f64,
    /// For each token whose keys and values are held (γ).
    pub kv_token_seconds: f64,
}

/// Mean lengths of the requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lengths {
    /// Prompt, in tokens.
    pub input_tokens: f64,
    /// Answer, in tokens; at least 1.
    pub output_tokens: f64,
    /// Part of the prompt that a prefix cache answers: held, but not computed.
    pub cached_tokens: f64,
    pub spread: Spread,
}

/// How much lengths vary: standard deviation over mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub input: f64,
    pub output: f64,
}

impl Spread {
    /// Every request has the same lengths.
    pub const NONE: Self = Self {
        input: 0.0,
        output: 0.0,
    };
    /// As in conversations; taken where nothing is known.
    pub const CONVERSATION: Self = Self {
        input: 1.0,
        output: 0.8,
    };
}

impl Lengths {
    /// Lengths that vary as in conversations, with nothing answered by a prefix cache.
    #[must_use]
    pub const fn new(input_tokens: f64, output_tokens: f64) -> Self {
        Self {
            input_tokens,
            output_tokens,
            cached_tokens: 0.0,
            spread: Spread::CONVERSATION,
        }
    }

    #[must_use]
    pub const fn with_spread(self, spread: Spread) -> Self {
        Self { spread, ..self }
    }

    /// The same with this share (0..=1) of the prompt answered by a prefix cache.
    #[must_use]
    pub fn with_prefix_hits(self, ratio: f64) -> Self {
        Self {
            cached_tokens: self.input_tokens * ratio.clamp(0.0, 1.0),
            ..self
        }
    }
}

/// Limits of the engine's batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Batch {
    /// Requests that one iteration may carry.
    pub max_sequences: u32,
    /// Tokens that one iteration may compute, prompt and answer together.
    pub max_batched_tokens: u32,
    /// Tokens that the KV cache holds, where that is known.
    pub kv_capacity_tokens: Option<u64>,
    /// Requests that may wait for a place in the batch; more are turned away.
    pub max_waiting: u32,
}

/// Which part of a request a replica does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Both,
    /// Computes the prompt and its first token, then hands the KV cache over.
    Prefill,
    /// Receives the KV cache of a computed prompt and produces the rest of the answer.
    Decode,
}
