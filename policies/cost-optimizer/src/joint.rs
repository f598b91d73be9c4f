//! Least-cost growth of a few problems that share GPUs or money: exact, by branch and bound over
//! the mixes that each of them could take.

use crate::ask::{Effort, replicas};
use crate::claim::Claim;
use crate::purse::Purse;
use crate::worth::Mix;

/// Mixes of one problem; more of them make it too large to be searched jointly.
const MOST_MIXES: usize = 256;

/// What the joint search found.
pub(crate) enum Together {
    /// Mixes in the order of the claims, the cheapest that meet all that is required.
    Found(Vec<Mix>),
    /// No mixes meet all.
    Impossible,
    /// The search would take too long.
    Unknown,
}

/// Nothing is taken from the purse.
pub(crate) fn cheapest_together(claims: &[&Claim], purse: &Purse, effort: Effort) -> Together {
    let mut options = Vec::with_capacity(claims.len());
    for (place, claim) in claims.iter().enumerate() {
        match mixes(claim, purse, effort) {
            Some(mixes) => options.push(Options {
                place,
                claim,
                mixes,
                rest: 0.0,
            }),
            None => return Together::Unknown,
        }
    }
    // Those with the least choice first: their mixes exclude the most.
    options.sort_by_key(|option| option.mixes.len());
    let mut rest = 0.0;
    for option in options.iter_mut().rev() {
        option.rest = rest;
        rest += option.mixes.first().map_or(0.0, |mix| mix.worth.cost);
    }
    let mut search = Search {
        purse: purse.clone(),
        chosen: Vec::with_capacity(options.len()),
        best: None,
        steps_left: effort.steps,
    };
    search.descend(&options, 0.0);
    match (search.best, search.steps_left) {
        (_, 0) => Together::Unknown,
        (None, _) => Together::Impossible,
        (Some((_, mut mixes)), _) => {
            mixes.sort_by_key(|(place, _)| *place);
            Together::Found(mixes.into_iter().map(|(_, mix)| mix).collect())
        }
    }
}

/// One problem with its mixes, the best first.
struct Options<'a> {
    /// Position among the claims.
    place: usize,
    claim: &'a Claim<'a>,
    mixes: Vec<Mix>,
    /// Least that the options after this one cost.
    rest: f64,
}

struct Search {
    purse: Purse,
    chosen: Vec<(usize, Mix)>,
    best: Option<(f64, Vec<(usize, Mix)>)>,
    steps_left: u32,
}

impl Search {
    fn descend(&mut self, options: &[Options], cost: f64) {
        let Some((option, later)) = options.split_first() else {
            // Only reached where it costs less than the best.
            self.best = Some((cost, self.chosen.clone()));
            return;
        };
        for mix in &option.mixes {
            let least = cost + mix.worth.cost + option.rest;
            if self.steps_left == 0 || self.best.as_ref().is_some_and(|(best, _)| least >= *best) {
                return;
            }
            self.steps_left -= 1;
            if self.purse.try_take_all(option.claim.problem, &mix.counts) {
                self.chosen.push((option.place, mix.clone()));
                self.descend(later, cost + mix.worth.cost);
                self.chosen.pop();
                self.purse.put_back_all(option.claim.problem, &mix.counts);
            }
        }
    }
}

/// Every mix that meets what is required and may be part of the cheapest whole, the best first: the
/// last variant has no more than the others leave to it. `None` where there are too many.
fn mixes(claim: &Claim, purse: &Purse, effort: Effort) -> Option<Vec<Mix>> {
    let mut collector = Collector {
        claim,
        purse,
        counts: Vec::with_capacity(claim.problem.choices.len()),
        found: Vec::new(),
        visits_left: 16 * MOST_MIXES,
    };
    collector.visit(&claim.require)?;
    let found = collector.found.into_iter();
    let mut mixes: Vec<Mix> = found
        .map(|counts| effort.scale.mix(claim.problem, counts))
        .collect();
    mixes.sort_by(Mix::order);
    Some(mixes)
}

struct Collector<'a> {
    claim: &'a Claim<'a>,
    purse: &'a Purse,
    /// Of the choices that are fixed.
    counts: Vec<u32>,
    found: Vec<Vec<u32>>,
    visits_left: usize,
}

impl Collector<'_> {
    /// Tries every count of the next choice, where `missing` is what the fixed ones do not supply.
    fn visit(&mut self, missing: &[f64]) -> Option<()> {
        self.visits_left = self.visits_left.checked_sub(1)?;
        let Some(choice) = self.claim.problem.choices.get(self.counts.len()) else {
            self.found.push(self.counts.clone());
            return (self.found.len() <= MOST_MIXES).then_some(());
        };
        let pairs = || missing.iter().zip(&choice.supply);
        let needed: Vec<Option<u32>> = pairs()
            .map(|(missing, each)| replicas(*missing, *each))
            .collect();
        let useful = needed
            .iter()
            .copied()
            .flatten()
            .max()
            .unwrap_or(0)
            .max(choice.start);
        let is_last = self.counts.len() + 1 == self.claim.problem.choices.len();
        if is_last && needed.contains(&None) {
            return Some(());
        }
        let low = if is_last { useful } else { choice.start };
        for count in low..=self.purse.most(choice).min(useful) {
            let left: Vec<f64> = pairs()
                .map(|(missing, each)| missing - each * f64::from(count))
                .collect();
            self.counts.push(count);
            let within = self.visit(&left);
            self.counts.pop();
            within?;
        }
        Some(())
    }
}
