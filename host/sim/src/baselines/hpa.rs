//! HPA v2: its algorithm as pure functions, and as a controller on waiting and running requests.
//!
//! Formulas: Kubernetes' `replica_calculator.go` and `horizontal.go`, as of 1.34.

pub mod behavior;
mod controlled;
pub mod metric;

use trimtab_core::snapshot::Behavior;

use behavior::{Event, Recommendation};

pub use controlled::Controlled;

/// One autoscaler's rules and its memory.
#[derive(Clone, Debug)]
pub struct Hpa {
    pub min_replicas: u32,
    pub max_replicas: u32,
    pub behavior: Behavior,
    recommendations: Vec<(f64, u32)>,
    events: Vec<(f64, i64)>,
}

impl Hpa {
    /// With HPA's own defaults of stabilisation and rate.
    #[must_use]
    pub fn new(min_replicas: u32, max_replicas: u32) -> Self {
        Self {
            min_replicas,
            max_replicas,
            behavior: Behavior::default(),
            recommendations: Vec::new(),
            events: Vec::new(),
        }
    }

    /// One sync: what to set, of `current` replicas and what each metric proposes; `None` for a
    /// metric that could not be read.
    ///
    /// The largest proposal counts. Where a metric failed, the others may raise and not lower.
    pub fn sync(&mut self, now_seconds: f64, current: u32, proposals: &[Option<u32>]) -> u32 {
        if current == 0 && self.min_replicas > 0 {
            return 0;
        }
        if current > self.max_replicas || current < self.min_replicas {
            return self.set(
                now_seconds,
                current,
                current.clamp(self.min_replicas, self.max_replicas),
            );
        }
        let failed = proposals.iter().any(Option::is_none);
        let largest = proposals.iter().flatten().max().copied();
        let Some(proposed) = largest.filter(|proposed| !failed || *proposed >= current) else {
            return current;
        };
        if self.recommendations.is_empty() {
            self.recommendations.push((now_seconds, current));
        }
        let desired = self.behave(now_seconds, current, proposed);
        self.recommendations.push((now_seconds, proposed));
        self.set(now_seconds, current, desired)
    }

    fn behave(&self, now_seconds: f64, current: u32, proposed: u32) -> u32 {
        let recommendations: Vec<Recommendation> = self
            .recommendations
            .iter()
            .map(|(at, replicas)| Recommendation {
                age_seconds: now_seconds - at,
                replicas: *replicas,
            })
            .collect();
        let events: Vec<Event> = self
            .events
            .iter()
            .map(|(at, change)| Event {
                age_seconds: now_seconds - at,
                change: *change,
            })
            .collect();
        let (up, down) = (&self.behavior.scale_up, &self.behavior.scale_down);
        let stable = behavior::stabilize(
            current,
            proposed,
            &recommendations,
            f64::from(up.stabilization_window_seconds),
            f64::from(down.stabilization_window_seconds),
        );
        let limited = behavior::limit(current, stable, &self.behavior, &events);
        limited.clamp(self.min_replicas, self.max_replicas)
    }

    /// Remembers the change, and forgets what no window reaches.
    fn set(&mut self, now_seconds: f64, current: u32, desired: u32) -> u32 {
        if desired != current {
            self.events
                .push((now_seconds, i64::from(desired) - i64::from(current)));
        }
        let (up, down) = (&self.behavior.scale_up, &self.behavior.scale_down);
        let window = up
            .stabilization_window_seconds
            .max(down.stabilization_window_seconds);
        let periods = up
            .policies
            .iter()
            .chain(&down.policies)
            .map(|policy| policy.period_seconds);
        let period = periods.max().unwrap_or(0);
        self.recommendations
            .retain(|(at, _)| now_seconds - at < f64::from(window));
        self.events
            .retain(|(at, _)| now_seconds - at < f64::from(period));
        desired
    }
}

#[cfg(test)]
mod tests;
