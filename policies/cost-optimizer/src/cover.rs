//! The least-cost mix of one problem that supplies what is required.

use crate::ask::Ask;
use crate::bars::Bars;
use crate::bound::Bound;
use crate::improve::improve;
use crate::purse::Purse;
use crate::search::Search;
use crate::worth::Mix;

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// `None` where nothing that can be paid supplies enough, as far as was looked.
    pub(crate) best: Option<Mix>,
    /// Whether all was looked at, so that nothing better exists.
    pub(crate) exact: bool,
}

/// The best mix that supplies what is required; `known` is one that need not be found again,
/// and is the answer unless a better one exists. The purse is as it was afterwards.
pub(crate) fn solve(ask: &Ask, purse: &mut Purse, known: Option<Mix>) -> Answer {
    let bars = Bars::new(ask);
    let order = ask.order();
    let bound = Bound::new(ask, &bars, &order);
    let mut rests = bound.rest(0).iter().zip(&bars.require);
    if rests.any(|(rest, required)| rest.most < *required) {
        return Answer {
            best: known,
            exact: true,
        };
    }
    let (best, exact) = Search::new(ask, (bars, bound), order, &mut *purse, known).run();
    let best = best.map(|mix| if exact { mix } else { improve(ask, purse, mix) });
    Answer { best, exact }
}

#[cfg(test)]
mod tests;
