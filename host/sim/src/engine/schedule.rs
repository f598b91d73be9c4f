//! What the next iterations compute: who gives way, who is admitted, and until when nothing changes.

use super::prefix::PREFIX_BLOCK_TOKENS;
use super::sequence::{Sequence, Waiting};
use super::{Engine, Part, Partial, Stride};

impl Engine<'_> {
    /// Plans the stride that starts at `now`.
    pub(super) fn schedule(&mut self, now: f64) {
        let preempted = self.make_room(now);
        let mut budget = self
            .limits
            .max_batched_tokens
            .saturating_sub(self.answering);
        self.continue_partial(&mut budget);
        // As vLLM: in the iteration that preempts, nobody is admitted.
        while !preempted && budget > 0 && self.partial.is_none() && self.admit(now, &mut budget) {}
        if self.answering == 0 && self.computing == 0 {
            self.stride = None;
            return;
        }
        let iterations = if preempted || self.computing > 0 {
            1
        } else {
            self.until_change()
        };
        self.stride = Some(self.stride_from(now, iterations));
    }

    fn stride_from(&self, start: f64, iterations: u64) -> Stride {
        let time = self.limits.iteration;
        let computed = self.answering + self.computing;
        Stride {
            start,
            first: time.base_seconds
                + time.per_token_seconds * computed as f64
                + time.per_kv_token_seconds * (self.held + computed) as f64,
            growth: time.per_kv_token_seconds * self.answering as f64,
            iterations,
        }
    }

    /// Iterations until an answer ends or blocks run out; at least the one that has its blocks.
    fn until_change(&mut self) -> u64 {
        let ending = self.sequences.next_ending().unwrap_or(self.iteration + 1);
        let wanted = ending.saturating_sub(self.iteration).max(1);
        self.blocks.that_fit(self.iteration, wanted).max(1)
    }

    /// Preempts the latest sequences until the next iteration has the blocks that it needs.
    fn make_room(&mut self, now: f64) -> bool {
        let mut preempted = false;
        while self.blocks.needed_after(self.iteration) > self.blocks.free() {
            let Some(slot) = self.latest() else { break };
            self.preempt(now, slot);
            preempted = true;
        }
        self.evict(self.unclaimed());
        preempted
    }

    /// The sequence admitted last: a partial prompt is always later than all that answer.
    fn latest(&self) -> Option<u32> {
        self.partial
            .map(|partial| partial.slot)
            .or_else(|| self.sequences.latest_answering())
    }

    /// Its tokens are recomputed later: it goes to the head of those who wait.
    fn preempt(&mut self, now: f64, slot: u32) {
        let Some(sequence) = self.sequences.remove(slot) else {
            return;
        };
        let mut entry = sequence.entry;
        if let Some(partial) = self.partial.take() {
            self.held -= entry.known() - partial.left;
            self.backlog -= partial.left;
        } else {
            self.answering -= 1;
            self.held -= sequence.held(self.iteration);
            self.blocks
                .stop_growing(sequence.own(self.iteration), self.iteration);
            entry.produced = sequence.produced(self.iteration);
            entry.last_token = Some(now);
        }
        self.free_blocks(&sequence);
        self.backlog += entry.backlog();
        self.waiting.push_front(entry);
        self.counters.preemptions += 1;
    }

    fn continue_partial(&mut self, budget: &mut u64) {
        let Some(Partial { slot, left }) = self.partial.take() else {
            return;
        };
        self.compute_prompt(slot, left, budget);
    }

    /// Computes of a prompt what the budget allows.
    fn compute_prompt(&mut self, slot: u32, left: u64, budget: &mut u64) {
        let computed = left.min(*budget);
        *budget -= computed;
        self.computing += computed;
        self.backlog -= computed;
        if computed == left {
            self.completing.push(slot);
        } else {
            self.partial = Some(Partial {
                slot,
                left: left - computed,
            });
        }
    }

    /// Admits whoever waits longest, if there is a place, the blocks for all of its prompt, and
    /// budget for its prompt or, where prompts are split, for a part.
    fn admit(&mut self, now: f64, budget: &mut u64) -> bool {
        let Some(entry) = self.waiting.front().copied() else {
            return false;
        };
        if self.running() >= self.limits.max_sequences {
            return false;
        }
        let cached = self.cached(&entry);
        let left = entry.known() - cached;
        let free = self.unclaimed();
        if (left > *budget && !self.limits.chunked_prefill) || self.room_for(&entry) > free {
            return false;
        }
        self.waiting.pop_front();
        self.backlog -= entry.backlog() - left;
        self.count_lookup(&entry, cached);
        self.observe(|of| of.admitted(now, &entry));
        self.take_blocks(&entry);
        self.held += cached;
        let slot = self.sequences.insert(Sequence {
            entry,
            order: self.next_order,
            prompt_done: None,
        });
        self.next_order += 1;
        self.compute_prompt(slot, left, budget);
        true
    }

    /// Tokens that need not be computed. One always is, since its logits give the next token.
    fn cached(&self, entry: &Waiting<'_>) -> u64 {
        let found = self.prefix.leading(entry.prefix) * PREFIX_BLOCK_TOKENS;
        found.max(entry.delivered()).min(entry.known() - 1)
    }

    fn count_lookup(&mut self, entry: &Waiting<'_>, cached: u64) {
        if entry.produced == 0 && entry.job.part != Part::Answer {
            self.counters.prefix_queries += entry.known();
            self.counters.prefix_hits += cached;
        }
    }

    /// The most blocks that admission takes.
    fn room_for(&self, entry: &Waiting<'_>) -> u64 {
        let shared = self.prefix.unused(entry.prefix) * self.prefix_block();
        self.blocks.holding(entry.known() - entry.shared()) + shared
    }

    fn take_blocks(&mut self, entry: &Waiting<'_>) {
        let shared = self.prefix.use_blocks(entry.prefix) * self.prefix_block();
        self.blocks
            .take(self.blocks.holding(entry.known() - entry.shared()) + shared);
        self.evict(self.unclaimed());
    }

    /// Free blocks beyond those of the next iteration: sequences that answer have theirs before
    /// anybody else.
    fn unclaimed(&self) -> u64 {
        let claimed = self.blocks.needed_after(self.iteration);
        self.blocks.free().saturating_sub(claimed)
    }

    /// Cached blocks without a user lie in free blocks, and go as these do.
    pub(super) fn evict(&mut self, free: u64) {
        if self.prefix.has_idle() {
            self.prefix.keep_idle(free / self.prefix_block());
        }
    }
}
