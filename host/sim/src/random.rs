//! Streams of random numbers, one for each purpose: what one draws leaves the others alone, so two
//! controllers on the same arrivals see the same n-th start of a variant.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

/// What a stream is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// Start-up times of a variant, by its positions.
    StartUp { pool: usize, variant: usize },
    /// Phases of the scrapes of a variant's replicas.
    Scrapes { pool: usize, variant: usize },
    /// Phase of the scrapes of a pool's router.
    RouterScrapes { pool: usize },
    /// Phase of the HPA's looks.
    Actuation,
}

/// The stream of a run for one purpose.
pub(crate) fn stream(seed: u64, purpose: Purpose) -> ChaCha8Rng {
    let number = match purpose {
        Purpose::StartUp { pool, variant } => number(1, pool, variant),
        Purpose::Scrapes { pool, variant } => number(2, pool, variant),
        Purpose::RouterScrapes { pool } => number(3, pool, 0),
        Purpose::Actuation => number(4, 0, 0),
    };
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(number);
    generator
}

const fn number(kind: u64, pool: usize, variant: usize) -> u64 {
    (kind << 56) | ((pool as u64 & 0xfff_ffff) << 28) | (variant as u64 & 0xfff_ffff)
}
