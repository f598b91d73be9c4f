//! What makes one mix better than another.

use std::cmp::Ordering;

use crate::problem::{Choice, Problem};

/// Least that a replacement must save, in percent, while replicas of what it replaces are starting:
/// they will serve before it could, and a small gain is better looked for once they do.
const STARTING_PERCENT: u32 = 25;

/// Replicas wanted of each choice of a problem, with what they are worth.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mix {
    pub(crate) counts: Vec<u32>,
    pub(crate) worth: Worth,
}

/// The measures of a mix, the most important first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Worth {
    /// See [`Scale`].
    pub(crate) cost: f64,
    /// Replicas that come or go.
    pub(crate) changes: u64,
    /// Variants that do not run now and would.
    pub(crate) opened: usize,
    /// Sum over the bars of supply by floor.
    pub(crate) supply: f64,
}

/// Cost as the search counts it, in hundredths of millionths an hour.
///
/// A replica counts in full, and one that is given up still counts by the share that a replacement
/// has to save: a replacement wins only if it is cheaper by more than that. This alters nothing
/// between mixes that only shrink, or only grow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) switch_saving_percent: u32,
}

impl Scale {
    /// What one replica more adds while there are fewer than are asked for now.
    pub(crate) fn below(self, choice: &Choice) -> f64 {
        let starts = choice.variant.ready_replicas < choice.variant.current_replicas;
        let least = if starts { STARTING_PERCENT } else { 0 };
        let percent = self.switch_saving_percent.max(least);
        choice.cost as f64 * f64::from(100 - percent)
    }

    /// What one replica more adds from there on.
    pub(crate) fn above(self, choice: &Choice) -> f64 {
        choice.cost as f64 * 100.0
    }

    pub(crate) fn cost(self, choice: &Choice, count: u32) -> f64 {
        let given_up = f64::from(choice.start.saturating_sub(count));
        self.above(choice) * f64::from(count) + (self.above(choice) - self.below(choice)) * given_up
    }

    pub(crate) fn mix(self, problem: &Problem, counts: Vec<u32>) -> Mix {
        let mut worth = Worth {
            cost: 0.0,
            changes: 0,
            opened: 0,
            supply: 0.0,
        };
        for (choice, count) in problem.choices.iter().zip(&counts) {
            worth.cost += self.cost(choice, *count);
            worth.changes += u64::from(choice.start.abs_diff(*count));
            worth.opened += usize::from(choice.start == 0 && *count > 0);
            worth.supply += f64::from(*count)
                * problem
                    .bars
                    .iter()
                    .zip(&choice.supply)
                    .filter(|(bar, _)| bar.floor > 0.0)
                    .map(|(bar, supply)| supply / bar.floor)
                    .sum::<f64>();
        }
        Mix { counts, worth }
    }
}

impl Mix {
    /// Orders mixes, the best first. Of those that cost the same, the one with the fewest changes;
    /// then one of variants that run already, then the larger supply, then the names decide.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        let (one, two) = (&self.worth, &other.worth);
        one.cost
            .total_cmp(&two.cost)
            .then(one.changes.cmp(&two.changes))
            .then(one.opened.cmp(&two.opened))
            .then(two.supply.total_cmp(&one.supply))
            .then_with(|| other.counts.cmp(&self.counts))
    }

    pub(crate) fn is_better_than(&self, other: &Self) -> bool {
        self.order(other) == Ordering::Less
    }
}
