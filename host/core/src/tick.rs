//! One walk along the line: analyze, optimize, guard.

use crate::decision::PoolDecision;
use crate::memory::Memory;
use crate::policies::PoolPolicies;
use crate::snapshot::Snapshot;

/// Decides for every pool of `snapshot`, in its order. `policies` stands beside `snapshot.pools`,
/// position by position.
///
/// Pure: the same arguments give the same decisions and leave the same memory, byte for byte, and
/// the order of the pools changes nothing but the order of the decisions.
#[must_use]
pub fn tick(
    _snapshot: &Snapshot,
    _policies: &[PoolPolicies],
    _memory: &mut Memory,
) -> Vec<PoolDecision> {
    Vec::new()
}
