//! The policy through its public face: situations, published vectors, and what holds for any input.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail loudly, and so may what tests share"
)]

mod fleet;
mod nonsense;
mod planning;
mod properties;
mod scarcity;
mod situations;
mod vectors;
