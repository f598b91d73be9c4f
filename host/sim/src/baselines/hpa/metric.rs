//! What one metric proposes. Values are whole thousandths, as Kubernetes' quantities are there.

/// Most replicas that a metric can propose.
const MOST: f64 = 2_147_483_647.0;

/// How far the ratio of usage and target may lie from 1 without a change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    pub up: f64,
    pub down: f64,
}

impl Default for Tolerance {
    /// `--horizontal-pod-autoscaler-tolerance`.
    fn default() -> Self {
        Self { up: 0.1, down: 0.1 }
    }
}

impl Tolerance {
    /// Both ends are inside. No number at all (0 of 0) is not.
    fn holds(self, ratio: f64) -> bool {
        (1.0 - self.down..=1.0 + self.up).contains(&ratio)
    }
}

/// A target per replica (`AverageValue`): `usage` is the sum over replicas. `replicas` counts all
/// that exist; whether they are ready plays no part.
#[must_use]
pub fn average_value(
    replicas: u32,
    usage_milli: i64,
    target_milli: i64,
    tolerance: Tolerance,
) -> u32 {
    let (usage, target) = (usage_milli as f64, target_milli as f64);
    if tolerance.holds(usage / (target * f64::from(replicas))) {
        return replicas;
    }
    count(usage / target)
}

/// A target for the whole (`Value`): replicas change in the ratio of usage and target, counted
/// from those that are `ready`; `replicas` is what is asked for.
#[must_use]
pub fn value(
    replicas: u32,
    ready: u32,
    usage_milli: i64,
    target_milli: i64,
    tolerance: Tolerance,
) -> u32 {
    let ratio = usage_milli as f64 / target_milli as f64;
    if replicas == 0 {
        return count(ratio);
    }
    if tolerance.holds(ratio) {
        return replicas;
    }
    count(ratio * f64::from(ready))
}

/// What the status shows for an `AverageValue`.
#[must_use]
pub fn reported_average(replicas: u32, usage_milli: i64) -> i64 {
    (usage_milli as f64 / f64::from(replicas)).ceil() as i64
}

fn count(replicas: f64) -> u32 {
    replicas.ceil().clamp(0.0, MOST) as u32
}
