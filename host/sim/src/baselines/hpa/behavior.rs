//! Stabilisation and rate of change.

use trimtab_core::snapshot::{
    Behavior, ScalingPolicy, ScalingPolicyKind, ScalingRules, SelectPolicy,
};

/// Without `behavior`: of the last five minutes' recommendations the largest counts.
const PLAIN_WINDOW_SECONDS: f64 = 300.0;

/// An earlier proposal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recommendation {
    pub age_seconds: f64,
    pub replicas: u32,
}

/// An earlier change by this autoscaler.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    pub age_seconds: f64,
    /// Replicas added, or removed where negative.
    pub change: i64,
}

/// Raises `current` no further than the least, and lowers it no further than the most, that was
/// recommended in the windows of the two directions. What is as old as a window is outside.
#[must_use]
pub fn stabilize(
    current: u32,
    desired: u32,
    recommendations: &[Recommendation],
    up_window_seconds: f64,
    down_window_seconds: f64,
) -> u32 {
    let within = |window: f64| {
        let inside = recommendations
            .iter()
            .filter(move |earlier| earlier.age_seconds < window);
        inside.map(|earlier| earlier.replicas).chain([desired])
    };
    let up = within(up_window_seconds).min().unwrap_or(desired);
    let down = within(down_window_seconds).max().unwrap_or(desired);
    current.max(up).min(down)
}

/// What the rate policies leave of a change from `current` to `desired`.
#[must_use]
pub fn limit(current: u32, desired: u32, behavior: &Behavior, events: &[Event]) -> u32 {
    if desired > current {
        desired.min(up_limit(current, &behavior.scale_up, events).max(current))
    } else {
        desired.max(down_limit(current, &behavior.scale_down, events).min(current))
    }
}

fn up_limit(current: u32, rules: &ScalingRules, events: &[Event]) -> u32 {
    let limits = rules.policies.iter().map(|policy| {
        let start = at_start_of_period(current, policy, events);
        replicas(match policy.kind {
            ScalingPolicyKind::Pods => start + f64::from(policy.value),
            ScalingPolicyKind::Percent => (start * (1.0 + f64::from(policy.value) / 100.0)).ceil(),
        })
    });
    match rules.select_policy {
        SelectPolicy::Max => limits.max(),
        SelectPolicy::Min => limits.min(),
        SelectPolicy::Disabled => Some(current),
    }
    .unwrap_or(u32::MAX)
}

fn down_limit(current: u32, rules: &ScalingRules, events: &[Event]) -> u32 {
    let limits = rules.policies.iter().map(|policy| {
        let start = at_start_of_period(current, policy, events);
        replicas(match policy.kind {
            ScalingPolicyKind::Pods => start - f64::from(policy.value),
            ScalingPolicyKind::Percent => (start * (1.0 - f64::from(policy.value) / 100.0)).trunc(),
        })
    });
    match rules.select_policy {
        SelectPolicy::Max => limits.min(),
        SelectPolicy::Min => limits.max(),
        SelectPolicy::Disabled => Some(current),
    }
    .unwrap_or(0)
}

/// Own changes of the period taken back, in both directions.
fn at_start_of_period(current: u32, policy: &ScalingPolicy, events: &[Event]) -> f64 {
    let period = f64::from(policy.period_seconds);
    let changes = events.iter().filter(|event| event.age_seconds < period);
    f64::from(current) - changes.map(|event| event.change as f64).sum::<f64>()
}

fn replicas(count: f64) -> u32 {
    count.max(0.0) as u32
}

/// Without `behavior`: the window, then at most twice what there is (or four), then the bounds.
#[must_use]
pub fn plain(
    current: u32,
    desired: u32,
    recommendations: &[Recommendation],
    min_replicas: u32,
    max_replicas: u32,
) -> u32 {
    let recent = recommendations
        .iter()
        .filter(|r| r.age_seconds < PLAIN_WINDOW_SECONDS);
    let largest = recent.map(|r| r.replicas).fold(desired, u32::max);
    let up_limit = current.saturating_mul(2).max(4);
    largest.max(min_replicas).min(up_limit.min(max_replicas))
}
