//! What one problem asks for, if nobody else wanted GPUs or money.

use crate::aim::aim;
use crate::ask::Effort;
use crate::fair;
use crate::problem::Problem;
use crate::purse::Purse;
use crate::worth::Mix;

/// A problem with what it asks for.
pub(crate) struct Claim<'a> {
    pub(crate) problem: &'a Problem<'a>,
    /// Position among the claims of the call.
    pub(crate) number: usize,
    /// The floors, as far as they can be met.
    pub(crate) require: Vec<f64>,
    pub(crate) mix: Mix,
    /// Whether no better mix exists.
    pub(crate) exact: bool,
    /// Whether what is asked for now supplies less than required.
    pub(crate) in_need: bool,
}

impl<'a> Claim<'a> {
    pub(crate) fn new(
        number: usize,
        problem: &'a Problem<'a>,
        purse: &mut Purse,
        effort: Effort,
    ) -> Self {
        let require = problem.floors();
        let mut claim = Self {
            problem,
            number,
            in_need: !problem.meets(&problem.start(), &require),
            require,
            mix: effort.scale.mix(problem, problem.start()),
            exact: true,
        };
        if problem.kept.is_none() {
            let answer = aim(problem, purse, effort);
            claim.exact = answer.exact;
            match answer.best {
                Some(mix) => claim.mix = mix,
                None => claim.settle_for_the_most(purse, effort),
            }
        }
        claim
    }

    /// The floors cannot be met: asks for as much as there is.
    fn settle_for_the_most(&mut self, purse: &mut Purse, effort: Effort) {
        let most = self.most(purse);
        self.lower_to(&most);
        if let Some(mix) = fair::share(&[&*self], purse, effort).pop() {
            purse.put_back_all(self.problem, &mix.counts);
            self.lower_to(&mix.counts);
            self.mix = mix;
        }
        let all_taken = self
            .problem
            .choices
            .iter()
            .zip(self.mix.counts.iter().zip(most))
            .all(|(choice, (count, most))| !choice.is_useful() || *count == most);
        self.exact &= all_taken;
    }

    /// Requires no more than `counts` supply.
    fn lower_to(&mut self, counts: &[u32]) {
        for (required, supply) in self.require.iter_mut().zip(self.problem.supply(counts)) {
            *required = required.min(supply);
        }
        self.in_need = !self.problem.meets(&self.problem.start(), &self.require);
    }

    fn most(&self, purse: &Purse) -> Vec<u32> {
        self.problem
            .choices
            .iter()
            .map(|choice| purse.most(choice))
            .collect()
    }

    /// Accelerators on which it can grow.
    pub(crate) fn n_ways(&self) -> usize {
        let mut slots: Vec<usize> = self
            .problem
            .choices
            .iter()
            .filter(|choice| choice.is_useful() && choice.max > choice.start)
            .map(|choice| choice.slot)
            .collect();
        slots.sort_unstable();
        slots.dedup();
        slots.len()
    }

    /// Whether it asks for more of something than is asked for now.
    pub(crate) fn grows(&self) -> bool {
        self.problem
            .choices
            .iter()
            .zip(&self.mix.counts)
            .any(|(choice, count)| *count > choice.start)
    }
}
