//! The least factor on a plan's capacity at which it meets its objective.

use super::attempt::Attempt;
use super::plan::Plan;

/// Between two factors that are tried one after the other while neither end is known.
const STRIDE: f64 = 1.2;

/// Steps of [`STRIDE`] in one direction before the search gives up there: a factor of 38.
const MOST_STRIDES: u32 = 20;

/// A search ends when the least factor is known this well.
const CLOSE: f64 = 1.01;

/// The attempt with the least factor that meets the objective; where none does, the attempt with
/// the largest factor. `plan` gives more for a larger factor, or the same.
///
/// From a factor of 1 on in strides until one factor meets and one does not, then between those
/// two. Plans that were already tried are not tried again.
pub(super) fn least(
    plan: impl Fn(f64) -> Plan,
    mut attempt: impl FnMut(Plan) -> Attempt,
) -> Attempt {
    let mut at = 1.0;
    let mut found = attempt(plan(at));
    let upwards = !found.met;
    let mut bracket = None;
    for _ in 0..MOST_STRIDES {
        let next = if upwards { at * STRIDE } else { at / STRIDE };
        let candidate = plan(next);
        if candidate != found.plan {
            let tried = attempt(candidate);
            if tried.met != found.met {
                let (met, missed) = if tried.met {
                    (tried, found.plan)
                } else {
                    (found.clone(), tried.plan)
                };
                bracket = Some(((next.min(at), missed), (next.max(at), met.clone())));
                found = met;
                break;
            }
            found = tried;
        }
        at = next;
    }
    let Some(((mut low, missed), (mut high, mut met))) = bracket else {
        return found;
    };
    let mut missed = missed;
    while high / low > CLOSE {
        let middle = (low * high).sqrt();
        let candidate = plan(middle);
        if candidate == met.plan {
            high = middle;
        } else if candidate == missed {
            low = middle;
        } else {
            let tried = attempt(candidate);
            if tried.met {
                (high, met) = (middle, tried);
            } else {
                (low, missed) = (middle, tried.plan);
            }
        }
    }
    met
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of ten times the factor; costs its count.
    fn plan(factor: f64) -> Plan {
        Plan::constant(vec![(factor * 10.0).ceil() as u32])
    }

    fn search(enough: u32) -> (u32, usize) {
        let mut attempts = 0;
        let found = least(plan, |plan| {
            attempts += 1;
            let count = plan.counts[0][0];
            Attempt {
                plan,
                met: count >= enough,
                cost: f64::from(count),
            }
        });
        (found.plan.counts[0][0], attempts)
    }

    #[test]
    fn the_least_count_that_meets_is_found() {
        for enough in [1, 3, 9, 10, 11, 30, 99] {
            let (count, attempts) = search(enough);
            assert_eq!(count, enough);
            assert!(attempts <= 18, "{attempts} for {enough}");
        }
    }

    #[test]
    fn a_search_without_an_answer_ends_at_the_most() {
        let (count, _) = search(10_000);
        assert!(count > 300, "{count}");
    }

    #[test]
    fn what_always_meets_becomes_as_small_as_can_be() {
        assert_eq!(search(0).0, 1);
    }
}
