//! Policies that are tried in shadow: asked with what the active ones are asked with, from a memory
//! of their own, and given to nobody.
//!
//! Each is asked for its pool alone, so an optimizer sees all that is free, as if the other pools
//! wanted nothing more. It begins each time from what the active policies last asked for: what it
//! says is what it would ask for next, were it put in charge now.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::binding::Binding;
use crate::decision::{PoolDecision, VariantDecision};
use crate::memory::Memory;
use crate::policies::PoolPolicies;
use crate::snapshot::{Mode, PoolSnapshot, Snapshot};
use crate::tick::tick;

/// A candidate for a pool.
#[derive(Clone)]
pub struct Shadow {
    /// Of its own among the pool's.
    pub name: String,
    pub policies: PoolPolicies,
}

/// What a shadow would ask for. Not a decision, so that it can be shown and never published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Proposal(PoolDecision);

/// What became of a shadow in a tick.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Shadowed {
    pub namespace: String,
    pub pool: String,
    pub candidate: String,
    /// `None` where there was no time left for it.
    pub proposal: Option<Proposal>,
}

/// What is remembered of a shadow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Kept {
    pub(crate) tally: Tally,
    /// What its policies left for their next call. Not kept over a restart: nothing follows from it.
    #[serde(skip)]
    memory: Option<Memory>,
}

/// How a candidate has compared with the active policies since it was first asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Tally {
    /// Milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// Ticks in which it was asked, and those in which there was no time for it.
    pub ticks: u64,
    pub skipped: u64,
    /// Ticks in which it would have asked for another count of some variant.
    pub disagreements: u64,
    /// Ticks in which one of its policies faulted.
    pub faulted: u64,
    /// Sum over ticks of what is asked for, in cost per hour: by the active policies and by it.
    pub active_cost: f64,
    pub candidate_cost: f64,
    /// By variant: what each asked for in the last tick, and the sum of differences over ticks.
    pub variants: BTreeMap<String, Compared>,
}

/// Counts of one variant, of the active policies and of a candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Compared {
    pub active: u32,
    pub candidate: u32,
    /// Candidate less active.
    pub sum_of_differences: i64,
}

impl Tally {
    /// Share of its ticks in which it would have asked for something else.
    #[must_use]
    pub fn disagreement_rate(&self) -> Option<f64> {
        (self.ticks > 0).then(|| self.disagreements as f64 / self.ticks as f64)
    }

    /// Cost per hour, as a mean over ticks: of the active policies and of the candidate.
    #[must_use]
    pub fn mean_costs(&self) -> Option<(f64, f64)> {
        let ticks = self.ticks as f64;
        (self.ticks > 0).then(|| (self.active_cost / ticks, self.candidate_cost / ticks))
    }

    fn count(&mut self, seen: &PoolSnapshot, active: &[VariantDecision], proposal: &Proposal) {
        self.ticks += 1;
        self.faulted += u64::from(proposal.has_faulted());
        let mut before = std::mem::take(&mut self.variants);
        let mut differs = false;
        let variants = seen.pool.variants.iter().zip(active);
        for ((variant, active), candidate) in variants.zip(proposal.variants()) {
            let (active, candidate) = (active.desired, candidate.desired);
            differs |= active != candidate;
            self.active_cost += f64::from(active) * variant.cost;
            self.candidate_cost += f64::from(candidate) * variant.cost;
            let compared = before.remove(&variant.name).unwrap_or_default();
            let difference = i64::from(candidate) - i64::from(active);
            let compared = Compared {
                active,
                candidate,
                sum_of_differences: compared.sum_of_differences + difference,
            };
            self.variants.insert(variant.name.clone(), compared);
        }
        self.disagreements += u64::from(differs);
    }
}

impl Proposal {
    /// One entry for each variant, in the pool's order. None of them is published.
    #[must_use]
    pub fn variants(&self) -> &[VariantDecision] {
        &self.0.variants
    }

    /// Whether a policy of it faulted, or was not called after faults.
    #[must_use]
    pub fn has_faulted(&self) -> bool {
        let analyses = self.0.analyses.iter().map(|analyzed| &analyzed.call);
        let mut calls = analyses.chain(std::iter::once(&self.0.plan.call));
        calls.any(|call| !call.faults.is_empty())
    }

    /// All that led to it.
    #[must_use]
    pub fn explanation(&self) -> impl Serialize + '_ {
        &self.0
    }
}

/// A shadow that is to be asked.
struct Turn<'a> {
    seen: &'a PoolSnapshot,
    active: &'a [VariantDecision],
    shadow: &'a Shadow,
    kept: Kept,
}

/// Asks the shadows of all pools, after `decisions` were made of the same snapshot. `bindings` and
/// `decisions` stand beside `snapshot.pools`. Where `may_go_on` says so no more, the rest is
/// skipped; who was skipped is asked first in the next tick.
pub fn shadows(
    snapshot: &Snapshot,
    bindings: &[Binding],
    decisions: &[PoolDecision],
    memory: &mut Memory,
    may_go_on: &dyn Fn() -> bool,
) -> Vec<Shadowed> {
    let mut turns = turns(snapshot, bindings, decisions, memory);
    let mut shadowed = Vec::with_capacity(turns.len());
    // It is looked at what they have cost after each round, so a round is short.
    let at_once = rayon::current_num_threads();
    let mut left = turns.as_mut_slice();
    while !left.is_empty() && may_go_on() {
        let (now, rest) = left.split_at_mut(at_once.min(left.len()));
        let known: &Memory = memory;
        let asked: Vec<_> = now
            .par_iter_mut()
            .map(|turn| turn.ask(snapshot, known))
            .collect();
        shadowed.extend(asked);
        left = rest;
    }
    let skipped = left.iter_mut().map(Turn::skip);
    shadowed.extend(skipped);
    for turn in turns {
        let of_pool = &mut memory.pool_mut(turn.seen).shadows;
        of_pool.insert(turn.shadow.name.clone(), turn.kept);
    }
    shadowed
}

/// All shadows, who waited longest first; what is remembered of others is let go of.
fn turns<'a>(
    snapshot: &'a Snapshot,
    bindings: &'a [Binding],
    decisions: &'a [PoolDecision],
    memory: &mut Memory,
) -> Vec<Turn<'a>> {
    let mut turns = Vec::new();
    let pools = snapshot.pools.iter().zip(bindings).zip(decisions);
    for ((seen, binding), decision) in pools {
        let mut before = std::mem::take(&mut memory.pool_mut(seen).shadows);
        turns.extend(binding.shadows.iter().map(|shadow| Turn {
            seen,
            active: &decision.variants,
            shadow,
            kept: before.remove(&shadow.name).unwrap_or_default(),
        }));
    }
    turns.sort_by_key(|turn| turn.kept.tally.ticks);
    turns
}

impl Turn<'_> {
    fn ask(&mut self, snapshot: &Snapshot, active: &Memory) -> Shadowed {
        let mut seen = self.seen.clone();
        seen.rules.mode = Mode::Observe;
        let alone = Snapshot {
            pools: vec![seen],
            inventory: snapshot.inventory.clone(),
            ..*snapshot
        };
        let policies = std::slice::from_ref(&self.shadow.policies);
        let model = &self.seen.pool.model;
        let memory = self
            .kept
            .memory
            .get_or_insert_with(|| active.knowing_of(model));
        let decision = tick(&alone, policies, memory).pop();
        let proposal = decision.map(Proposal);
        let tally = &mut self.kept.tally;
        if tally.ticks == 0 {
            tally.since_ms = snapshot.now_ms;
        }
        if let Some(proposal) = &proposal {
            tally.count(self.seen, self.active, proposal);
        }
        self.told(proposal)
    }

    fn skip(&mut self) -> Shadowed {
        self.kept.tally.skipped += 1;
        self.told(None)
    }

    fn told(&self, proposal: Option<Proposal>) -> Shadowed {
        Shadowed {
            namespace: self.seen.pool.namespace.clone(),
            pool: self.seen.pool.name.clone(),
            candidate: self.shadow.name.clone(),
            proposal,
        }
    }
}
