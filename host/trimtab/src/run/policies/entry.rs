//! What a PoolPolicy says of its pool, in the words of the configuration.

use kube::core::Duration;
use trimtab_cluster::crd::pool_policy::{
    ActuationSpec, BehaviorSpec, ModeSpec, ObjectiveSpec, PoolPolicySpec,
};
use trimtab_core::snapshot::{Behavior, Mode};

use crate::run::config::{Actuation, ObjectiveEntry, PoolEntry, ScaleToZeroEntry, Seconds};

/// The rules of a PoolPolicy, for whichever pool it holds for.
pub(crate) fn entry(spec: &PoolPolicySpec) -> PoolEntry {
    let to_zero = spec.scale_to_zero.clone().unwrap_or_default();
    PoolEntry {
        objective: spec.objective.as_ref().map(objective).unwrap_or_default(),
        scale_to_zero: ScaleToZeroEntry {
            enabled: to_zero.enabled,
            retention: to_zero.retention.and_then(seconds),
        },
        mode: spec.mode.map(mode),
        actuation: spec.actuation.map(actuation),
        behavior: spec.behavior.as_ref().and_then(behavior),
        budget_per_hour: spec.budget.as_ref().map(|budget| budget.cost_per_hour),
        ..PoolEntry::default()
    }
}

fn objective(spec: &ObjectiveSpec) -> ObjectiveEntry {
    let bound = |seconds: Option<f64>| {
        let seconds = seconds.filter(|seconds| *seconds > 0.0);
        seconds.map(|seconds| Seconds::of(seconds).ok())
    };
    ObjectiveEntry {
        ttft_seconds: bound(spec.ttft_seconds),
        itl_seconds: bound(spec.itl_seconds),
        tokens_per_second: spec.tokens_per_second.map(Some),
        percentile: spec.percentile,
        priority: spec.priority,
    }
}

/// `None` where it is no length of time.
pub(super) fn seconds(duration: Duration) -> Option<Seconds> {
    let length = std::time::Duration::from(duration);
    let is_length = !duration.is_negative();
    is_length.then(|| Seconds::of(length.as_secs_f64()).ok())?
}

fn mode(spec: ModeSpec) -> Mode {
    match spec {
        ModeSpec::Enforce => Mode::Enforce,
        ModeSpec::Observe => Mode::Observe,
        ModeSpec::Paused => Mode::Paused,
    }
}

fn actuation(spec: ActuationSpec) -> Actuation {
    match spec {
        ActuationSpec::Metrics => Actuation::Metrics,
        ActuationSpec::Direct => Actuation::Direct,
    }
}

/// Both are written as an HPA's, so what one writes the other reads.
fn behavior(spec: &BehaviorSpec) -> Option<Behavior> {
    let written = serde_json::to_value(spec).ok()?;
    serde_json::from_value(written).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use trimtab_core::snapshot::{ScalingRules, SelectPolicy};

    use super::*;
    use crate::run::config::{Config, PoolIdentity};

    fn spec(written: serde_json::Value) -> PoolPolicySpec {
        serde_json::from_value(written).unwrap()
    }

    #[test]
    fn what_a_pool_policy_says_wins_and_the_rest_is_as_configured() {
        let mut config = Config::default();
        config.objective.itl_seconds = Some(Seconds::new(1));
        config.mode = Mode::Observe;
        let pool = PoolIdentity {
            namespace: "a",
            pool: "p",
            model: "m",
        };
        let bound = entry(&spec(json!({
            "objective": {"ttftSeconds": 0.5, "percentile": 0.9},
            "mode": "Enforce",
            "scaleToZero": {"enabled": true, "retention": "5m"},
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60, "selectPolicy": "Min"}},
            "budget": {"costPerHour": 12.5},
            "actuation": "Direct",
        })));
        let settings = config.pool(&[], Some(&bound), pool);
        let objective = &settings.objective;
        assert_eq!((objective.ttft, objective.itl), (Some(0.5), Some(1.0)));
        assert_eq!((objective.percentile, objective.priority), (0.9, 10));
        assert_eq!(settings.rules.mode, Mode::Enforce);
        assert_eq!(settings.rules.scale_to_zero_after_seconds, Some(300.0));
        assert_eq!(settings.rules.budget_per_hour, Some(12.5));
        assert_eq!(settings.actuation, Actuation::Direct);
        let behavior = settings.rules.behavior.unwrap();
        assert_eq!(behavior.scale_up, ScalingRules::up());
        let down = behavior.scale_down;
        assert_eq!(
            (down.stabilization_window_seconds, down.select_policy),
            (60, SelectPolicy::Min)
        );
    }

    #[test]
    fn an_empty_one_changes_nothing() {
        assert_eq!(entry(&PoolPolicySpec::default()), PoolEntry::default());
    }
}
