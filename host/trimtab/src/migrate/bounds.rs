//! Bounds of scalers, as the API server and KEDA take them.

use serde_json::Value;

use super::object::{kind, name, text};

/// KEDA's, where a ScaledObject says none.
const KEDA_MAX: u64 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) min: u64,
    pub(super) max: u64,
    /// What a ScaledObject keeps below its minimum while nothing is to be done.
    pub(super) idle: Option<u64>,
}

impl Bounds {
    /// # Errors
    /// What of the scaler the API server or KEDA refuses.
    pub(super) fn of(scaler: &Value) -> Result<Self, Vec<String>> {
        let is_keda = kind(scaler) == "ScaledObject";
        let mut faults = Vec::new();
        let [min_key, max_key] = if is_keda {
            ["minReplicaCount", "maxReplicaCount"]
        } else {
            ["minReplicas", "maxReplicas"]
        };
        let mut read = |key: &str| match count(scaler, key) {
            Ok(count) => count,
            Err(fault) => {
                faults.push(fault);
                None
            }
        };
        let (min, max) = (read(min_key), read(max_key));
        let idle = if is_keda {
            read("idleReplicaCount")
        } else {
            None
        };
        if !faults.is_empty() {
            return Err(faults);
        }
        let min = min.unwrap_or(u64::from(!is_keda));
        let Some(max) = max.or(is_keda.then_some(KEDA_MAX)) else {
            return Err(vec![format!("spec.{max_key} is missing")]);
        };
        if max < min.max(1) {
            faults.push(format!(
                "spec.{max_key} is {max}, and must be 1 or more, and not below {min_key} ({min})"
            ));
        }
        if let Some(idle) = idle.filter(|idle| *idle >= min) {
            faults.push(format!(
                "spec.idleReplicaCount is {idle}, and must be below {min_key} ({min})"
            ));
        }
        if faults.is_empty() {
            Ok(Self { min, max, idle })
        } else {
            Err(faults)
        }
    }

    /// The fewest replicas that may be there.
    pub(super) fn least(&self) -> u64 {
        self.idle.unwrap_or(self.min)
    }
}

/// Names that are missing: its own, and those of what it scales.
pub(super) fn nameless(scaler: &Value) -> Vec<String> {
    // KEDA takes a Deployment where none is said.
    let says_kind = kind(scaler) != "ScaledObject";
    let mut faults = Vec::new();
    if name(scaler).is_empty() {
        faults.push("metadata.name is missing".to_owned());
    }
    for (field, needed) in [("name", true), ("kind", says_kind)] {
        let said = text(scaler, &format!("/spec/scaleTargetRef/{field}"));
        if needed && said.is_none_or(str::is_empty) {
            faults.push(format!("spec.scaleTargetRef.{field} is missing"));
        }
    }
    faults
}

fn count(scaler: &Value, key: &str) -> Result<Option<u64>, String> {
    let written = scaler.pointer(&format!("/spec/{key}"));
    let Some(written) = written.filter(|of| !of.is_null()) else {
        return Ok(None);
    };
    let count = written.as_u64();
    match count.filter(|count| i32::try_from(*count).is_ok()) {
        Some(count) => Ok(Some(count)),
        None => Err(format!(
            "spec.{key} is {written}, and must be a whole number from 0 to {}",
            i32::MAX
        )),
    }
}
