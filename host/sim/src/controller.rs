//! Who decides in a run: Trimtab's engine, or a baseline beside it.

use trimtab_core::decision::{PoolDecision, VariantDecision};
use trimtab_core::memory::Memory;
use trimtab_core::policies::PoolPolicies;
use trimtab_core::snapshot::Snapshot;
use trimtab_core::tick::tick;

/// Counts for one tick, by pool and variant in the snapshot's order.
pub struct Counts {
    pub desired: Vec<Vec<u32>>,
    /// Why, where the controller says so.
    pub decisions: Vec<PoolDecision>,
}

/// Called once a tick with what production would have measured by then.
pub trait Controller {
    fn decide(&mut self, snapshot: &Snapshot) -> Counts;
}

/// The engine itself, with any policies.
pub struct Engine {
    policies: Vec<PoolPolicies>,
    memory: Memory,
}

impl Engine {
    /// `policies` stands beside the spec's pools, position by position.
    #[must_use]
    pub fn new(policies: Vec<PoolPolicies>) -> Self {
        Self {
            policies,
            memory: Memory::default(),
        }
    }
}

impl Controller for Engine {
    fn decide(&mut self, snapshot: &Snapshot) -> Counts {
        let decisions = tick(snapshot, &self.policies, &mut self.memory);
        let desired = decisions
            .iter()
            .map(|pool| pool.variants.iter().map(asked).collect())
            .collect();
        Counts { desired, decisions }
    }
}

/// A count that is not published is shown, and changes nothing.
const fn asked(variant: &VariantDecision) -> u32 {
    if variant.published {
        variant.desired
    } else {
        variant.previous
    }
}
