//! Local improvement of a mix, for problems that are too large for an exact search.

use crate::ask::{Ask, replicas};
use crate::purse::Purse;
use crate::worth::Mix;

/// Each pass gives up one replica; a search that ran out of steps is near its optimum already.
const PASSES: usize = 32;

/// Gives up replicas one by one, or puts others in their place, while that makes the mix better.
pub(crate) fn improve(ask: &Ask, purse: &mut Purse, mut mix: Mix) -> Mix {
    for _ in 0..PASSES {
        match best_neighbour(ask, purse, &mix) {
            Some(better) => mix = better,
            None => break,
        }
    }
    mix
}

fn best_neighbour(ask: &Ask, purse: &mut Purse, mix: &Mix) -> Option<Mix> {
    let mut best: Option<Mix> = None;
    for given_up in 0..mix.counts.len() {
        let Some(fewer) = without_one(ask, mix, given_up) else {
            continue;
        };
        for replacement in 0..mix.counts.len() {
            let Some(counts) = covered_by(ask, &fewer, replacement) else {
                continue;
            };
            let candidate = ask.scale.mix(ask.problem, counts);
            if candidate.is_better_than(best.as_ref().unwrap_or(mix))
                && purse.try_take_all(ask.problem, &candidate.counts)
            {
                purse.put_back_all(ask.problem, &candidate.counts);
                best = Some(candidate);
            }
        }
    }
    best
}

fn without_one(ask: &Ask, mix: &Mix, position: usize) -> Option<Vec<u32>> {
    let mut counts = mix.counts.clone();
    let (count, least) = (counts.get_mut(position)?, ask.lower.get(position)?);
    *count = count.checked_sub(1).filter(|left| left >= least)?;
    Some(counts)
}

/// `counts` with as many more of one choice as the requirement needs.
fn covered_by(ask: &Ask, counts: &[u32], position: usize) -> Option<Vec<u32>> {
    let supply = ask.problem.supply(counts);
    let choice = ask.problem.choices.get(position)?;
    let mut more = 0;
    for ((required, supplied), each) in ask.require.iter().zip(supply).zip(&choice.supply) {
        more = replicas(required - supplied, *each)?.max(more);
    }
    let mut counts = counts.to_vec();
    let count = counts.get_mut(position)?;
    *count = count
        .checked_add(more)
        .filter(|sum| Some(sum) <= ask.upper.get(position))?;
    Some(counts)
}
