//! The least factor on a plan's capacity at which it meets its objective.

use super::attempt::{ALIKE, Attempt};
use super::plan::Plan;

/// Between two factors that are tried one after the other while neither end is known.
const STRIDE: f64 = 1.2;

/// Steps of [`STRIDE`] in one direction before the search gives up there: a factor of 38.
const MOST_STRIDES: u32 = 20;

/// Strides upwards without a gain after which more is no use, e.g. where a prompt alone takes
/// longer than the objective.
const MOST_IN_VAIN: u32 = 3;

/// A search ends when the least factor is known this well.
const CLOSE: f64 = 1.01;

/// The attempt with the least factor that meets the objective; where none does, the cheapest of
/// those that come closest. `plan` gives more for a larger factor, or the same.
///
/// From a factor of 1 on in strides until one factor meets and one does not, then between those
/// two. A plan that is one of the two is not tried again.
pub(super) fn least(
    plan: impl Fn(f64) -> Plan,
    mut attempt: impl FnMut(Plan) -> Attempt,
) -> Attempt {
    let first = attempt(plan(1.0));
    let (mut low, mut high) = if first.met {
        match downwards(&plan, &mut attempt, first) {
            Ok(bracket) => bracket,
            Err(always) => return always,
        }
    } else {
        match upwards(&plan, &mut attempt, first) {
            Ok(bracket) => bracket,
            Err(closest) => return closest,
        }
    };
    while high.factor / low.factor > CLOSE {
        let factor = (low.factor * high.factor).sqrt();
        let candidate = plan(factor);
        if candidate == high.attempt.plan {
            high.factor = factor;
        } else if candidate == low.attempt.plan {
            low.factor = factor;
        } else {
            let attempt = attempt(candidate);
            let end = if attempt.met { &mut high } else { &mut low };
            *end = Tried { factor, attempt };
        }
    }
    high.attempt
}

/// A factor and how its plan did.
struct Tried {
    factor: f64,
    attempt: Attempt,
}

/// Two factors, of which the first misses the objective and the second meets it.
type Bracket = (Tried, Tried);

/// From an attempt that meets to the first that does not; the last one where all do.
fn downwards(
    plan: &impl Fn(f64) -> Plan,
    attempt: &mut impl FnMut(Plan) -> Attempt,
    first: Attempt,
) -> Result<Bracket, Attempt> {
    let mut high = Tried {
        factor: 1.0,
        attempt: first,
    };
    let mut factor = 1.0;
    for _ in 0..MOST_STRIDES {
        factor /= STRIDE;
        let candidate = plan(factor);
        if candidate == high.attempt.plan {
            high.factor = factor;
            continue;
        }
        let next = Tried {
            factor,
            attempt: attempt(candidate),
        };
        if !next.attempt.met {
            return Ok((next, high));
        }
        high = next;
    }
    Err(high.attempt)
}

/// From an attempt that misses to the first that meets; the best one where none does.
fn upwards(
    plan: &impl Fn(f64) -> Plan,
    attempt: &mut impl FnMut(Plan) -> Attempt,
    first: Attempt,
) -> Result<Bracket, Attempt> {
    let mut best = first.clone();
    let mut low = Tried {
        factor: 1.0,
        attempt: first,
    };
    let mut factor = 1.0;
    let mut in_vain = 0;
    for _ in 0..MOST_STRIDES {
        factor *= STRIDE;
        let candidate = plan(factor);
        if candidate == low.attempt.plan {
            low.factor = factor;
            continue;
        }
        let next = Tried {
            factor,
            attempt: attempt(candidate),
        };
        if next.attempt.met {
            return Ok((low, next));
        }
        let gained = next.attempt.attainment > best.attainment + ALIKE;
        in_vain = if gained { 0 } else { in_vain + 1 };
        if gained {
            best = next.attempt.clone();
        }
        if in_vain == MOST_IN_VAIN {
            break;
        }
        low = next;
    }
    Err(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of ten times the factor.
    fn plan(factor: f64) -> Plan {
        Plan::constant(vec![(factor * 10.0).ceil() as u32])
    }

    /// The count found, and after how many attempts; attainment by count.
    fn search(attainment: impl Fn(u32) -> f64) -> (u32, usize) {
        let mut attempts = 0;
        let found = least(plan, |plan| {
            attempts += 1;
            let count = plan.counts[0][0];
            let attainment = attainment(count);
            Attempt {
                plan,
                met: attainment >= 0.99,
                attainment,
                cost: f64::from(count),
            }
        });
        (found.plan.counts[0][0], attempts)
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
        assert!((17..=21).contains(&count), "{count}");
        assert!(attempts <= 8, "{attempts}");
    }

    #[test]
    fn what_always_meets_becomes_as_small_as_can_be() {
        assert_eq!(search(|_| 1.0).0, 1);
    }
}
