//! Stabilisation windows and rate limits as HPA v2 has them, for pools that set them.
//!
//! Formulas: Kubernetes' `horizontal.go` (`stabilizeRecommendationWithBehaviors`,
//! `calculateScaleUpLimitWithScalingRules`, `calculateScaleDownLimitWithBehaviors`). The window
//! comes first and the rate second; what is remembered is what the plan asked for, never what
//! these rules made of it.

use serde::{Deserialize, Serialize};

use crate::decision::Rule;
use crate::draft::PoolDraft;
use crate::memory::PoolMemory;
use crate::snapshot::{Behavior, ScalingPolicyKind, ScalingRules, SelectPolicy};

/// What a variant's behaviour rules remember.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct History {
    /// Recommendations that may still be the largest of a window: falling, oldest first.
    largest: Vec<Recommendation>,
    /// Recommendations that may still be the smallest of a window: rising, oldest first.
    smallest: Vec<Recommendation>,
    /// Own changes, oldest first.
    changes: Vec<Change>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Recommendation {
    at_ms: u64,
    replicas: u32,
}

/// A change of the desired count by ourselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Change {
    at_ms: u64,
    added: i64,
}

pub(super) fn apply(pool: &mut PoolDraft<'_>, memory: &mut PoolMemory, now_ms: u64) {
    let Some(behavior) = &pool.seen.rules.behavior else {
        memory
            .variants
            .values_mut()
            .for_each(|variant| variant.history = History::default());
        return;
    };
    for draft in &mut pool.variants {
        let history = &mut memory.variant_mut(&draft.variant.name).history;
        let previous = draft.previous();
        let raw = draft.decision.proposed.unwrap_or(previous);
        let (floor, upper) = (draft.floor, draft.upper().max(draft.floor));
        let stable = history.stabilize(behavior, previous, draft.desired(), now_ms);
        // HPA corrects a count that lies outside the bounds at once, whatever its behaviour says.
        draft.set(
            Rule::Behavior,
            stable.clamp(floor, upper),
            "stabilisation window",
        );
        let limited = history.limit(behavior, previous, draft.desired(), now_ms);
        draft.set(Rule::Behavior, limited.clamp(floor, upper), "rate limit");
        history.recommend(raw, behavior, now_ms);
    }
}

impl History {
    /// Raises `current` to the least, then lowers it to the most, that was recommended in the
    /// windows of the two directions.
    fn stabilize(&self, behavior: &Behavior, current: u32, desired: u32, now_ms: u64) -> u32 {
        let within = |seconds: u32| {
            move |recommendation: &&Recommendation| {
                is_younger(recommendation.at_ms, seconds, now_ms)
            }
        };
        let up_window = within(behavior.scale_up.stabilization_window_seconds);
        let down_window = within(behavior.scale_down.stabilization_window_seconds);
        let least = self
            .smallest
            .iter()
            .filter(up_window)
            .map(|r| r.replicas)
            .min();
        let most = self
            .largest
            .iter()
            .filter(down_window)
            .map(|r| r.replicas)
            .max();
        let up = least.map_or(desired, |least| least.min(desired));
        let down = most.map_or(desired, |most| most.max(desired));
        current.max(up).min(down)
    }

    fn limit(&self, behavior: &Behavior, current: u32, desired: u32, now_ms: u64) -> u32 {
        if desired > current {
            desired.min(
                self.up_limit(&behavior.scale_up, current, now_ms)
                    .max(current),
            )
        } else if desired < current {
            desired.max(
                self.down_limit(&behavior.scale_down, current, now_ms)
                    .min(current),
            )
        } else {
            desired
        }
    }

    fn up_limit(&self, rules: &ScalingRules, current: u32, now_ms: u64) -> u32 {
        let limits = rules.policies.iter().map(|policy| {
            let start = self.at_start_of(policy.period_seconds, current, now_ms);
            match policy.kind {
                ScalingPolicyKind::Pods => start.saturating_add(i64::from(policy.value)),
                ScalingPolicyKind::Percent => {
                    (to_f64(start) * (1.0 + f64::from(policy.value) / 100.0)).ceil() as i64
                }
            }
        });
        let limit = match rules.select_policy {
            SelectPolicy::Max => limits.max(),
            SelectPolicy::Min => limits.min(),
            SelectPolicy::Disabled => return current,
        };
        limit.map_or(u32::MAX, to_replicas)
    }

    fn down_limit(&self, rules: &ScalingRules, current: u32, now_ms: u64) -> u32 {
        let limits = rules.policies.iter().map(|policy| {
            let start = self.at_start_of(policy.period_seconds, current, now_ms);
            match policy.kind {
                ScalingPolicyKind::Pods => start.saturating_sub(i64::from(policy.value)),
                ScalingPolicyKind::Percent => {
                    (to_f64(start) * (1.0 - f64::from(policy.value) / 100.0)).trunc() as i64
                }
            }
        });
        let limit = match rules.select_policy {
            SelectPolicy::Max => limits.min(),
            SelectPolicy::Min => limits.max(),
            SelectPolicy::Disabled => return current,
        };
        limit.map_or(0, to_replicas)
    }

    /// Replicas when the period began, as far as our own changes explain what there is now.
    fn at_start_of(&self, period_seconds: u32, current: u32, now_ms: u64) -> i64 {
        let recent = self
            .changes
            .iter()
            .filter(|c| is_younger(c.at_ms, period_seconds, now_ms));
        i64::from(current) - recent.map(|change| change.added).sum::<i64>()
    }

    /// Remembers what was recommended before any correction, and drops what no window reaches.
    fn recommend(&mut self, replicas: u32, behavior: &Behavior, now_ms: u64) {
        let (up, down) = (&behavior.scale_up, &behavior.scale_down);
        self.smallest
            .retain(|r| is_younger(r.at_ms, up.stabilization_window_seconds, now_ms));
        self.largest
            .retain(|r| is_younger(r.at_ms, down.stabilization_window_seconds, now_ms));
        // An older recommendation that a newer one outdoes is never again the extreme of a window.
        let smaller = self.smallest.partition_point(|r| r.replicas < replicas);
        self.smallest.truncate(smaller);
        let larger = self.largest.partition_point(|r| r.replicas > replicas);
        self.largest.truncate(larger);
        if up.stabilization_window_seconds > 0 {
            self.smallest.push(Recommendation {
                at_ms: now_ms,
                replicas,
            });
        }
        if down.stabilization_window_seconds > 0 {
            self.largest.push(Recommendation {
                at_ms: now_ms,
                replicas,
            });
        }
        let periods = up
            .policies
            .iter()
            .chain(&down.policies)
            .map(|policy| policy.period_seconds);
        let longest = periods.max().unwrap_or(0);
        self.changes
            .retain(|change| is_younger(change.at_ms, longest, now_ms));
    }

    /// Remembers a change that was published.
    pub(crate) fn changed(&mut self, from: u32, to: u32, now_ms: u64) {
        if from != to {
            let added = i64::from(to) - i64::from(from);
            self.changes.push(Change {
                at_ms: now_ms,
                added,
            });
        }
    }
}

fn is_younger(at_ms: u64, seconds: u32, now_ms: u64) -> bool {
    now_ms.saturating_sub(at_ms) < u64::from(seconds).saturating_mul(1000)
}

fn to_replicas(limit: i64) -> u32 {
    u32::try_from(limit.max(0)).unwrap_or(u32::MAX)
}

fn to_f64(replicas: i64) -> f64 {
    replicas as f64
}

#[cfg(test)]
mod tests;
