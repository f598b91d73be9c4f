//! The mix to aim at for one problem, as if nobody else wanted GPUs or money.

use crate::ask::{Ask, Effort};
use crate::cover::{Answer, solve};
use crate::problem::Problem;
use crate::purse::Purse;

/// The cheapest mix that is allowed: one that shrinks nothing and meets the floors, or one that
/// meets the ceilings. `None` where the floors cannot be met.
///
/// Pending replicas count in full here, whatever serves; [`crate::handover`] sees to it that nothing
/// goes before its replacement serves. So an aim, once taken, stays the best one on the way there.
pub(crate) fn aim(problem: &Problem, purse: &mut Purse, effort: Effort) -> Answer {
    let floors = problem.floors();
    let growth = grow(problem, &floors, purse, effort);
    let Some(known) = growth.best else {
        return growth;
    };
    let ceilings = problem.ceilings();
    let ask = Ask::any(problem, &ceilings, purse, effort);
    let any = solve(&ask, purse, Some(known));
    Answer {
        best: any.best,
        exact: growth.exact && any.exact,
    }
}

/// The cheapest mix that shrinks nothing and supplies what is required.
pub(crate) fn grow(
    problem: &Problem,
    require: &[f64],
    purse: &mut Purse,
    effort: Effort,
) -> Answer {
    let start = problem.start();
    if problem.meets(&start, require) {
        let best = Some(effort.scale.mix(problem, start));
        return Answer { best, exact: true };
    }
    solve(&Ask::growth(problem, require, purse, effort), purse, None)
}
