//! What was asked for over a run, and how near one run is to another.

use std::fmt::Write as _;

use trimtab_core::decision::PoolDecision;
use trimtab_sim::spec::PoolSpec;

/// Counts of a pool's variants, each with the second of the run from which they held.
#[derive(Clone, Default)]
pub(super) struct Trajectory(Vec<(f64, Vec<u32>)>);

impl Trajectory {
    /// One pool's of a simulation that began at an instant.
    pub(super) fn of(decisions: &[PoolDecision], pool: &PoolSpec, start_ms: u64) -> Self {
        let ours = |decision: &&PoolDecision| decision.pool == pool.name;
        let counts = |decision: &PoolDecision| {
            let seconds = (decision.now_ms - start_ms) as f64 / 1000.0;
            let counts = decision.variants.iter().map(|variant| variant.desired);
            (seconds, counts.collect())
        };
        Self(decisions.iter().filter(ours).map(counts).collect())
    }

    pub(super) fn push(&mut self, seconds: f64, counts: Vec<u32>) {
        if self.0.last().is_none_or(|(_, last)| *last != counts) {
            self.0.push((seconds, counts));
        }
    }

    /// Empty before the first.
    pub(super) fn at(&self, seconds: f64) -> &[u32] {
        let until = self.0.iter().take_while(|(from, _)| *from <= seconds);
        until.last().map_or(&[], |(_, counts)| counts)
    }

    /// The first second from `from` on in which the pool costs more than then.
    pub(super) fn growth_after(&self, from: f64, pool: &PoolSpec) -> Option<f64> {
        let before = cost(pool, self.at(from));
        let mut later = self.0.iter().filter(|(seconds, _)| *seconds > from);
        let grown = later.find(|(_, counts)| cost(pool, counts) > before);
        grown.map(|(seconds, _)| *seconds)
    }
}

/// For an hour.
pub(super) fn cost(pool: &PoolSpec, counts: &[u32]) -> f64 {
    let each = pool.variants.iter().zip(counts);
    each.map(|(variant, count)| variant.cost_per_hour * f64::from(*count))
        .sum()
}

/// Both side by side, every so many seconds.
pub(super) fn table(
    pool: &PoolSpec,
    simulated: &Trajectory,
    real: &Trajectory,
    (step, end): (f64, f64),
) -> String {
    let names: Vec<&str> = pool.variants.iter().map(|of| of.name.as_str()).collect();
    let mut table = format!(
        "{}: {}\n{:>8} {:>12} {:>12}\n",
        pool.name,
        names.join(", "),
        "seconds",
        "simulated",
        "cluster"
    );
    let mut at = step;
    while at <= end {
        let show = |of: &Trajectory| format!("{:?}", of.at(at));
        // Writing to a string does not fail.
        let _ = writeln!(table, "{at:>8} {:>12} {:>12}", show(simulated), show(real));
        at += step;
    }
    table
}
