//! A status as the document that is applied.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Shown, Wanted};

/// `plain` leaves out what WVA's schema does not know. Fields that are not decided now are written
/// as they are recorded: an apply that leaves them out would take them away.
pub(super) fn document(wanted: &Wanted, now_ms: u64, plain: bool) -> Value {
    let now = timestamp(now_ms);
    let recorded = wanted.recorded.as_ref();
    let mut status = Map::new();
    if let Some(decided) = &wanted.decided {
        status.insert(
            "desiredOptimizedAlloc".to_owned(),
            json!({
                "numReplicas": decided.desired,
                "accelerator": decided.accelerator,
                "lastRunTime": now,
            }),
        );
        let applied = json!({"applied": decided.published});
        status.insert("actuation".to_owned(), applied);
    } else if let Some((recorded, replicas)) =
        recorded.and_then(|status| Some((status, status.desired_optimized_alloc.num_replicas?)))
    {
        let allocation = &recorded.desired_optimized_alloc;
        status.insert(
            "desiredOptimizedAlloc".to_owned(),
            json!({
                "numReplicas": replicas,
                "accelerator": allocation.accelerator.as_deref().unwrap_or(crate::UNRESOLVED),
                "lastRunTime": allocation.last_run_time.as_deref().unwrap_or(&now),
            }),
        );
        status.insert("actuation".to_owned(), json!({"applied": false}));
    }
    if !plain {
        status.insert("reason".to_owned(), json!(wanted.reason));
        let current = wanted.decided.as_ref().map(|decided| decided.current);
        let current = current.or_else(|| recorded?.current_replicas);
        if let Some(current) = current {
            status.insert("currentReplicas".to_owned(), json!(current));
        }
    }
    let conditions = wanted.conditions.iter();
    let conditions: Vec<Value> = conditions
        .map(|shown| condition(shown, wanted, &now))
        .collect();
    status.insert("conditions".to_owned(), json!(conditions));
    json!({
        "apiVersion": wanted.claimant.way.api_version(),
        "kind": wanted.claimant.way.kind(),
        "metadata": {
            "name": wanted.claimant.name,
            "namespace": wanted.claimant.namespace,
        },
        "status": status,
    })
}

/// A condition that was of this status before keeps the instant at which it became so.
fn condition(shown: &Shown, wanted: &Wanted, now: &str) -> Value {
    let found = wanted.recorded.as_ref().and_then(|recorded| {
        let mut conditions = recorded.conditions.iter();
        conditions.find(|found| found.kind == shown.kind && found.status == status(shown.holds))
    });
    let since = found.and_then(|found| found.last_transition_time.as_deref());
    json!({
        "type": shown.kind,
        "status": status(shown.holds),
        "reason": shown.reason,
        "message": shown.message,
        "lastTransitionTime": since.unwrap_or(now),
    })
}

pub(super) const fn status(holds: bool) -> &'static str {
    if holds { "True" } else { "False" }
}

/// RFC 3339 in whole seconds, as Kubernetes writes times.
fn timestamp(now_ms: u64) -> String {
    let seconds = i64::try_from(now_ms / 1000).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds)
        .unwrap_or(Timestamp::MAX)
        .to_string()
}
