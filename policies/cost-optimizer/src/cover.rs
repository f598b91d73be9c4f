//! The least-cost mix of one problem that supplies what is required. It knows neither floors nor
//! ceilings; whoever asks says what is required.
#![expect(
    clippy::indexing_slicing,
    reason = "the search's inner loop; every index counts the problem's choices or bars"
)]

use crate::aim::Effort;
use crate::bars::Bars;
use crate::bound::Bound;
use crate::improve::improve;
use crate::problem::{Choice, Problem};
use crate::purse::Purse;
use crate::search::Search;
use crate::worth::{Mix, Scale};

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
    /// Steps to search.
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
        let bars = Bars::new(self);
        let order = self.order();
        let bound = Bound::new(self, &bars, &order);
        let mut rests = bound.rest(0).iter().zip(&bars.require);
        if rests.any(|(rest, required)| rest.most < *required) {
            return Answer {
                best: known,
                exact: true,
            };
        }
        let (best, exact) = Search::new(self, (bars, bound), order, &mut *purse, known).run();
        let best = best.map(|mix| {
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
