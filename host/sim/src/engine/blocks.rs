//! Blocks of a replica's KV cache: how many are free, and when the running sequences fill theirs.

/// Free blocks, and the running sequences by the iterations in which they need another one.
///
/// A sequence computes one token an iteration, so it needs a block every `size` iterations: its
/// class is the iteration, modulo `size`, after which its blocks are full.
#[derive(Clone, Debug)]
pub(crate) struct Blocks {
    size: u64,
    total: u64,
    free: u64,
    /// Sequences in each class.
    classes: Vec<u64>,
    /// Sequences in all classes.
    growing: u64,
}

impl Blocks {
    pub(crate) fn new(total: u64, size: u32) -> Self {
        let size = u64::from(size.max(1));
        Self {
            size,
            total,
            free: total,
            classes: vec![0; size as usize],
            growing: 0,
        }
    }

    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    pub(crate) const fn free(&self) -> u64 {
        self.free
    }

    /// Blocks that hold this many tokens.
    pub(crate) const fn holding(&self, tokens: u64) -> u64 {
        tokens.div_ceil(self.size)
    }

    /// Takes blocks that the caller has seen to be free.
    pub(crate) const fn take(&mut self, blocks: u64) {
        debug_assert!(
            blocks <= self.free,
            "blocks are taken only where they are free"
        );
        self.free = self.free.saturating_sub(blocks);
    }

    pub(crate) const fn give_back(&mut self, blocks: u64) {
        self.free += blocks;
        debug_assert!(self.free <= self.total, "no block is given back twice");
    }

    /// A sequence that holds `tokens` after `iteration` computes one more in each that follows.
    pub(crate) fn start_growing(&mut self, tokens: u64, iteration: u64) {
        let class = self.class(tokens, iteration);
        if let Some(count) = self.classes.get_mut(class) {
            *count += 1;
            self.growing += 1;
        }
    }

    /// The same sequence, at any later iteration, stops.
    pub(crate) fn stop_growing(&mut self, tokens: u64, iteration: u64) {
        let class = self.class(tokens, iteration);
        if let Some(count) = self.classes.get_mut(class) {
            *count = count.saturating_sub(1);
            self.growing = self.growing.saturating_sub(1);
        }
    }

    /// Blocks that the iteration after `iteration` takes.
    pub(crate) fn needed_after(&self, iteration: u64) -> u64 {
        self.classes
            .get((iteration % self.size) as usize)
            .copied()
            .unwrap_or(0)
    }

    /// Blocks that `count` iterations after `iteration` take.
    pub(crate) fn needed(&self, iteration: u64, count: u64) -> u64 {
        let cycles = count / self.size * self.growing;
        cycles
            + (0..count % self.size)
                .map(|step| self.needed_after(iteration + step))
                .sum::<u64>()
    }

    /// Of `wanted` iterations after `iteration`, how many find their blocks free.
    pub(crate) fn that_fit(&self, iteration: u64, wanted: u64) -> u64 {
        if self.growing == 0 || self.growing * wanted.div_ceil(self.size) <= self.free {
            return wanted;
        }
        let cycles = self.free / self.growing;
        let mut left = self.free - cycles * self.growing;
        let mut fit = cycles * self.size;
        while fit < wanted {
            let next = self.needed_after(iteration + fit);
            if next > left {
                break;
            }
            left -= next;
            fit += 1;
        }
        fit.min(wanted)
    }

    const fn class(&self, tokens: u64, iteration: u64) -> usize {
        let behind = self.size - tokens % self.size;
        ((iteration + behind) % self.size) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_block_needs_the_next_at_once() {
        let mut blocks = Blocks::new(10, 4);
        blocks.start_growing(8, 3);
        assert_eq!(blocks.needed_after(3), 1);
        assert_eq!(blocks.needed_after(4), 0);
        assert_eq!(blocks.needed(3, 5), 2);
    }

    #[test]
    fn a_sequence_stops_in_the_class_in_which_it_started() {
        let mut blocks = Blocks::new(10, 4);
        blocks.start_growing(6, 3);
        blocks.stop_growing(6 + 7, 3 + 7);
        assert_eq!(blocks.needed(0, 100), 0);
    }

    proptest! {
        #[test]
        fn needs_agree_with_counting_each_sequence(
            sequences in prop::collection::vec((1_u64..100, 0_u64..50), 1..8),
            size in 1_u32..20, count in 0_u64..70, total in 0_u64..60,
        ) {
            let mut blocks = Blocks::new(total, size);
            for (tokens, iteration) in &sequences {
                blocks.start_growing(*tokens, *iteration);
            }
            let needed = |count: u64| -> u64 {
                sequences
                    .iter()
                    .map(|(tokens, iteration)| {
                        let now = tokens + 50 - iteration;
                        (now + count).div_ceil(u64::from(size)) - now.div_ceil(u64::from(size))
                    })
                    .sum()
            };
            prop_assert_eq!(blocks.needed(50, count), needed(count));
            let fit = blocks.that_fit(50, count);
            prop_assert!(needed(fit) <= total);
            prop_assert!(fit == count || needed(fit + 1) > total);
        }
    }
}
