//! The least factor on a plan's capacity at which it is good enough.

use super::attempt::{Attempt, Attempts};
use super::plan::Plan;

/// Between two factors that are tried one after the other while neither end is known.
const STRIDE: f64 = 1.2;

/// Steps of [`STRIDE`] in one direction before the search gives up there: a factor of 38.
const MOST_STRIDES: u32 = 20;

/// Strides upwards without a gain after which more is no use, e.g. where a prompt alone takes
/// longer than the objective.
const MOST_IN_VAIN: u32 = 3;

/// Attainments that differ by less are no gain.
const ALIKE: f64 = 1e-3;

/// A search ends when the least factor is known this well.
const CLOSE: f64 = 1.01;

/// Tries plans up to the least factor that attains what is wanted; where none does, up to the least
/// that comes near the best. `plan` gives more for a larger factor, or the same.
pub(super) fn least<S: FnMut(Plan) -> Attempt>(
    plan: impl Fn(f64) -> Plan,
    attempts: &mut Attempts<S>,
    wanted: f64,
) {
    if !attains(&plan, attempts, wanted) {
        // What was tried before is not simulated again.
        let near = attempts.goal(wanted);
        attains(&plan, attempts, near);
    }
}

/// Whether some factor attains the goal; then the least that does has been tried.
///
/// From a factor of 1 on in strides until one factor attains it and one does not, then between
/// those two.
fn attains<S: FnMut(Plan) -> Attempt>(
    plan: &impl Fn(f64) -> Plan,
    attempts: &mut Attempts<S>,
    goal: f64,
) -> bool {
    let bracket = if attempts.attain(plan(1.0)) >= goal {
        match downwards(plan, attempts, goal) {
            Some(bracket) => bracket,
            None => return true,
        }
    } else {
        match upwards(plan, attempts, goal) {
            Some(bracket) => bracket,
            None => return false,
        }
    };
    let (mut low, mut high) = bracket;
    while high / low > CLOSE {
        let factor = (low * high).sqrt();
        if attempts.attain(plan(factor)) >= goal {
            high = factor;
        } else {
            low = factor;
        }
    }
    true
}

/// Two factors, of which the first misses the goal and the second attains it.
type Bracket = (f64, f64);

/// From 1, which attains the goal, to the first that does not; `None` where all do.
fn downwards<S: FnMut(Plan) -> Attempt>(
    plan: &impl Fn(f64) -> Plan,
    attempts: &mut Attempts<S>,
    goal: f64,
) -> Option<Bracket> {
    let mut high = 1.0;
    for _ in 0..MOST_STRIDES {
        let factor = high / STRIDE;
        if attempts.attain(plan(factor)) < goal {
            return Some((factor, high));
        }
        high = factor;
    }
    None
}

/// From 1, which misses the goal, to the first that attains it; `None` where none does.
fn upwards<S: FnMut(Plan) -> Attempt>(
    plan: &impl Fn(f64) -> Plan,
    attempts: &mut Attempts<S>,
    goal: f64,
) -> Option<Bracket> {
    let (mut low, mut last) = (1.0, plan(1.0));
    let mut best = attempts.attain(last.clone());
    let mut in_vain = 0;
    for _ in 0..MOST_STRIDES {
        let factor = low * STRIDE;
        let next = plan(factor);
        // A plan that is the same again says nothing of whether more is of use.
        if next != last {
            let attained = attempts.attain(next.clone());
            if attained >= goal {
                return Some((low, factor));
            }
            let gained = attained > best + ALIKE;
            in_vain = if gained { 0 } else { in_vain + 1 };
            if gained {
                best = attained;
            }
            if in_vain == MOST_IN_VAIN {
                return None;
            }
            last = next;
        }
        low = factor;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of ten times the factor.
    fn plan(factor: f64) -> Plan {
        Plan::constant(vec![(factor * 10.0).ceil() as u32])
    }

    /// The count found, and after how many simulations; attainment by count.
    fn search(attainment: impl Fn(u32) -> f64) -> (u32, usize) {
        let mut attempts = Attempts::new(|plan: Plan| {
            let count = plan.counts[0][0];
            Attempt {
                plan,
                attainment: attainment(count),
                cost: f64::from(count),
            }
        });
        least(plan, &mut attempts, 0.99);
        let found = attempts.choose(0.99).unwrap().plan.counts[0][0];
        (found, attempts.all().len())
    }

    #[test]
    fn the_least_count_that_meets_is_found() {
        for enough in [1, 3, 9, 10, 11, 30, 99] {
            let (count, attempts) =
                search(|count| (f64::from(count) / f64::from(enough)).min(1.0) * 0.99);
            assert_eq!(count, enough);
            assert!(attempts <= 18, "{attempts} for {enough}");
        }
    }

    #[test]
    fn a_search_without_an_answer_ends_where_more_is_no_use() {
        let (count, attempts) = search(|count| f64::from(count.min(17)) / 20.0);
        assert_eq!(count, 17);
        assert!(attempts <= 14, "{attempts}");
    }

    #[test]
    fn what_is_out_of_reach_is_missed_at_the_least_count() {
        // Four attain as much as ten, where the search begins.
        assert_eq!(search(|count| if count < 4 { 0.2 } else { 0.95 }).0, 4);
    }

    #[test]
    fn what_always_meets_becomes_as_small_as_can_be() {
        assert_eq!(search(|_| 1.0).0, 1);
    }
}
