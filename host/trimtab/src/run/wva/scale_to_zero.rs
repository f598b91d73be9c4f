//! `wva-model-scale-to-zero-config`.

use serde_json::Value;
use trimtab_sim::excerpt::excerpt;

use super::entry;
use super::report::Verdict;
use crate::run::config::{PoolEntry, Seconds};

const KNOWN: [&str; 2] = ["enable_scale_to_zero", "retention_period"];

pub(super) fn key(key: &str, value: &Value, pool: &mut PoolEntry) -> Verdict {
    match key {
        "enable_scale_to_zero" => match entry::flag(value) {
            Ok(enabled) => {
                pool.scale_to_zero.enabled = Some(enabled);
                Verdict::honoured("scaleToZero.enabled")
            }
            Err(invalid) => invalid,
        },
        "retention_period" => match retention(value) {
            Some(retention) => {
                pool.scale_to_zero.retention = Some(retention);
                Verdict::honoured("scaleToZero.retention")
            }
            None => Verdict::invalid(format!(
                "{} cannot be; expected a duration from 1s to 365 days, such as 10m",
                excerpt(&value.to_string())
            )),
        },
        unknown => Verdict::unknown(unknown, &KNOWN),
    }
}

fn retention(value: &Value) -> Option<Seconds> {
    let read: Seconds = serde_json::from_value(value.clone()).ok()?;
    (1.0..=31_536_000.0)
        .contains(&read.seconds())
        .then_some(read)
}
