//! `wva-queueing-model-config`. In WVA's last version it stops the engine; here its targets are
//! the objective.

use serde_json::Value;
use trimtab_sim::excerpt::excerpt;

use super::entry;
use super::report::Verdict;
use super::saturation::OTHER_ANALYZER;
use crate::run::config::{PoolEntry, Seconds};

const KNOWN: [&str; 4] = ["targetTTFT", "targetITL", "sloMultiplier", "tuningEnabled"];

/// Longest target in milliseconds: a day.
const LONGEST: f64 = 86_400_000.0;

pub(super) fn key(key: &str, value: &Value, built_in: bool, pool: &mut PoolEntry) -> Verdict {
    match key {
        "targetTTFT" => target(value, "ttftSeconds", &mut pool.objective.ttft_seconds),
        "targetITL" => target(value, "itlSeconds", &mut pool.objective.itl_seconds),
        "sloMultiplier" => Verdict::ignored(
            "no targets are made up; a pool without any is held to the thresholds of utilisation",
        ),
        "tuningEnabled" => match entry::flag(value) {
            Ok(_) if !built_in => Verdict::ignored(OTHER_ANALYZER),
            Ok(tuning) => {
                pool.analyzer_settings
                    .insert("tracking".to_owned(), tuning.into());
                Verdict::honoured("the analyzer's setting `tracking`")
            }
            Err(invalid) => invalid,
        },
        unknown => Verdict::unknown(unknown, &KNOWN),
    }
}

/// Milliseconds; 0 takes an inherited target away.
fn target(value: &Value, name: &str, bound: &mut Option<Option<Seconds>>) -> Verdict {
    let Ok(milliseconds) = entry::number(value, 0.0, LONGEST) else {
        return Verdict::invalid(format!(
            "{} cannot be; expected milliseconds, or 0 for no target",
            excerpt(&value.to_string())
        ));
    };
    if milliseconds == 0.0 {
        *bound = Some(None);
        return Verdict::honoured(format!("objective.{name}: null, no target"));
    }
    let Ok(seconds) = serde_json::from_value((milliseconds / 1000.0).into()) else {
        return Verdict::invalid("expected milliseconds");
    };
    *bound = Some(Some(seconds));
    Verdict::honoured(format!("objective.{name}"))
}
