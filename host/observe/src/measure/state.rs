//! Whether a pool's measurements are there, and what to say where they are not.

use trimtab_core::fleet::{FleetPool, FleetReplica, MetricsState};

use super::memory::Reporting;
use super::replica::Sums;
use crate::answer::Answers;
use crate::names::{Quantity, Topic, rows};

/// Replicas that a message names.
const NAMED: usize = 3;

/// Without these nothing is known of a replica.
const ESSENTIAL: [Topic; 2] = [Topic::Instances, Topic::Load];

/// How a pool's replicas report.
#[derive(Clone, Debug, Default)]
pub(super) struct Reports {
    replicas: usize,
    silent: usize,
    /// Some of those that do not report now.
    names: Vec<String>,
    found: bool,
    /// Some replica no longer says how many requests it finished.
    pub(super) lost_count: bool,
    /// Age of the oldest measurements, in seconds.
    pub(super) oldest: f64,
    /// Instant of the newest sample, in seconds since the Unix epoch.
    pub(super) newest: Option<f64>,
}

impl Reports {
    pub(super) fn add(&mut self, replica: &FleetReplica, sums: &Sums, reporting: &Reporting) {
        self.replicas += 1;
        self.oldest = self.oldest.max(reporting.age);
        self.lost_count |= reporting.lost_count;
        self.found |= sums.engines > 0;
        if let Some(newest) = sums.newest {
            self.newest = Some(self.newest.map_or(newest, |known| known.max(newest)));
        }
        if sums.live == 0 {
            self.silent += 1;
            if self.names.len() < NAMED {
                self.names.push(format!("`{}`", replica.name));
            }
        }
    }

    pub(super) fn state(&self, answers: &Answers, pool: &FleetPool) -> MetricsState {
        let lost = ESSENTIAL
            .iter()
            .find_map(|topic| Some((topic, answers.failure(*topic)?)));
        if let Some((topic, why)) = lost {
            return MetricsState::Unavailable(format!("query `{}`: {why}", topic.name()));
        }
        if self.replicas == 0 {
            return MetricsState::Missing("no replica serves yet".to_owned());
        }
        if !self.found {
            return MetricsState::Missing(self.looked_for(pool));
        }
        if self.oldest > pool.rules.max_metrics_age_seconds {
            return MetricsState::Stale {
                age_seconds: self.oldest,
            };
        }
        MetricsState::Found
    }

    /// Names replicas that do not report, where others do.
    pub(super) fn complaint(&self) -> Option<String> {
        if !self.found || self.silent == 0 {
            return None;
        }
        let more = if self.silent > self.names.len() {
            ", …"
        } else {
            ""
        };
        Some(format!(
            "{} of {} replicas do not report now: {}{more}",
            self.silent,
            self.replicas,
            self.names.join(", ")
        ))
    }

    fn looked_for(&self, pool: &FleetPool) -> String {
        let gauges = rows().filter(|row| row.quantity == Quantity::ReportedAt);
        let metrics: Vec<String> = gauges
            .flat_map(|row| row.names)
            .map(|name| format!("`{}`", name.metric))
            .collect();
        format!(
            "none of its pods ({}) has {} with the labels `namespace=\"{}\"` and `pod`, nor with \
             its address as `instance`; does Prometheus scrape them?",
            self.names.join(", "),
            metrics.join(" or "),
            pool.pool.namespace
        )
    }
}
