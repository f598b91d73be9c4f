//! Last rule: who only watches publishes nothing, and who is paused holds.

use crate::decision::Rule;
use crate::draft::PoolDraft;
use crate::snapshot::Mode;

pub(super) fn apply(pool: &mut PoolDraft<'_>) {
    let mode = pool.seen.rules.mode;
    for draft in &mut pool.variants {
        draft.decision.published = mode != Mode::Observe;
        if mode == Mode::Paused {
            let previous = draft.previous();
            draft.set(Rule::Paused, previous, "the pool is paused");
        }
    }
}
