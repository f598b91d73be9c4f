//! `wva-saturation-scaling-config`.

use serde_json::Value;

use super::entry::{self, Entry};
use super::priority;
use super::report::Verdict;
use crate::run::config::{PoolEntry, Setting};

/// A threshold of WVA, and the built-in analyzer's setting for it with what that takes.
#[derive(Clone, Copy)]
pub(super) struct WvaKey {
    pub(super) name: &'static str,
    pub(super) setting: &'static str,
    least: f64,
    most: f64,
}

const KV_CACHE: WvaKey = WvaKey {
    name: "kvCacheThreshold",
    setting: "kv-threshold",
    least: 0.01,
    most: 1.0,
};
const QUEUE_LENGTH: WvaKey = WvaKey {
    name: "queueLengthThreshold",
    setting: "queue-threshold",
    least: 1.0,
    most: 1e6,
};
pub(super) const SCALE_UP: WvaKey = WvaKey {
    name: "scaleUpThreshold",
    setting: "scale-up-utilization",
    least: 0.01,
    most: 1.0,
};
pub(super) const SCALE_DOWN: WvaKey = WvaKey {
    name: "scaleDownBoundary",
    setting: "scale-down-utilization",
    least: 0.01,
    most: 1.0,
};

const KNOWN: [&str; 13] = [
    KV_CACHE.name,
    QUEUE_LENGTH.name,
    SCALE_UP.name,
    SCALE_DOWN.name,
    "priority",
    "scaleToZero",
    "enableLimiter",
    "kvSpareTrigger",
    "queueSpareTrigger",
    "enableRescale",
    "analyzerName",
    "analyzers",
    "limiters",
];

/// Why a setting of the built-in analyzer is of no use.
pub(super) const OTHER_ANALYZER: &str =
    "policies.analyzer is not the built-in one and has settings of its own";

pub(super) fn key(
    entry: &Entry,
    key: &str,
    value: &Value,
    built_in: bool,
    pool: &mut PoolEntry,
) -> Verdict {
    let thresholds = [KV_CACHE, QUEUE_LENGTH, SCALE_UP, SCALE_DOWN];
    if let Some(of) = thresholds.into_iter().find(|of| of.name == key) {
        return threshold(of, value, built_in, pool);
    }
    match key {
        "priority" => match priority::read(value) {
            Ok(_) => Verdict::honoured("objective.priority, by its order among all"),
            Err(invalid) => invalid,
        },
        "scaleToZero" => scale_to_zero(value, pool),
        "enableLimiter" => match entry::flag(value) {
            Ok(_) if entry.is_global_default() => Verdict::honoured("limitToInventory"),
            Ok(_) => {
                Verdict::ignored("it is one for the whole cluster, set in the system's `default`")
            }
            Err(invalid) => invalid,
        },
        "kvSpareTrigger" | "queueSpareTrigger" => Verdict::ignored(
            "there is no step by one replica that it would trigger; supply to keep is the \
             analyzer's setting `headroom`",
        ),
        "enableRescale" => Verdict::ignored(
            "GPUs are granted by priority where they run short, and never taken from a pool that \
             needs them",
        ),
        "analyzerName" | "analyzers" => {
            Verdict::ignored("policies.analyzer says which one; analyzers are not scored")
        }
        "limiters" => {
            Verdict::ignored("limitToInventory and budgetPerHour are the limits that there are")
        }
        unknown => Verdict::unknown(unknown, &KNOWN),
    }
}

/// The limiter is of the process, not of a pool.
pub(super) fn inventory(entry: &Entry, settings: &mut Vec<Setting>) {
    let given = entry.fields.get("enableLimiter").and_then(Value::as_bool);
    if let Some(limited) = given.filter(|_| entry.is_global_default()) {
        settings.push(Setting::new(
            "wva-saturation-scaling-config, default, enableLimiter",
            "limitToInventory",
            if limited { "true" } else { "false" },
        ));
    }
}

fn threshold(of: WvaKey, value: &Value, built_in: bool, pool: &mut PoolEntry) -> Verdict {
    let number = match entry::number(value, of.least, of.most) {
        Ok(number) => number,
        Err(invalid) => return invalid,
    };
    if !built_in {
        return Verdict::ignored(OTHER_ANALYZER);
    }
    pool.analyzer_settings
        .insert(of.setting.to_owned(), number.into());
    Verdict::honoured(format!(
        "the analyzer's setting `{}`, used where there is no latency to judge by",
        of.setting
    ))
}

fn scale_to_zero(value: &Value, pool: &mut PoolEntry) -> Verdict {
    let Some(enabled) = value.get("enabled") else {
        return Verdict::invalid("says nothing; expected {enabled: true} or {enabled: false}");
    };
    match entry::flag(enabled) {
        Ok(enabled) => {
            pool.scale_to_zero.enabled = Some(enabled);
            Verdict::honoured("scaleToZero.enabled")
        }
        Err(invalid) => invalid,
    }
}
