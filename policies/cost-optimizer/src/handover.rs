//! From the mix to aim at to what is asked for now: nothing that serves goes before what replaces
//! it serves.

use crate::problem::{Choice, Problem};

/// Replicas to ask for on the way to `aim`. What grows is asked for at once, what is pending and
/// superfluous is given up at once. What serves goes only as far as the ceilings are still
/// supplied by replicas that serve.
pub(crate) fn hand_over(problem: &Problem, aim: &[u32]) -> Vec<u32> {
    let mut counts: Vec<u32> = problem
        .choices
        .iter()
        .zip(aim)
        .map(|(choice, wanted)| (*wanted).max(choice.serving))
        .collect();
    let serving: Vec<u32> = problem
        .choices
        .iter()
        .zip(&counts)
        .map(|(choice, count)| choice.variant.ready_replicas.min(*count))
        .collect();
    let mut spare: Vec<f64> = problem
        .supply(&serving)
        .iter()
        .zip(problem.ceilings())
        .map(|(supply, ceiling)| supply - ceiling)
        .collect();
    for position in dearest_first(problem) {
        let choice = problem.choices.get(position);
        if let (Some(choice), Some(count), Some(wanted)) =
            (choice, counts.get_mut(position), aim.get(position))
        {
            let gone = dispensable(choice, &spare).min(count.saturating_sub(*wanted));
            *count -= gone;
            for (spare, each) in spare.iter_mut().zip(&choice.supply) {
                *spare -= each * f64::from(gone);
            }
        }
    }
    counts
}

fn dearest_first(problem: &Problem) -> Vec<usize> {
    let mut order: Vec<(u64, usize)> = problem.choices.iter().map(|c| c.cost).zip(0..).collect();
    order.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(&other.1)));
    order.into_iter().map(|(_, position)| position).collect()
}

/// Replicas that every bar can do without.
fn dispensable(choice: &Choice, spare: &[f64]) -> u32 {
    spare
        .iter()
        .zip(&choice.supply)
        .map(|(spare, each)| match (*spare >= 0.0, *each > 0.0) {
            (false, _) => 0,
            (true, false) => u32::MAX,
            (true, true) => (spare / each).floor() as u32,
        })
        .min()
        .unwrap_or(0)
}
