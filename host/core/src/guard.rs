//! What no policy can do. Each rule is a function over a draft that changes counts and says why.

use crate::draft::PoolDraft;
use crate::memory::Memory;
use crate::snapshot::Snapshot;

pub(crate) mod behavior;
mod bounds;
mod ceiling;
mod evidence;
mod mode;
mod router;
pub mod shape;
mod supply;

/// Applies all rules in their order; `pools` are sorted by name, so that who comes first does not
/// depend on the snapshot's order.
pub(crate) fn apply<'a>(snapshot: &'a Snapshot, pools: &mut [PoolDraft<'a>], memory: &mut Memory) {
    for pool in pools.iter_mut() {
        evidence::apply(pool);
        let seen = pool.seen;
        router::apply(pool, memory.pool_mut(seen), snapshot.now_ms);
        bounds::apply(pool);
        bounds::keep_last_replica(pool);
        behavior::apply(pool, memory.pool_mut(seen), snapshot.now_ms);
    }
    supply::apply(snapshot, pools);
    for pool in pools.iter_mut() {
        ceiling::apply(pool);
        mode::apply(pool);
    }
}
