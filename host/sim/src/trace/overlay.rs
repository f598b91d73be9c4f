//! A trace made longer or denser: end to end, or copies laid over one another.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::spec::Arrival;

/// `count` times the same requests, one `duration_seconds` after another.
#[must_use]
pub fn repeat(arrivals: &[Arrival], count: u32, duration_seconds: f64) -> Vec<Arrival> {
    (0..count)
        .flat_map(|round| {
            arrivals.iter().map(move |arrival| Arrival {
                at_seconds: arrival.at_seconds + f64::from(round) * duration_seconds,
                ..arrival.clone()
            })
        })
        .collect()
}

/// `factor` copies of the requests laid over one another.
///
/// The first copy stays where it is. Each other one is moved round, inside `duration_seconds`, by
/// its own offset drawn evenly from 0 to `spread_seconds`: the shape by minutes stays, and the
/// bursts of single seconds do not multiply. Of the last copy of a broken factor the fraction is
/// kept, drawn request by request: 2.5 is two copies and a half. Each copy has prefix blocks of
/// its own, so that copies do not answer one another from the prefix cache.
#[must_use]
pub fn rate_scale(
    arrivals: &[Arrival],
    factor: f64,
    spread_seconds: f64,
    seed: u64,
    duration_seconds: f64,
) -> Vec<Arrival> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let whole = factor.floor();
    let mut scaled = Vec::with_capacity((arrivals.len() as f64 * factor) as usize);
    for copy in 0..factor.ceil() as u32 {
        let drawn = rng.random::<f64>() * spread_seconds;
        let placed = Copy {
            number: copy,
            offset_seconds: if copy == 0 { 0.0 } else { drawn },
            duration_seconds,
            blocks: largest_block(arrivals).wrapping_add(1),
        };
        let kept = if f64::from(copy) < whole {
            1.0
        } else {
            factor - whole
        };
        let rng = &mut rng;
        let chosen = arrivals
            .iter()
            .filter(|_| kept >= 1.0 || rng.random::<f64>() < kept);
        scaled.extend(chosen.map(|arrival| placed.place(arrival)));
    }
    scaled.sort_by(|a, b| a.at_seconds.total_cmp(&b.at_seconds));
    scaled
}

fn largest_block(arrivals: &[Arrival]) -> u32 {
    arrivals
        .iter()
        .flat_map(|arrival| &arrival.prefix_blocks)
        .copied()
        .max()
        .unwrap_or(0)
}

/// One copy of a trace.
struct Copy {
    number: u32,
    offset_seconds: f64,
    duration_seconds: f64,
    /// Prefix blocks of one copy.
    blocks: u32,
}

impl Copy {
    fn place(&self, arrival: &Arrival) -> Arrival {
        let first_block = self.blocks.wrapping_mul(self.number);
        let blocks = arrival
            .prefix_blocks
            .iter()
            .map(|block| block.wrapping_add(first_block));
        Arrival {
            at_seconds: (arrival.at_seconds + self.offset_seconds) % self.duration_seconds,
            prefix_blocks: blocks.collect(),
            ..*arrival
        }
    }
}
