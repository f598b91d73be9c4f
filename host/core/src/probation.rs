//! The beginning of each policy version: one that merely loads is not yet good, and one that faults
//! too often at its beginning is to make room for the one before.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::breaker::{Asked, Circuit, Outcome};
use crate::policies::Version;

/// Calls that are looked at, and faults among them that are too many.
const CALLS: u32 = 10;
const TOO_MANY_FAULTS: u32 = 3;

/// A version that was not called for this long is bound nowhere any more.
const FORGOTTEN_AFTER_MS: u64 = 86_400_000;

/// How each version began with each of its settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Probations(BTreeMap<Circuit, Probation>);

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
    /// Counts what became of each policy that was called.
    pub(crate) fn record(&mut self, asked: &[Asked], now_ms: u64) {
        for Asked { circuit, outcome } in asked {
            let of = self.0.entry(circuit.clone()).or_default();
            of.called_ms = now_ms;
            of.good |= *outcome == Outcome::Answered;
            if of.calls < CALLS {
                of.calls += 1;
                of.faults += u32::from(*outcome == Outcome::Faulted);
            }
        }
    }

    /// Versions of which an answer was accepted.
    pub(crate) fn good(&self) -> BTreeSet<Version> {
        self.of(|of| of.good)
    }

    /// Versions that faulted too often at their beginning. Where one answers with the settings of
    /// somebody, those of somebody else are to blame.
    pub(crate) fn failed(&self) -> BTreeSet<Version> {
        let failed = self.of(|of| of.faults >= TOO_MANY_FAULTS);
        let answers = self.of(|of| of.good && of.faults < TOO_MANY_FAULTS);
        failed.difference(&answers).cloned().collect()
    }

    fn of(&self, is: impl Fn(&Probation) -> bool) -> BTreeSet<Version> {
        let found = self.0.iter().filter(|(_, of)| is(of));
        found.filter_map(|(circuit, _)| circuit.version()).collect()
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
    use crate::policies::Digest;

    fn circuit(terms: u64, settings: &str) -> Circuit {
        Circuit::new(&Digest("sha256:a".into()), terms, settings)
    }

    /// Calls, in words: `.` is answered, `-` refused, `x` faulted.
    fn record(probations: &mut Probations, circuit: &Circuit, calls: &str) {
        for call in calls.chars() {
            let outcome = match call {
                '.' => Outcome::Answered,
                '-' => Outcome::Refused,
                _ => Outcome::Faulted,
            };
            let asked = Asked {
                circuit: circuit.clone(),
                outcome,
            };
            probations.record(&[asked], 0);
        }
    }

    /// What becomes of a version whose calls go like this: whether it is good, whether it failed.
    fn after(calls: &str) -> (bool, bool) {
        let mut probations = Probations::default();
        record(&mut probations, &circuit(0, "{}"), calls);
        (
            !probations.good().is_empty(),
            !probations.failed().is_empty(),
        )
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
    fn a_refusal_is_neither_good_nor_bad() {
        assert_eq!(after("------"), (false, false));
        assert_eq!(after("--xx-"), (false, false));
    }

    #[test]
    fn what_somebody_does_to_a_policy_is_not_put_down_to_that_of_others() {
        let mut probations = Probations::default();
        record(&mut probations, &circuit(1, "{}"), "xxx");
        record(&mut probations, &circuit(2, "{}"), ".");
        record(&mut probations, &circuit(2, "{\"odd\":1}"), "xxxxx");
        let terms = |of: BTreeSet<Version>| of.into_iter().map(|of| of.terms).collect::<Vec<_>>();
        assert_eq!(terms(probations.failed()), [1]);
        assert_eq!(terms(probations.good()), [2]);
    }

    #[test]
    fn a_version_that_is_bound_no_more_is_forgotten() {
        let mut probations = Probations::default();
        record(&mut probations, &circuit(0, "{}"), ".");
        probations.forget(FORGOTTEN_AFTER_MS - 1);
        assert!(!probations.good().is_empty());
        probations.forget(FORGOTTEN_AFTER_MS);
        assert_eq!(probations, Probations::default());
    }
}
