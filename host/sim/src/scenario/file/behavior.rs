//! [`trimtab_core::snapshot::Behavior`] for the schema.

#![expect(dead_code, reason = "only their schema is used")]

use schemars::JsonSchema;

use crate::scenario::bounds;

/// HPA v2's `behavior`, in its own camel case. What is left out is as HPA has it.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, rename = "Behavior")]
pub(super) struct BehaviorSchema {
    /// How fast a variant may grow. Without it: at once, by 4 pods or 100 % in 15 s, whichever is
    /// more.
    scale_up: Option<RulesSchema>,
    /// How fast a variant may shrink. Without it: to the most that was wanted in 300 s, by 100 % in
    /// 15 s.
    scale_down: Option<RulesSchema>,
}

/// One direction.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, rename = "ScalingRules")]
struct RulesSchema {
    /// The window in which the least (upwards) or the most (downwards) that was wanted counts.
    #[schemars(transform = bounds::WINDOW_SECONDS.shown())]
    stabilization_window_seconds: Option<u32>,
    /// Which of several policies counts: the one that allows most (`Max`), least (`Min`), or no
    /// change in this direction (`Disabled`). Without it: `Max`.
    select_policy: Option<SelectSchema>,
    /// Changes allowed in a period; at least one.
    #[schemars(length(min = 1))]
    policies: Option<Vec<PolicySchema>>,
}

/// Which of several policies counts.
#[derive(JsonSchema)]
#[serde(rename = "SelectPolicy")]
enum SelectSchema {
    Max,
    Min,
    Disabled,
}

/// A change allowed in a period.
#[derive(JsonSchema)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    rename = "ScalingPolicy"
)]
struct PolicySchema {
    /// Unit of `value`.
    r#type: KindSchema,
    /// The most that is added or taken away in a period.
    #[schemars(transform = bounds::CHANGE.shown())]
    value: u32,
    /// The period.
    #[schemars(transform = bounds::CHANGE_SECONDS.shown())]
    period_seconds: u32,
}

/// Unit of a change.
#[derive(JsonSchema)]
#[serde(rename = "ScalingPolicyType")]
enum KindSchema {
    Pods,
    Percent,
}
