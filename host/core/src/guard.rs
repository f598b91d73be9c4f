//! What no policy can do. Each rule is a function over a draft that changes counts and says why.

use trimtab_contract::{Role, Stage, Variant};

use crate::decision::{Condition, GuardStep, Rule, VariantDecision};
use crate::memory::Memory;
use crate::snapshot::{PoolSnapshot, Snapshot};

pub(crate) mod behavior;
mod bounds;
mod ceiling;
mod evidence;
mod mode;
pub(crate) mod shape;
mod supply;

/// Decisions of one pool while the guard works on them.
pub(crate) struct PoolDraft<'a> {
    pub(crate) seen: &'a PoolSnapshot,
    /// Of all its analyzers, side by side.
    pub(crate) stages: Vec<&'a Stage>,
    /// Why the answers themselves allow no fewer replicas; `None` where they do.
    pub(crate) no_lowering: Option<String>,
    pub(crate) variants: Vec<VariantDraft<'a>>,
    pub(crate) conditions: Vec<Condition>,
}

/// The count of one variant while the guard works on it.
pub(crate) struct VariantDraft<'a> {
    pub(crate) variant: &'a Variant,
    /// Least that bounds and the last-replica rule allow: this much runs whatever it costs.
    pub(crate) floor: u32,
    pub(crate) decision: VariantDecision,
}

impl PoolDraft<'_> {
    /// Variants of one role.
    fn of_role(&self, role: Role) -> impl Iterator<Item = &VariantDraft<'_>> {
        self.variants
            .iter()
            .filter(move |draft| draft.variant.role == role)
    }

    fn condition(&mut self, reason: &str, message: impl Into<String>) {
        self.conditions.push(Condition::new(reason, message));
    }

    /// What the guard left.
    pub(crate) fn settled(self) -> (Vec<VariantDecision>, Vec<Condition>) {
        (
            self.variants
                .into_iter()
                .map(|draft| draft.decision)
                .collect(),
            self.conditions,
        )
    }
}

impl VariantDraft<'_> {
    pub(crate) fn previous(&self) -> u32 {
        self.decision.previous
    }

    pub(crate) fn desired(&self) -> u32 {
        self.decision.desired
    }

    /// Largest count that the bounds allow; where they contradict, the minimum wins.
    pub(crate) fn upper(&self) -> u32 {
        self.variant.max_replicas.max(self.variant.min_replicas)
    }

    /// Changes the count and notes why; nothing is noted where nothing changes.
    pub(crate) fn set(&mut self, rule: Rule, after: u32, why: impl Into<String>) {
        let before = self.decision.desired;
        if before != after {
            self.decision.desired = after;
            self.decision.steps.push(GuardStep {
                rule,
                before,
                after,
                why: why.into(),
            });
        }
    }
}

/// Applies all rules in their order; `pools` are sorted by name, so that who comes first does not
/// depend on the snapshot's order.
pub(crate) fn apply<'a>(snapshot: &'a Snapshot, pools: &mut [PoolDraft<'a>], memory: &mut Memory) {
    for pool in pools.iter_mut() {
        evidence::apply(pool);
        bounds::apply(pool);
        bounds::keep_last_replica(pool);
        let seen = pool.seen;
        behavior::apply(pool, memory.pool_mut(seen), snapshot.now_ms);
    }
    supply::apply(snapshot, pools);
    for pool in pools.iter_mut() {
        ceiling::apply(pool);
        mode::apply(pool);
    }
}
