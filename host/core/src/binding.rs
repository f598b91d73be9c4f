//! All that is bound to a pool, and the tick in which it decides.

use crate::decision::{Condition, PoolDecision};
use crate::experiment::{Arm, Experiment};
use crate::memory::Memory;
use crate::policies::PoolPolicies;
use crate::shadow::Shadow;
use crate::snapshot::{PoolSnapshot, Snapshot};
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
    /// `None` while they cannot be had: then the pool's own decide, and the time counts for nothing.
    pub candidate: Option<PoolPolicies>,
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
            let arm = binding.turn(snapshot, seen, memory);
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
    /// Whose turn it is; `None` where nothing is tried.
    fn turn(&self, snapshot: &Snapshot, seen: &PoolSnapshot, memory: &mut Memory) -> Option<Arm> {
        let record = &mut memory.pool_mut(seen).experiment;
        let Some(trial) = &self.trial else {
            *record = None;
            return None;
        };
        let record = record.get_or_insert_default();
        trial.candidate.as_ref()?;
        let (now_ms, period) = (snapshot.now_ms, snapshot.period_seconds);
        record.tick(&trial.rules, seen, now_ms, period)
    }

    /// Who decides in an arm; without one, or once the experiment is over, the pool's own.
    pub(crate) fn of_arm(&self, arm: Option<Arm>) -> &PoolPolicies {
        let trial = self.trial.as_ref().filter(|_| arm == Some(Arm::Candidate));
        let candidate = trial.and_then(|trial| trial.candidate.as_ref());
        candidate.unwrap_or(&self.policies)
    }
}
