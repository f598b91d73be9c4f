//! The beginning of each policy version: one that merely loads is not yet good, and one that faults
//! too often at its beginning is to make room for the one before.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::decision::Call;
use crate::policies::Digest;

/// Calls that are looked at, and faults among them that are too many.
const CALLS: u32 = 10;
const TOO_MANY_FAULTS: u32 = 3;

/// A version that was not called for this long is bound nowhere any more.
const FORGOTTEN_AFTER_MS: u64 = 86_400_000;

/// How each version that is called began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Probations(BTreeMap<Digest, Probation>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Probation {
    /// Calls so far, as far as they are looked at.
    calls: u32,
    /// Faults among these.
    faults: u32,
    /// Whether an answer of it was ever accepted.
    good: bool,
    called_ms: u64,
}

impl Probations {
    /// Counts what a call showed of each policy that it reached.
    pub(crate) fn record(&mut self, call: &Call, now_ms: u64) {
        for rung in call.faults.iter().filter(|rung| rung.fault.is_some()) {
            let of = self.0.entry(rung.digest.clone()).or_default();
            if of.calls < CALLS {
                of.calls += 1;
                of.faults += 1;
            }
            of.called_ms = now_ms;
        }
        if let Some(answerer) = &call.answered_by {
            let of = self.0.entry(answerer.digest.clone()).or_default();
            of.calls = (of.calls + 1).min(CALLS);
            of.good |= call.refusal.is_none();
            of.called_ms = now_ms;
        }
    }

    /// Versions of which an answer was accepted.
    pub(crate) fn good(&self) -> BTreeSet<Digest> {
        self.of(|of| of.good)
    }

    /// Versions that faulted too often at their beginning.
    pub(crate) fn failed(&self) -> BTreeSet<Digest> {
        self.of(|of| of.faults >= TOO_MANY_FAULTS)
    }

    fn of(&self, is: impl Fn(&Probation) -> bool) -> BTreeSet<Digest> {
        let found = self.0.iter().filter(|(_, of)| is(of));
        found.map(|(digest, _)| digest.clone()).collect()
    }

    /// A version that begins anew.
    pub(crate) fn absolve(&mut self, digest: &Digest) {
        self.0.remove(digest);
    }

    pub(crate) fn absorb(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn forget(&mut self, now_ms: u64) {
        self.0
            .retain(|_, of| now_ms.saturating_sub(of.called_ms) < FORGOTTEN_AFTER_MS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::testing::{answered, digest, faulted};

    /// What becomes of a version whose calls go like this: whether it is good, whether it failed.
    fn after(calls: &str) -> (bool, bool) {
        let mut probations = Probations::default();
        for call in calls.chars() {
            let call = if call == 'x' { faulted() } else { answered() };
            probations.record(&call, 0);
        }
        let is = |of: BTreeSet<Digest>| of.contains(&digest());
        (is(probations.good()), is(probations.failed()))
    }

    #[test]
    fn three_faults_among_the_first_ten_calls_are_too_many() {
        assert_eq!(after("xx........x"), (true, false));
        assert_eq!(after("xx.......x"), (true, true));
        assert_eq!(after("xxx"), (false, true));
        assert_eq!(after("..........xxxxxx"), (true, false));
        assert_eq!(after("."), (true, false));
    }

    #[test]
    fn a_call_that_was_not_made_and_a_refusal_are_neither_good_nor_bad() {
        let mut probations = Probations::default();
        let mut skipped = faulted();
        skipped.faults[0].fault = None;
        for _ in 0..5 {
            probations.record(&skipped, 0);
        }
        let refusal = trimtab_contract::Refusal::InsufficientData("no replica".into());
        let refused = Call {
            refusal: Some(refusal),
            ..answered()
        };
        probations.record(&refused, 0);
        assert!(probations.good().is_empty() && probations.failed().is_empty());
    }

    #[test]
    fn a_version_may_be_given_another_beginning() {
        let mut probations = Probations::default();
        for _ in 0..3 {
            probations.record(&faulted(), 0);
        }
        probations.absolve(&digest());
        assert!(probations.failed().is_empty());
        probations.record(&answered(), 0);
        assert_eq!(probations.good(), BTreeSet::from([digest()]));
    }

    #[test]
    fn a_version_that_is_bound_no_more_is_forgotten() {
        let mut probations = Probations::default();
        probations.record(&answered(), 0);
        probations.forget(FORGOTTEN_AFTER_MS - 1);
        assert!(!probations.good().is_empty());
        probations.forget(FORGOTTEN_AFTER_MS);
        assert_eq!(probations, Probations::default());
    }
}
