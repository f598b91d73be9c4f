//! The least-cost mix of one problem that supplies what is required: branch and bound, exact within
//! its steps. It knows neither floors nor ceilings; whoever asks says what is required.
#![expect(
    clippy::indexing_slicing,
    reason = "the search's inner loop; every index counts the problem's choices or bars"
)]

use crate::aim::Effort;
use crate::bound::Bound;
use crate::improve::improve;
use crate::problem::{Choice, Problem};
use crate::purse::Purse;
use crate::worth::{Mix, Scale};

/// Share of a cost that is lost in rounding at most.
const ROUNDING: f64 = 1e-12;

/// What is sought.
pub(crate) struct Ask<'a> {
    pub(crate) problem: &'a Problem<'a>,
    pub(crate) scale: Scale,
    /// Supply wanted in each bar.
    pub(crate) require: &'a [f64],
    /// Fewest replicas of each choice, at most what is asked for now.
    pub(crate) lower: Vec<u32>,
    /// Most replicas of each choice, at least what is asked for now.
    pub(crate) upper: Vec<u32>,
    /// Mixes to look at.
    pub(crate) steps: u32,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// `None` where nothing that can be paid supplies enough, as far as was looked.
    pub(crate) best: Option<Mix>,
    /// Whether all was looked at, so that nothing better exists.
    pub(crate) exact: bool,
}

impl<'a> Ask<'a> {
    /// Nothing shrinks.
    pub(crate) fn growth(
        problem: &'a Problem<'a>,
        require: &'a [f64],
        purse: &Purse,
        effort: Effort,
    ) -> Self {
        Self {
            lower: problem.start(),
            ..Self::any(problem, require, purse, effort)
        }
    }

    /// Anything within the variants' bounds and the purse.
    pub(crate) fn any(
        problem: &'a Problem<'a>,
        require: &'a [f64],
        purse: &Purse,
        effort: Effort,
    ) -> Self {
        let lower = problem.choices.iter().map(|choice| choice.min).collect();
        let upper = problem
            .choices
            .iter()
            .map(|choice| purse.most(choice))
            .collect();
        Self {
            problem,
            scale: effort.scale,
            require,
            lower,
            upper,
            steps: effort.steps,
        }
    }

    /// The best mix that supplies what is required; `known` is one that need not be found again,
    /// and is the answer unless a better one exists. The purse is as it was afterwards.
    pub(crate) fn solve(&self, purse: &mut Purse, known: Option<Mix>) -> Answer {
        let order = self.order();
        let bound = Bound::new(self, &order);
        let reachable = bound
            .rest(0)
            .iter()
            .zip(self.require)
            .all(|(rest, need)| rest.most >= *need);
        if !reachable {
            return Answer {
                best: known,
                exact: true,
            };
        }
        let n_bars = self.require.len();
        let mut missing = vec![0.0; (order.len() + 1) * n_bars];
        missing[..n_bars].copy_from_slice(self.require);
        let mut search = Search {
            ask: self,
            bound,
            purse: &mut *purse,
            counts: self.lower.clone(),
            missing,
            best: known,
            steps_left: self.steps.saturating_add(order.len() as u32),
            order,
        };
        let root = search.bound.cost(0, self.require);
        if search.outlook(0, root, 0) == Outlook::Open {
            search.descend(0, 0.0, 0);
        }
        let exact = search.steps_left > 0;
        let best = search.best.map(|mix| {
            if exact {
                mix
            } else {
                improve(self, purse, mix)
            }
        });
        Answer { best, exact }
    }

    /// The dearest supply first and the cheapest last, where its count follows from the others';
    /// of equally dear ones the strongest last.
    fn order(&self) -> Vec<usize> {
        let prices: Vec<(f64, f64)> = self
            .problem
            .choices
            .iter()
            .map(|choice| self.price(choice))
            .collect();
        let mut order: Vec<usize> = (0..prices.len()).collect();
        order.sort_by(|one, other| {
            let ((price, strength), (other_price, other_strength)) = (prices[*one], prices[*other]);
            other_price
                .total_cmp(&price)
                .then(strength.total_cmp(&other_strength))
        });
        order
    }

    /// Price of supply, and supply of one replica, summed over the bars by what they require.
    fn price(&self, choice: &Choice) -> (f64, f64) {
        let strength: f64 = choice
            .supply
            .iter()
            .zip(self.require)
            .filter(|(_, required)| **required > 0.0)
            .map(|(supply, required)| supply / required)
            .sum();
        let price = if strength > 0.0 {
            choice.cost as f64 / strength
        } else {
            f64::INFINITY
        };
        (price, strength)
    }
}

struct Search<'a> {
    ask: &'a Ask<'a>,
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

impl Search<'_> {
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
        let position = self.order[depth];
        let guess = self.bound.guess(
            depth,
            self.missing_at(depth),
            &self.ask.problem.choices[position].supply,
        );
        let middle = self.ask.lower[position]
            .saturating_add(guess as u32)
            .clamp(low, high);
        self.walk(depth, middle..=high, cost, changes);
        self.walk(depth, (low..middle).rev(), cost, changes);
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
        self.steps_left = self.steps_left.saturating_sub(1);
        let position = self.order[depth];
        let choice = &self.ask.problem.choices[position];
        let cost = cost + self.ask.scale.cost(choice, count);
        let changes = changes + u64::from(choice.start.abs_diff(count));
        let n_bars = self.ask.require.len();
        for (bar, supply) in choice.supply.iter().enumerate() {
            self.missing[(depth + 1) * n_bars + bar] =
                self.missing[depth * n_bars + bar] - supply * f64::from(count);
        }
        self.counts[position] = count;
        if depth + 1 == self.order.len() {
            self.finish();
            return (Outlook::Open, cost);
        }
        let bound = cost + self.bound.cost(depth + 1, self.missing_at(depth + 1));
        let outlook = self.outlook(depth + 1, bound, changes);
        if outlook == Outlook::Open {
            self.purse.take(choice, choice.extra(count));
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
        let least_changes = changes + self.least_changes(depth, self.missing_at(depth));
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
            .zip(&choice.supply);
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
        let n_bars = self.ask.require.len();
        &self.missing[depth * n_bars..(depth + 1) * n_bars]
    }
}

/// Replicas that supply what is missing; `None` where no number of them does.
pub(crate) fn replicas(missing: f64, supply: f64) -> Option<u32> {
    if missing <= 0.0 {
        return Some(0);
    }
    let count = (missing / supply).ceil();
    (supply > 0.0 && count <= f64::from(u32::MAX)).then_some(count as u32)
}

#[cfg(test)]
mod tests;
