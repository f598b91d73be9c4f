//! Priorities. WVA's is a number where more is more important, ours a rank where 1 is the most
//! important: what is kept is the order.

use serde_json::Value;

use super::Map;
use super::entry::{self, Entry};
use super::report::Verdict;
use crate::run::config::{ObjectiveEntry, PoolEntry};

/// WVA's priority of a model that nothing is said of.
const UNSAID: f64 = 1.0;

const MOST: f64 = 1e9;

/// The priorities that there are, the most important first.
pub(super) struct Ranks {
    distinct: Vec<f64>,
    /// Whether WVA's own default is among them because no entry for all models sets another.
    unsaid: bool,
}

impl Ranks {
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut distinct: Vec<f64> = entries.iter().filter_map(given).collect();
        let said = |entry: &Entry| entry.is_global_default() && given(entry).is_some();
        let unsaid = !distinct.is_empty() && !entries.iter().any(said);
        if unsaid {
            distinct.push(UNSAID);
        }
        distinct.sort_by(|one, other| other.total_cmp(one));
        distinct.dedup();
        Self { distinct, unsaid }
    }

    /// Where priorities are set and none for all: the rank of those without.
    pub(super) fn default_entry(&self) -> Option<PoolEntry> {
        let priority = self.unsaid.then(|| self.rank_of(UNSAID)).flatten()?;
        Some(PoolEntry {
            objective: ObjectiveEntry {
                priority: Some(priority),
                ..ObjectiveEntry::default()
            },
            ..PoolEntry::default()
        })
    }

    pub(super) fn rank(&self, entry: &Entry) -> Option<u32> {
        self.rank_of(given(entry)?)
    }

    fn rank_of(&self, priority: f64) -> Option<u32> {
        let mut distinct = self.distinct.iter();
        let index = distinct.position(|other| *other == priority)?;
        u32::try_from(index + 1).ok()
    }
}

/// 0 is a priority as any other: the lowest.
pub(super) fn read(value: &Value) -> Result<f64, Verdict> {
    // -0 is 0.
    Ok(entry::number(value, 0.0, MOST)? + 0.0)
}

fn given(entry: &Entry) -> Option<f64> {
    if entry.map != Map::Saturation {
        return None;
    }
    read(entry.fields.get("priority")?).ok()
}
