//! All that is bound to a pool, and the tick in which it decides.

use crate::decision::{Condition, PoolDecision};
use crate::experiment::{Arm, Experiment};
use crate::memory::Memory;
use crate::policies::PoolPolicies;
use crate::shadow::Shadow;
use crate::snapshot::Snapshot;
use crate::tick::tick;

/// What a pool is decided with, tried on, and told about.
#[derive(Clone)]
pub struct Binding {
    pub policies: PoolPolicies,
    /// What takes turns with `policies`.
    pub trial: Option<Trial>,
    /// What is asked too, and given to nobody.
    pub shadows: Vec<Shadow>,
    /// What an operator should know of all this, e.g. of a version that was rolled back. Stands in
    /// each decision.
    pub conditions: Vec<Condition>,
}

/// An experiment and the policies that it tries.
#[derive(Clone)]
pub struct Trial {
    pub rules: Experiment,
    pub candidate: PoolPolicies,
}

impl From<PoolPolicies> for Binding {
    fn from(policies: PoolPolicies) -> Self {
        Self {
            policies,
            trial: None,
            shadows: Vec::new(),
            conditions: Vec::new(),
        }
    }
}

/// A [`tick`] in which experiments choose who decides. `bindings` stands beside `snapshot.pools`,
/// position by position.
#[must_use]
pub fn decide(snapshot: &Snapshot, bindings: &[Binding], memory: &mut Memory) -> Vec<PoolDecision> {
    let pools = snapshot.pools.iter().zip(bindings);
    let (arms, policies): (Vec<_>, Vec<_>) = pools
        .map(|(seen, binding)| {
            let record = &mut memory.pool_mut(seen).experiment;
            let arm = match &binding.trial {
                Some(trial) => record.get_or_insert_default().tick(
                    &trial.rules,
                    seen,
                    snapshot.now_ms,
                    snapshot.period_seconds,
                ),
                None => {
                    *record = None;
                    None
                }
            };
            (arm, binding.of_arm(arm).clone())
        })
        .unzip();
    let mut decisions = tick(snapshot, &policies, memory);
    for ((decision, arm), binding) in decisions.iter_mut().zip(arms).zip(bindings) {
        decision.arm = arm;
        decision.conditions.extend(binding.conditions.clone());
    }
    decisions
}

impl Binding {
    /// Who decides in an arm; without one, or once the experiment is over, the pool's own.
    pub(crate) fn of_arm(&self, arm: Option<Arm>) -> &PoolPolicies {
        match (&self.trial, arm) {
            (Some(trial), Some(Arm::Candidate)) => &trial.candidate,
            _ => &self.policies,
        }
    }
}
