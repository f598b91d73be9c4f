//! What is sought of one problem: which supply, within which counts, with how much effort. It knows
//! neither floors nor ceilings; whoever asks says what is required.
#![expect(
    clippy::indexing_slicing,
    reason = "the search's inner loop; every index counts the problem's choices or bars"
)]

use crate::problem::{Choice, Problem};
use crate::purse::Purse;
use crate::worth::Scale;

/// How long and by which measure one problem is searched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) scale: Scale,
    pub(crate) steps: u32,
}

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

    /// The dearest supply first and the cheapest last, where its count follows from the others';
    /// of equally dear ones the strongest last.
    pub(crate) fn order(&self) -> Vec<usize> {
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
