//! What there is, shared out replica by replica to those who have the least of what they need.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::ask::{Ask, Effort, replicas};
use crate::claim::Claim;
use crate::cover::solve;
use crate::problem::{Choice, Problem};
use crate::purse::Purse;
use crate::worth::Mix;

/// Turns in which a need is met at most: needs of fewer replicas are met one by one.
const TURNS: u32 = 256;

/// Attempts to make more of what one problem got; each is a search.
const ATTEMPTS: usize = 4;

/// Share of its floors by which an attempt must do better.
const BETTER: f64 = 1e-6;

/// Share of the floors that `counts` meet, in the bar that is met the least. 1 where all that is
/// required is there.
pub(crate) fn satisfaction(problem: &Problem, require: &[f64], counts: &[u32]) -> f64 {
    problem
        .bars
        .iter()
        .zip(missing(problem, require, counts))
        .zip(require)
        .filter(|((_, missing), _)| *missing > 0.0)
        .map(|((bar, missing), required)| (required - missing) / bar.floor)
        .fold(1.0, f64::min)
}

fn missing(problem: &Problem, require: &[f64], counts: &[u32]) -> Vec<f64> {
    require
        .iter()
        .zip(problem.supply(counts))
        .map(|(required, supply)| required - supply)
        .collect()
}

/// The most that the claims can have, in their order; the purse pays for it. Of claims that are
/// equally satisfied the one whose next replica is cheaper comes first, then the order decides.
pub(crate) fn share(claims: &[&Claim], purse: &mut Purse, effort: Effort) -> Vec<Mix> {
    let mut shares: Vec<Vec<u32>> = claims.iter().map(|claim| claim.problem.start()).collect();
    fill(claims, &mut shares, purse);
    for (claim, share) in claims.iter().zip(&mut shares) {
        make_more(claim, share, purse, effort);
    }
    // What better mixes gave back.
    fill(claims, &mut shares, purse);
    let pairs = claims.iter().zip(shares);
    pairs
        .map(|(claim, counts)| effort.scale.mix(claim.problem, counts))
        .collect()
}

/// Gives to whoever is satisfied the least, until nobody can or need have more.
fn fill(claims: &[&Claim], shares: &mut [Vec<u32>], purse: &mut Purse) {
    let mut turns: BinaryHeap<Turn> = claims
        .iter()
        .zip(shares.iter())
        .enumerate()
        .filter_map(|(place, (claim, counts))| Turn::next(place, claim, counts, purse))
        .collect();
    while let Some(turn) = turns.pop() {
        let (Some(claim), Some(counts)) = (claims.get(turn.place), shares.get_mut(turn.place))
        else {
            continue;
        };
        turn.take(claim, counts, purse);
        turns.extend(Turn::next(turn.place, claim, counts, purse));
    }
}

/// The next replicas for a claim. The greatest turn is the next one.
#[derive(Clone, Copy, Debug)]
struct Turn {
    satisfaction: f64,
    /// Of one replica.
    cost: u64,
    /// Position among the claims.
    place: usize,
    /// Position among the problem's choices.
    choice: usize,
    replicas: u32,
}

impl Turn {
    /// The choice that makes up for what is missing at the least cost.
    fn next(place: usize, claim: &Claim, counts: &[u32], purse: &Purse) -> Option<Self> {
        let problem = claim.problem;
        let missing = missing(problem, &claim.require, counts);
        let mut best: Option<(f64, usize, &Choice, u32)> = None;
        for (position, (choice, count)) in problem.choices.iter().zip(counts).enumerate() {
            let relief = relief(problem, &missing, choice);
            let more = purse.more(choice, *count);
            let price = choice.cost as f64 / relief;
            if relief > 0.0 && more > 0 && best.is_none_or(|(least, ..)| price < least) {
                best = Some((price, position, choice, more));
            }
        }
        let (_, position, choice, more) = best?;
        let needed = missing
            .iter()
            .zip(&choice.supply)
            .filter_map(|(m, each)| replicas(*m, *each));
        Some(Self {
            satisfaction: satisfaction(problem, &claim.require, counts),
            cost: choice.cost,
            place,
            choice: position,
            replicas: (needed.max().unwrap_or(0) / TURNS).clamp(1, more),
        })
    }

    fn take(self, claim: &Claim, counts: &mut [u32], purse: &mut Purse) {
        let choice = claim.problem.choices.get(self.choice);
        let (Some(choice), Some(count)) = (choice, counts.get_mut(self.choice)) else {
            return;
        };
        // Others may have emptied the purse since this turn was thought of.
        let more = self.replicas.min(purse.more(choice, *count));
        let before = choice.extra(*count);
        *count += more;
        purse.take(choice, choice.extra(*count) - before);
    }
}

/// Share of the floors that one replica adds where something is missing.
fn relief(problem: &Problem, missing: &[f64], choice: &Choice) -> f64 {
    problem
        .bars
        .iter()
        .zip(missing)
        .zip(&choice.supply)
        .filter(|((_, missing), _)| **missing > 0.0)
        .map(|((bar, missing), each)| each.min(*missing) / bar.floor)
        .sum()
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .satisfaction
            .total_cmp(&self.satisfaction)
            .then(other.cost.cmp(&self.cost))
            .then(other.place.cmp(&self.place))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Turn {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Turn {}

/// Searches for a cheaper mix that supplies as much as `counts`, then for one that supplies more,
/// with what `counts` took and what is left: replica by replica is not always the best way.
fn make_more(claim: &Claim, counts: &mut Vec<u32>, purse: &mut Purse, effort: Effort) {
    let problem = claim.problem;
    if problem.choices.len() < 2 {
        return;
    }
    let effort = Effort {
        steps: effort.steps / ATTEMPTS as u32,
        ..effort
    };
    purse.put_back_all(problem, counts);
    let supply = problem.supply(counts);
    let as_much: Vec<f64> = claim
        .require
        .iter()
        .zip(supply)
        .map(|(required, supply)| required.min(supply))
        .collect();
    let mut best = effort.scale.mix(problem, std::mem::take(counts));
    let ask = Ask::growth(problem, &as_much, purse, effort);
    let cheaper = solve(&ask, purse, Some(best.clone()));
    best = cheaper.best.unwrap_or(best);
    for _ in 0..ATTEMPTS {
        let satisfied = satisfaction(problem, &claim.require, &best.counts);
        if satisfied >= 1.0 {
            break;
        }
        let more: Vec<f64> = claim
            .require
            .iter()
            .zip(&problem.bars)
            .map(|(required, bar)| required.min(bar.floor * (satisfied + BETTER)))
            .collect();
        let ask = Ask::growth(problem, &more, purse, effort);
        match solve(&ask, purse, None).best {
            Some(mix) => best = mix,
            None => break,
        }
    }
    purse.try_take_all(problem, &best.counts);
    *counts = best.counts;
}
