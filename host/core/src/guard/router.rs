//! Capacity that is there and gets nothing is a matter of the router: more of it would get nothing
//! either.

use trimtab_contract::Replica;

use crate::decision::{Rule, condition};
use crate::draft::PoolDraft;
use crate::memory::PoolMemory;
use crate::snapshot::PoolSnapshot;

/// A queue that is not dispatched for so long is told of.
const STUCK_MS: u64 = 60_000;

pub(super) fn apply(pool: &mut PoolDraft<'_>, memory: &mut PoolMemory, now_ms: u64) {
    let Some(queued) = queue_beside_idle_replicas(pool.seen) else {
        memory.undispatched_since_ms = None;
        return;
    };
    let since_ms = *memory.undispatched_since_ms.get_or_insert(now_ms);
    let seconds = now_ms.saturating_sub(since_ms) / 1000;
    let why = format!("{queued:.0} requests wait at the endpoint picker, and no replica has any");
    for draft in &mut pool.variants {
        let previous = draft.previous();
        if draft.desired() > previous {
            draft.set(Rule::Router, previous, why.as_str());
        }
    }
    if now_ms.saturating_sub(since_ms) >= STUCK_MS {
        let message = format!("{why}, for {seconds} s: is the router stuck?");
        pool.condition(condition::ROUTER_STUCK, message);
    }
}

/// Requests that wait at the picker of a pool in which each role is ready, and of which every ready
/// replica is known to have nothing to do.
fn queue_beside_idle_replicas(seen: &PoolSnapshot) -> Option<f64> {
    let queued = seen
        .pool
        .workload
        .queued_requests
        .filter(|queued| *queued > 0.0)?;
    let variants = &seen.pool.variants;
    let is_ready = |role| {
        let mut of_role = variants.iter().filter(|of| of.role == role);
        of_role.any(|of| of.ready_replicas > 0)
    };
    let ready: u32 = variants.iter().map(|of| of.ready_replicas).sum();
    let is_idle = |replica: &&Replica| {
        let fresh = replica.metrics_age <= seen.rules.max_metrics_age_seconds;
        let nothing = |gauge: Option<f64>| gauge == Some(0.0);
        fresh && nothing(replica.running) && nothing(replica.waiting)
    };
    let idle = seen.replicas.iter().filter(is_idle).count();
    let all_idle = ready > 0 && seen.replicas.len() == idle && idle >= ready as usize;
    let served = variants.iter().all(|of| is_ready(of.role));
    (all_idle && served).then_some(queued)
}
