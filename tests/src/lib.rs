//! What the tests that cross crates share.

#![allow(
    clippy::indexing_slicing,
    reason = "test support: a bad index should fail the test"
)]

pub mod fleet;
pub mod native;
