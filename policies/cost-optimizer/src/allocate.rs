//! From what each problem asks for to mixes that together can be paid.

use crate::aim::{aim, grow};
use crate::ask::Effort;
use crate::claim::Claim;
use crate::fair;
use crate::joint::{Together, cheapest_together};
use crate::problem::Problem;
use crate::purse::Purse;
use crate::worth::Mix;

/// Problems that are still searched jointly.
const FEW: usize = 12;

/// The mixes to aim at, in the order of the problems.
pub(crate) struct Allocation {
    pub(crate) mixes: Vec<Mix>,
    pub(crate) method: Method,
}

/// How good the mixes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Method {
    /// Problems for which a better mix may exist, since the search ran out of steps.
    pub(crate) n_unproven: usize,
    /// What the problems ask for exceeds GPUs or budget.
    pub(crate) contended: bool,
    /// Problems that get less than they could have alone.
    pub(crate) n_short: usize,
    /// Mixes were chosen one after the other, or shared out, so that a cheaper whole may exist.
    pub(crate) in_turn: bool,
}

/// Pays from the purse for everything that the mixes have beyond what is there.
pub(crate) fn allocate(problems: &[Problem], purse: &mut Purse, effort: Effort) -> Allocation {
    let claims: Vec<Claim> = problems
        .iter()
        .enumerate()
        .map(|(number, problem)| Claim::new(number, problem, purse, effort))
        .collect();
    let n_unproven = claims.iter().filter(|claim| !claim.exact).count();
    let method = Method {
        n_unproven,
        ..Method::default()
    };
    if claims.iter().all(|claim| !claim.grows()) || try_take(&claims, purse) {
        let mixes = claims.into_iter().map(|claim| claim.mix).collect();
        return Allocation { mixes, method };
    }
    let mut contest = Contest {
        claims: &claims,
        mixes: Vec::new(),
        purse,
        effort,
        method,
    };
    contest.decide();
    Allocation {
        mixes: contest.mixes,
        method: contest.method,
    }
}

/// Pays for every claim, or for none.
fn try_take(claims: &[Claim], purse: &mut Purse) -> bool {
    let mut left = purse.clone();
    let all = claims
        .iter()
        .all(|claim| left.try_take_all(claim.problem, &claim.mix.counts));
    if all {
        *purse = left;
    }
    all
}

/// Claims that exceed the purse.
struct Contest<'a> {
    claims: &'a [Claim<'a>],
    mixes: Vec<Mix>,
    purse: &'a mut Purse,
    effort: Effort,
    method: Method,
}

impl<'a> Contest<'a> {
    /// Needs first, by priority; then replacements, which only save money.
    fn decide(&mut self) {
        self.method.contended = true;
        self.mixes = self
            .claims
            .iter()
            .map(|claim| match claim.grows() {
                true => self.effort.scale.mix(claim.problem, claim.problem.start()),
                false => claim.mix.clone(),
            })
            .collect();
        self.meet_needs();
        self.replace();
        let pairs = self.claims.iter().zip(&self.mixes);
        self.method.n_short = pairs
            .filter(|(claim, mix)| !claim.problem.meets(&mix.counts, &claim.require))
            .count();
    }

    fn meet_needs(&mut self) {
        let mut needs: Vec<&Claim> = self.claims.iter().filter(|claim| claim.in_need).collect();
        needs.sort_by_key(|claim| (claim.problem.rank, claim.problem.name()));
        // Where all floors can be met, priorities do not matter.
        if self.try_together(&needs) {
            return;
        }
        for group in needs.chunk_by(|one, other| one.problem.rank == other.problem.rank) {
            if !self.try_together(group) {
                let mixes = fair::share(group, self.purse, self.effort);
                self.method.in_turn = true;
                self.set(group, mixes);
            }
        }
    }

    /// Meets what all of a group require, or changes nothing.
    fn try_together(&mut self, group: &[&Claim<'a>]) -> bool {
        if group.len() <= FEW {
            match cheapest_together(group, self.purse, self.effort) {
                Together::Found(mixes) => {
                    for (claim, mix) in group.iter().zip(&mixes) {
                        self.purse.try_take_all(claim.problem, &mix.counts);
                    }
                    self.set(group, mixes);
                    return true;
                }
                Together::Impossible => return false,
                Together::Unknown => {}
            }
        }
        self.try_in_turn(group)
    }

    /// Those with the fewest ways out choose first, then those in the greatest need.
    fn try_in_turn(&mut self, group: &[&Claim<'a>]) -> bool {
        let mut order = group.to_vec();
        order.sort_by_cached_key(|claim| {
            let satisfied =
                fair::satisfaction(claim.problem, &claim.require, &claim.problem.start());
            // As bits, numbers that are not negative keep their order.
            (claim.n_ways(), satisfied.to_bits(), claim.problem.name())
        });
        let mut left = self.purse.clone();
        let mut mixes = Vec::with_capacity(order.len());
        for claim in &order {
            match grow(claim.problem, &claim.require, &mut left, self.effort).best {
                Some(mix) if left.try_take_all(claim.problem, &mix.counts) => mixes.push(mix),
                _ => return false,
            }
        }
        *self.purse = left;
        self.method.in_turn = true;
        self.set(&order, mixes);
        true
    }

    /// Replacements of what serves well enough, those that save the most first.
    fn replace(&mut self) {
        let mut wishes: Vec<(&Claim, f64)> = self
            .claims
            .iter()
            .filter(|claim| !claim.in_need && claim.grows())
            .map(|claim| {
                let start = self.effort.scale.mix(claim.problem, claim.problem.start());
                (claim, start.worth.cost - claim.mix.worth.cost)
            })
            .collect();
        wishes.sort_by(|(one, saving), (other, other_saving)| {
            let by_name = || one.problem.name().cmp(&other.problem.name());
            other_saving.total_cmp(saving).then_with(by_name)
        });
        self.method.in_turn |= !wishes.is_empty();
        for (claim, _) in wishes {
            if let Some(mix) = aim(claim.problem, self.purse, self.effort).best
                && self.purse.try_take_all(claim.problem, &mix.counts)
            {
                self.set(&[claim], vec![mix]);
            }
        }
    }

    fn set(&mut self, group: &[&Claim], mixes: Vec<Mix>) {
        for (claim, mix) in group.iter().zip(mixes) {
            if let Some(place) = self.mixes.get_mut(claim.number) {
                *place = mix;
            }
        }
    }
}
