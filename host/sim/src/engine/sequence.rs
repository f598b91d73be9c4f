//! Requests as an engine has them: waiting, in the batch, or handing over.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::prefix::PREFIX_BLOCK_TOKENS;
use crate::spec::Arrival;

/// Which part of a request a replica does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    /// Computes the prompt; its KV cache then goes to another replica.
    Prompt,
    /// The prompt's KV cache comes with the request.
    Answer,
}

/// A request for one replica.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    /// Position in the pool's arrivals.
    pub(crate) request: u32,
    pub(crate) arrival: &'a Arrival,
    pub(crate) part: Part,
}

impl<'a> Job<'a> {
    /// Prompt tokens; an empty prompt still has its start token.
    pub(crate) fn input(&self) -> u64 {
        u64::from(self.arrival.input_tokens.max(1))
    }

    /// Tokens to answer here, at least the one that ends the answer.
    pub(crate) fn output(&self) -> u64 {
        match self.part {
            Part::Prompt => 1,
            Part::Whole | Part::Answer => u64::from(self.arrival.output_tokens.max(1)),
        }
    }

    /// Prefix blocks that the prompt fills: a partial one cannot be shared, and blocks of another
    /// size than the cache's own would straddle them.
    pub(crate) fn prefix(&self, block_size: u32) -> &'a [u32] {
        if !PREFIX_BLOCK_TOKENS.is_multiple_of(u64::from(block_size)) {
            return &[];
        }
        let full = (self.input() / PREFIX_BLOCK_TOKENS) as usize;
        let blocks = &self.arrival.prefix_blocks;
        blocks.get(..full).unwrap_or(blocks)
    }
}

/// A request that waits for a place in the batch, for the first time or again after a preemption.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting<'a> {
    pub(crate) job: Job<'a>,
    /// Prompt blocks that it may share.
    pub(crate) prefix: &'a [u32],
    /// When it came to this replica, in seconds.
    pub(crate) since: f64,
    /// Tokens answered before it was preempted.
    pub(crate) produced: u64,
    /// When the last of them came.
    pub(crate) last_token: Option<f64>,
}

impl Waiting<'_> {
    /// Tokens whose KV it needs before it can answer the next.
    pub(crate) fn known(&self) -> u64 {
        self.job.input() + self.produced
    }

    /// Tokens that come computed: the engine still computes the last one, to have its logits.
    pub(crate) fn delivered(&self) -> u64 {
        if self.job.part == Part::Answer && self.produced == 0 {
            self.known() - 1
        } else {
            0
        }
    }

    /// Tokens of it that shared prefix blocks hold.
    pub(crate) fn shared(&self) -> u64 {
        self.prefix.len() as u64 * PREFIX_BLOCK_TOKENS
    }

    /// Tokens to compute before its next token, whatever a prefix cache may hold.
    pub(crate) fn backlog(&self) -> u64 {
        self.known() - self.delivered()
    }
}

/// A request with a place in the batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequence<'a> {
    pub(crate) entry: Waiting<'a>,
    /// Place in the order of admission.
    pub(crate) order: u64,
    /// Iteration that finished its prompt; `None` before.
    pub(crate) prompt_done: Option<u64>,
}

impl Sequence<'_> {
    /// Tokens answered after `iteration`.
    pub(crate) fn produced(&self, iteration: u64) -> u64 {
        self.entry.produced + self.prompt_done.map_or(0, |done| iteration - done + 1)
    }

    /// Tokens whose KV it holds after `iteration`, once its prompt is done. Blocks are reserved
    /// for the whole prompt before.
    pub(crate) fn held(&self, iteration: u64) -> u64 {
        self.entry.known() + self.prompt_done.map_or(0, |done| iteration - done)
    }

    /// Those of them in blocks of its own.
    pub(crate) fn own(&self, iteration: u64) -> u64 {
        self.held(iteration) - self.entry.shared()
    }
}

/// Sequences by slot, and the order in which those that answer will end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequences<'a> {
    slots: Vec<Option<Sequence<'a>>>,
    vacant: Vec<u32>,
    /// Last iteration, order of admission and slot; entries of preempted sequences stay until
    /// they surface.
    endings: BinaryHeap<Reverse<(u64, u64, u32)>>,
}

impl<'a> Sequences<'a> {
    pub(crate) fn insert(&mut self, sequence: Sequence<'a>) -> u32 {
        if let Some(slot) = self.vacant.pop() {
            if let Some(place) = self.slots.get_mut(slot as usize) {
                *place = Some(sequence);
            }
            return slot;
        }
        self.slots.push(Some(sequence));
        (self.slots.len() - 1) as u32
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Sequence<'a>> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<Sequence<'a>> {
        let sequence = self.slots.get_mut(slot as usize)?.take()?;
        self.vacant.push(slot);
        Some(sequence)
    }

    /// The sequence answers from `iteration` on, which finished its prompt, until `last`.
    pub(crate) fn start_answer(&mut self, slot: u32, iteration: u64, last: u64) {
        let Some(Some(sequence)) = self.slots.get_mut(slot as usize) else {
            return;
        };
        sequence.prompt_done = Some(iteration);
        self.endings.push(Reverse((last, sequence.order, slot)));
    }

    /// The iteration in which the next answer ends.
    pub(crate) fn next_ending(&mut self) -> Option<u64> {
        while let Some(Reverse((iteration, order, slot))) = self.endings.peek().copied() {
            if self
                .get(slot)
                .is_some_and(|sequence| sequence.order == order)
            {
                return Some(iteration);
            }
            self.endings.pop();
        }
        None
    }

    /// Takes out a sequence whose answer ends in `iteration`.
    pub(crate) fn take_ended(&mut self, iteration: u64) -> Option<Sequence<'a>> {
        if self.next_ending()? != iteration {
            return None;
        }
        let Reverse((_, _, slot)) = self.endings.pop()?;
        self.remove(slot)
    }

    /// The slot that was admitted last among those that answer.
    pub(crate) fn latest_answering(&self) -> Option<u32> {
        let answering = self
            .slots
            .iter()
            .enumerate()
            .filter_map(|(slot, sequence)| {
                let sequence = sequence
                    .as_ref()
                    .filter(|sequence| sequence.prompt_done.is_some())?;
                Some((sequence.order, slot as u32))
            });
        answering.max().map(|(_, slot)| slot)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Sequence<'a>> {
        self.slots.iter().flatten()
    }
}
