//! Branch and bound over the counts of one problem's choices, exact within its steps.
#![expect(
    clippy::indexing_slicing,
    reason = "the search's inner loop; every index counts the problem's choices or bars"
)]

use crate::ask::{Ask, replicas};
use crate::bars::Bars;
use crate::bound::Bound;
use crate::purse::Purse;
use crate::worth::Mix;

/// Steps a choice in which the search arrives at its first mix: two for each halving of a count.
const FIRST_MIX: u32 = 64;

/// Share of a cost that is lost in rounding at most.
const ROUNDING: f64 = 1e-12;

pub(crate) struct Search<'a> {
    ask: &'a Ask<'a>,
    bars: Bars,
    bound: Bound,
    purse: &'a mut Purse,
    /// Positions of the choices, in the order in which they are fixed.
    order: Vec<usize>,
    counts: Vec<u32>,
    /// For each depth, one for each bar: supply that the choices from there on still have to give.
    missing: Vec<f64>,
    best: Option<Mix>,
    steps_left: u32,
}

/// What is known of the mixes with one more count fixed.
#[derive(Clone, Copy, PartialEq)]
enum Outlook {
    /// One of them may be the best.
    Open,
    /// They cost more than the best.
    TooDear,
    /// They cost as much as the best and change more.
    TooFar,
}

impl<'a> Search<'a> {
    pub(crate) fn new(
        ask: &'a Ask<'a>,
        (bars, bound): (Bars, Bound),
        order: Vec<usize>,
        purse: &'a mut Purse,
        known: Option<Mix>,
    ) -> Self {
        let mut missing = vec![0.0; (order.len() + 1) * bars.len()];
        missing[..bars.len()].copy_from_slice(&bars.require);
        Self {
            ask,
            bars,
            bound,
            purse,
            counts: ask.lower.clone(),
            missing,
            best: known,
            steps_left: ask.steps.saturating_add(FIRST_MIX * order.len() as u32),
            order,
        }
    }

    /// The best mix, and whether all was looked at.
    pub(crate) fn run(mut self) -> (Option<Mix>, bool) {
        let root = self.bound.cost(0, &self.bars.require);
        if self.outlook(0, root, 0) == Outlook::Open {
            self.descend(0, 0.0, 0);
        }
        (self.best, self.steps_left > 0)
    }

    /// Tries the counts of the choice at `depth`, those near the relaxed optimum first. `cost` and
    /// `changes` are those of the choices fixed before.
    ///
    /// The bound is convex in the count, so a side is done once it rises above the best mix.
    fn descend(&mut self, depth: usize, cost: f64, changes: u64) {
        let Some((low, high)) = self.range(depth) else {
            return;
        };
        if depth + 1 == self.order.len() {
            self.look(depth, low, cost, changes);
            return;
        }
        let middle = self.cheapest(depth, low, high);
        self.walk(depth, middle..=high, cost, changes);
        self.walk(depth, (low..middle).rev(), cost, changes);
    }

    /// The count from `low` to `high` with the lowest bound, or next to it.
    fn cheapest(&mut self, depth: usize, mut low: u32, mut high: u32) -> u32 {
        if self.bars.len() == 1 {
            let position = self.order[depth];
            let share = self.bound.share(depth, self.missing_at(depth)[0]);
            let count = (share / self.bars.supply(position)[0]) as u32;
            return self.ask.lower[position]
                .saturating_add(count)
                .clamp(low, high);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if self.bound_of(depth, middle) <= self.bound_of(depth, middle + 1) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }

    /// Least that the choices from `depth` on cost where the first of them has `count` replicas.
    fn bound_of(&mut self, depth: usize, count: u32) -> f64 {
        self.steps_left = self.steps_left.saturating_sub(1);
        let position = self.order[depth];
        let n_bars = self.bars.len();
        for (bar, supply) in self.bars.supply(position).iter().enumerate() {
            self.missing[(depth + 1) * n_bars + bar] =
                self.missing[depth * n_bars + bar] - supply * f64::from(count);
        }
        let choice = &self.ask.problem.choices[position];
        self.ask.scale.cost(choice, count) + self.bound.cost(depth + 1, self.missing_at(depth + 1))
    }

    fn walk(&mut self, depth: usize, side: impl Iterator<Item = u32>, cost: f64, changes: u64) {
        let mut previous = f64::INFINITY;
        for count in side {
            if self.steps_left == 0 {
                return;
            }
            let (outlook, bound) = self.look(depth, count, cost, changes);
            if outlook == Outlook::TooDear && bound >= previous {
                return;
            }
            previous = bound;
        }
    }

    /// Fixes the choice at `depth` and, where that may lead to the best mix, goes on from there.
    fn look(&mut self, depth: usize, count: u32, cost: f64, changes: u64) -> (Outlook, f64) {
        let bound = cost + self.bound_of(depth, count);
        let position = self.order[depth];
        let choice = &self.ask.problem.choices[position];
        let changes = changes + u64::from(choice.start.abs_diff(count));
        self.counts[position] = count;
        if depth + 1 == self.order.len() {
            self.finish();
            return (Outlook::Open, bound);
        }
        let outlook = self.outlook(depth + 1, bound, changes);
        if outlook == Outlook::Open {
            self.purse.take(choice, choice.extra(count));
            let cost = cost + self.ask.scale.cost(choice, count);
            self.descend(depth + 1, cost, changes);
            self.purse.put_back(choice, choice.extra(count));
        }
        (outlook, bound)
    }

    fn finish(&mut self) {
        if self
            .missing_at(self.order.len())
            .iter()
            .any(|missing| *missing > 0.0)
        {
            return;
        }
        let mix = self.ask.scale.mix(self.ask.problem, self.counts.clone());
        if self
            .best
            .as_ref()
            .is_none_or(|best| mix.is_better_than(best))
        {
            self.best = Some(mix);
        }
    }

    /// Compares the least that a mix can cost, with the choices before `depth` fixed, with the best.
    fn outlook(&self, depth: usize, bound: f64, changes: u64) -> Outlook {
        let Some(Mix { worth: best, .. }) = &self.best else {
            return Outlook::Open;
        };
        // Rounding in the bound must not cut off a mix that costs just as much.
        if bound * (1.0 - ROUNDING) > best.cost {
            return Outlook::TooDear;
        }
        let is_tie = bound >= best.cost * (1.0 - ROUNDING);
        let least_changes =
            changes.saturating_add(self.least_changes(depth, self.missing_at(depth)));
        // Without changes there is one mix only.
        if is_tie && (best.changes == 0 || least_changes > best.changes) {
            return Outlook::TooFar;
        }
        Outlook::Open
    }

    /// Replicas that the choices from `depth` on have to gain at least.
    fn least_changes(&self, depth: usize, missing: &[f64]) -> u64 {
        missing
            .iter()
            .zip(self.bound.rest(depth))
            .filter(|(missing, rest)| **missing > rest.now && rest.strongest > 0.0)
            .map(|(missing, rest)| {
                ((missing - rest.now) / rest.strongest * (1.0 - 1e-9)).ceil() as u64
            })
            .max()
            .unwrap_or(0)
    }

    /// Counts of the choice at `depth` that can be part of the best mix; `None` where none can.
    fn range(&self, depth: usize) -> Option<(u32, u32)> {
        let position = self.order[depth];
        let choice = &self.ask.problem.choices[position];
        let affordable = choice.held.saturating_add(self.purse.room(choice));
        let upper = self.ask.upper[position].min(affordable);
        let (mut low, mut useful) = (self.ask.lower[position], self.ask.lower[position]);
        let bars = self
            .missing_at(depth)
            .iter()
            .zip(self.bound.rest(depth + 1))
            .zip(self.bars.supply(position));
        for ((missing, rest), supply) in bars {
            low = low.max(replicas(missing - rest.most, *supply)?);
            useful = useful.max(replicas(missing - rest.least, *supply).unwrap_or(0));
        }
        if choice.cost == 0 {
            // More than is needed costs nothing to keep.
            useful = useful.max(choice.start);
        }
        let is_last = depth + 1 == self.order.len();
        let low = if is_last && choice.cost == 0 {
            low.max(choice.start.min(upper))
        } else {
            low
        };
        (low <= upper).then(|| (low, useful.clamp(low, upper)))
    }

    fn missing_at(&self, depth: usize) -> &[f64] {
        let n_bars = self.bars.len();
        &self.missing[depth * n_bars..(depth + 1) * n_bars]
    }
}
