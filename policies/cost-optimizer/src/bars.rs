//! The bars of a problem as the search sees them.
#![expect(
    clippy::indexing_slicing,
    reason = "the search's inner loop; every index counts the problem's choices or bars"
)]

use crate::ask::Ask;

/// Required supply, and what one replica of each choice gives to it.
///
/// Where there are several bars, one more sums them, each by what it requires. It requires nothing
/// new, but what is cheap for one bar and useless for another looks cheap to each bar alone; the sum
/// prices it for both, and with that the search's lower bound is much nearer to the truth.
pub(crate) struct Bars {
    pub(crate) require: Vec<f64>,
    supply: Vec<f64>,
}

impl Bars {
    pub(crate) fn new(ask: &Ask) -> Self {
        let mut require = ask.require.to_vec();
        let is_summed = require.iter().filter(|required| **required > 0.0).count() > 1;
        let sum = |supply: &[f64]| -> f64 {
            let pairs = supply.iter().zip(ask.require);
            pairs
                .filter(|(_, required)| **required > 0.0)
                .map(|(s, required)| s / required)
                .sum()
        };
        let mut supply = Vec::with_capacity(ask.problem.choices.len() * (require.len() + 1));
        for choice in &ask.problem.choices {
            supply.extend_from_slice(&choice.supply);
            supply.extend(is_summed.then(|| sum(&choice.supply)));
        }
        // Rounding in the sum must not require more than the bars do.
        require.extend(is_summed.then(|| sum(ask.require) * (1.0 - 1e-9)));
        Self { require, supply }
    }

    pub(crate) fn len(&self) -> usize {
        self.require.len()
    }

    /// What one replica of a choice supplies to each bar.
    pub(crate) fn supply(&self, position: usize) -> &[f64] {
        &self.supply[position * self.len()..(position + 1) * self.len()]
    }
}
