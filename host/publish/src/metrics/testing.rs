//! Decisions to tell of.

use std::sync::Arc;

use trimtab_contract::Role;
use trimtab_core::decision::{Call, Planned, PoolDecision, VariantDecision};
use trimtab_core::snapshot::Mode;

use super::Published;
use crate::desired::Desired;

/// Of a process that leads, at the beginning of time.
pub(crate) fn leading() -> Arc<Desired> {
    let desired = Desired::new(45_000, || 0);
    desired.lead(Some(u64::MAX));
    Arc::new(desired)
}

pub(crate) fn variant(name: &str, current: u32, previous: u32, desired: u32) -> VariantDecision {
    VariantDecision {
        variant: name.to_owned(),
        accelerator: "H100".to_owned(),
        role: Role::Both,
        current,
        previous,
        proposed: Some(desired),
        desired,
        published: true,
        reason: "as planned".to_owned(),
        steps: Vec::new(),
    }
}

pub(crate) fn silence() -> Call {
    Call::default()
}

pub(crate) fn pool(name: &str, variants: Vec<VariantDecision>) -> PoolDecision {
    PoolDecision {
        now_ms: 1_000,
        namespace: "prod".to_owned(),
        pool: name.to_owned(),
        mode: Mode::Enforce,
        arm: None,
        analyses: Vec::new(),
        plan: Planned {
            call: silence(),
            notes: Vec::new(),
        },
        variants,
        conditions: Vec::new(),
    }
}

pub(crate) fn cycle(decisions: Vec<PoolDecision>) -> Published {
    Published {
        now_ms: 1_500,
        leader: true,
        decisions,
        ..Published::default()
    }
}
