//! One replica's serving engine: continuous batching as vLLM's V1 scheduler does it.
//!
//! An iteration computes one token of every sequence that answers and, with what is left of the
//! token budget, prompts in order of arrival. While nothing changes in the batch, many iterations
//! are one step, a [`Stride`]; the engine is told when a stride ends and plans the next one.
//! It knows nothing of routing, of the replica's life, or of how measurements are collected.

mod blocks;
mod distributions;
mod prefix;
mod schedule;
mod sequence;
mod stride;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use self::blocks::Blocks;
pub use self::distributions::Distributions;
use self::prefix::PrefixCache;
pub(crate) use self::sequence::{Job, Part};
use self::sequence::{Sequence, Sequences, Waiting};
use self::stride::Stride;
use crate::spec::{IterationTime, VariantSpec};

/// What an engine can do, fixed for its life.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) iteration: IterationTime,
    pub(crate) max_sequences: u64,
    pub(crate) max_batched_tokens: u64,
    pub(crate) chunked_prefill: bool,
    pub(crate) block_size: u32,
    pub(crate) blocks: u64,
    /// Longest prompt plus answer that is taken on.
    pub(crate) longest: u64,
    /// The same as the engine was told, where it was.
    pub(crate) configured_longest: Option<u32>,
}

impl Limits {
    pub(crate) fn of(variant: &VariantSpec) -> Self {
        let engine = &variant.engine;
        let max_batched_tokens = u64::from(engine.max_batched_tokens.max(1));
        let block_size = engine.block_size.max(1);
        let blocks = (variant.kv_capacity_tokens / u64::from(block_size)).max(1);
        // The last token is never held. A prompt that is not split has to fit in one iteration,
        // and so has the same prompt with its answer when it is recomputed.
        let held = blocks * u64::from(block_size) + 1;
        let configured = engine.max_model_length.map_or(u64::MAX, u64::from);
        let whole = if engine.chunked_prefill {
            u64::MAX
        } else {
            max_batched_tokens
        };
        Self {
            iteration: variant.iteration,
            max_sequences: u64::from(engine.max_sequences).clamp(1, max_batched_tokens),
            max_batched_tokens,
            chunked_prefill: engine.chunked_prefill,
            block_size,
            blocks,
            longest: held.min(configured).min(whole),
            configured_longest: engine.max_model_length,
        }
    }
}

/// Longest prompt plus answer that a replica of the variant takes on.
pub(crate) fn longest_request(variant: &VariantSpec) -> u64 {
    Limits::of(variant).longest
}

/// Something that the end of a stride brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    FirstToken {
        request: u32,
    },
    Finished {
        request: u32,
    },
    /// A prompt is computed and its KV cache ready to go; the blocks stay until
    /// [`Engine::release`].
    PromptDone {
        request: u32,
        slot: u32,
    },
}

/// Counters as vLLM exports them, from the engine's start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counters {
    pub(crate) finished: u64,
    /// Tokens of the finished requests.
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
    /// From arrival at this engine to the first token.
    pub(crate) ttft_seconds: f64,
    pub(crate) ttft_count: u64,
    /// Between successive tokens of one request.
    pub(crate) itl_seconds: f64,
    pub(crate) itl_count: u64,
    /// Prompt tokens looked up in the prefix cache, and those found.
    pub(crate) prefix_queries: u64,
    pub(crate) prefix_hits: u64,
    pub(crate) preemptions: u64,
}

/// Gauges and counters at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading {
    pub(crate) kv_usage: f64,
    pub(crate) waiting: u64,
    pub(crate) running: u64,
    pub(crate) counters: Counters,
}

/// What a load balancer weighs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outlook {
    pub(crate) waiting: u64,
    pub(crate) running: u64,
    /// Share of the KV blocks in use.
    pub(crate) kv_usage: f64,
    /// KV tokens of the sequences in the batch.
    pub(crate) held_tokens: f64,
    /// Prompt tokens to compute before a prompt that came now.
    pub(crate) backlog_tokens: u64,
}

/// A prompt that did not fit in one iteration's budget.
#[derive(Clone, Copy, Debug)]
struct Partial {
    slot: u32,
    left: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Engine<'a> {
    limits: Limits,
    blocks: Blocks,
    prefix: PrefixCache,
    waiting: VecDeque<Waiting<'a>>,
    sequences: Sequences<'a>,
    /// The latest sequence, while its prompt takes several iterations.
    partial: Option<Partial>,
    /// Slots of the prompts that the stride under way finishes.
    completing: Vec<u32>,
    /// Sequences that answer.
    answering: u64,
    /// KV tokens of sequences in the batch, at the start of the stride.
    held: u64,
    /// Prompt tokens that the stride under way computes.
    computing: u64,
    /// Tokens to compute of all that waits and of the partial prompt.
    backlog: u64,
    /// Iterations ended before the stride under way.
    iteration: u64,
    stride: Option<Stride>,
    next_order: u64,
    counters: Counters,
    /// Kept where somebody reads them; a run does without.
    distributions: Option<Box<Distributions>>,
}

impl<'a> Engine<'a> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            blocks: Blocks::new(limits.blocks, limits.block_size),
            prefix: PrefixCache::default(),
            waiting: VecDeque::new(),
            sequences: Sequences::default(),
            partial: None,
            completing: Vec::new(),
            answering: 0,
            held: 0,
            computing: 0,
            backlog: 0,
            iteration: 0,
            stride: None,
            next_order: 0,
            counters: Counters::default(),
            distributions: None,
        }
    }

    /// When the stride under way ends; `None` while the engine is idle.
    pub(crate) fn next_boundary(&self) -> Option<f64> {
        self.stride.map(|stride| stride.end())
    }

    /// Takes on a request. True where that changed [`Self::next_boundary`].
    pub(crate) fn enqueue(&mut self, now: f64, job: Job<'a>) -> bool {
        let prefix = job.prefix(self.limits.block_size);
        let entry = Waiting {
            job,
            prefix,
            since: now,
            produced: 0,
            last_token: None,
        };
        self.backlog += entry.backlog();
        self.waiting.push_back(entry);
        let has_place = self.running() < self.limits.max_sequences;
        let Some(stride) = &mut self.stride else {
            self.schedule(now);
            return self.stride.is_some();
        };
        // Whoever waits already was refused a place, and will be until a sequence ends.
        if self.waiting.len() > 1 || !has_place {
            return false;
        }
        let iterations = stride.until_boundary_after(now);
        let changed = iterations < stride.iterations;
        stride.iterations = iterations;
        changed
    }

    /// Ends the stride under way and plans the next one.
    pub(crate) fn step(&mut self, outputs: &mut Vec<Output>) {
        let Some(stride) = self.stride.take() else {
            return;
        };
        let end = stride.end();
        self.blocks
            .take(self.blocks.needed(self.iteration, stride.iterations));
        self.evict(self.blocks.free());
        self.iteration += stride.iterations;
        self.held += self.answering * stride.iterations + self.computing;
        self.computing = 0;
        self.counters.itl_seconds += self.answering as f64 * (end - stride.start);
        self.counters.itl_count += self.answering * stride.iterations;
        let answering = self.answering;
        self.observe(|of| of.iterations(&stride, stride.iterations, answering));
        self.end_answers(end, outputs);
        self.end_prompts(end, outputs);
        self.schedule(end);
    }

    /// Frees the blocks of a prompt that has gone elsewhere. True where the engine, idle for want
    /// of blocks, now has a boundary.
    pub(crate) fn release(&mut self, now: f64, slot: u32) -> bool {
        let Some(sequence) = self.sequences.remove(slot) else {
            return false;
        };
        self.free_blocks(&sequence);
        if self.stride.is_none() {
            self.schedule(now);
            return self.stride.is_some();
        }
        false
    }

    /// Every request that is here, in order of arrival in the pool; the engine is gone after that.
    pub(crate) fn requests(&self) -> Vec<u32> {
        let waiting = self.waiting.iter().map(|entry| entry.job.request);
        let taken = self
            .sequences
            .iter()
            .map(|sequence| sequence.entry.job.request);
        let mut requests: Vec<u32> = waiting.chain(taken).collect();
        requests.sort_unstable();
        requests
    }

    /// No request is here, not even one whose KV cache is on its way to another replica.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.sequences.iter().next().is_none()
    }

    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.len() as u64
    }

    pub(crate) fn running(&self) -> u64 {
        self.answering + self.completing.len() as u64 + u64::from(self.partial.is_some())
    }

    /// What a scrape at `now` reads: as of the last iteration that has ended.
    pub(crate) fn reading(&self, now: f64) -> Reading {
        let mut counters = self.counters;
        let mut used = self.blocks.total() - self.blocks.free();
        if let Some(stride) = &self.stride {
            let ended = stride.ended_by(now);
            used += self.blocks.needed(self.iteration, ended);
            counters.itl_seconds += self.answering as f64 * (stride.boundary(ended) - stride.start);
            counters.itl_count += self.answering * ended;
        }
        Reading {
            kv_usage: used as f64 / self.blocks.total() as f64,
            waiting: self.waiting.len() as u64,
            running: self.running(),
            counters,
        }
    }

    /// The load at `now`, close enough to weigh replicas by: growth within a stride is linear.
    pub(crate) fn outlook(&self, now: f64) -> Outlook {
        let grown = self.stride.map_or(0.0, |stride| {
            self.answering as f64 * (now - stride.start).max(0.0) / stride.first
        });
        let capacity = self.blocks.total() as f64;
        let used = (self.blocks.total() - self.blocks.free()) as f64;
        Outlook {
            waiting: self.waiting.len() as u64,
            running: self.running(),
            kv_usage: (used + grown / f64::from(self.limits.block_size)) / capacity,
            held_tokens: self.held as f64 + grown,
            backlog_tokens: self.backlog,
        }
    }

    /// Prompt tokens of a job that need not be computed here.
    pub(crate) fn cached_tokens(&self, job: &Job<'_>) -> u64 {
        if job.part == Part::Answer {
            return job.input();
        }
        let prefix = job.prefix(self.limits.block_size);
        self.prefix.leading(prefix) * prefix::PREFIX_BLOCK_TOKENS
    }

    fn end_answers(&mut self, end: f64, outputs: &mut Vec<Output>) {
        while let Some(sequence) = self.sequences.take_ended(self.iteration) {
            self.blocks
                .stop_growing(sequence.own(self.iteration), self.iteration);
            self.answering -= 1;
            self.held -= sequence.held(self.iteration);
            self.free_blocks(&sequence);
            self.count_finished(end, &sequence, outputs);
        }
    }

    fn end_prompts(&mut self, end: f64, outputs: &mut Vec<Output>) {
        let mut completing = std::mem::take(&mut self.completing);
        for slot in completing.drain(..) {
            self.end_prompt(end, slot, outputs);
        }
        self.completing = completing;
    }

    /// The end of an iteration that finished a prompt gives its first token, or, after a
    /// preemption, the next one.
    fn end_prompt(&mut self, end: f64, slot: u32, outputs: &mut Vec<Output>) {
        let Some(sequence) = self.sequences.get(slot).copied() else {
            return;
        };
        let entry = sequence.entry;
        let request = entry.job.request;
        if let Some(last_token) = entry.last_token {
            self.counters.itl_seconds += end - last_token;
            self.counters.itl_count += 1;
            self.observe(|of| of.itl.observe(end - last_token));
        } else {
            self.counters.ttft_seconds += end - entry.since;
            self.counters.ttft_count += 1;
            self.observe(|of| of.ttft.observe(end - entry.since));
            if entry.job.part != Part::Prompt {
                outputs.push(Output::FirstToken { request });
            }
        }
        let left = entry.job.output().saturating_sub(entry.produced + 1);
        if entry.job.part == Part::Prompt {
            self.held -= entry.known();
            self.count_tokens(end, &sequence);
            outputs.push(Output::PromptDone { request, slot });
        } else if left == 0 {
            self.sequences.remove(slot);
            self.held -= entry.known();
            self.free_blocks(&sequence);
            self.count_finished(end, &sequence, outputs);
        } else {
            self.answering += 1;
            self.blocks
                .start_growing(sequence.own(self.iteration), self.iteration);
            self.sequences
                .start_answer(slot, self.iteration, self.iteration + left);
        }
    }

    fn count_finished(&mut self, end: f64, sequence: &Sequence<'_>, outputs: &mut Vec<Output>) {
        self.count_tokens(end, sequence);
        outputs.push(Output::Finished {
            request: sequence.entry.job.request,
        });
    }

    fn count_tokens(&mut self, end: f64, sequence: &Sequence<'_>) {
        let (input, output) = (sequence.entry.job.input(), sequence.entry.job.output());
        self.counters.finished += 1;
        self.counters.input_tokens += input;
        self.counters.output_tokens += output;
        self.observe(|of| of.request(end - sequence.entry.since, input, output));
    }

    fn free_blocks(&mut self, sequence: &Sequence<'_>) {
        let own = self.blocks.holding(sequence.own(self.iteration));
        let shared = self.prefix.leave_blocks(sequence.entry.prefix);
        self.blocks.give_back(own + shared * self.prefix_block());
    }

    /// Blocks of the KV cache in one prefix block.
    fn prefix_block(&self) -> u64 {
        self.blocks.holding(prefix::PREFIX_BLOCK_TOKENS)
    }
}
