//! The breaker of each policy: three faults in a row keep it from being called for a while.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::memory::fnv;
use crate::policies::{Digest, Version};

/// Faults in a row that open a breaker.
const FAULTS_TO_OPEN: u32 = 3;

/// First back-off; each further one is twice as long. A minute is four ticks of 15 s: long enough
/// to spare the others the cost of a call that runs into its limits, short enough to see a cure.
const FIRST_BACK_OFF_MS: u64 = 60_000;

const LONGEST_BACK_OFF_MS: u64 = 3_600_000;

/// A policy that was not called for this long is bound nowhere any more.
const FORGOTTEN_AFTER_MS: u64 = 86_400_000;

/// The breakers of all policies that have faulted since they last answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Breakers(BTreeMap<Circuit, Breaker>);

/// What has a breaker: a policy with the settings and limits that it is called with. With others it
/// may answer, and whoever calls it so is not to go without.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Circuit(String);

/// A policy that was really called.
pub(crate) struct Asked {
    pub(crate) circuit: Circuit,
    pub(crate) outcome: Outcome,
}

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered,
    Refused,
    Faulted,
}

impl Circuit {
    pub(crate) fn new(digest: &Digest, terms: u64, settings: &str) -> Self {
        Self(format!("{digest} {terms:x} {:x}", fnv(settings)))
    }

    /// Without the settings; `None` where it is not of our making.
    pub(crate) fn version(&self) -> Option<Version> {
        let mut words = self.0.split(' ');
        let digest = Digest(words.next()?.to_owned());
        let terms = u64::from_str_radix(words.next()?, 16).ok()?;
        Some(Version { digest, terms })
    }
}

/// Faults of one policy in a row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Breaker {
    consecutive_faults: u32,
    /// Times that it opened without an answer in between.
    opened: u32,
    /// Instant from which the policy is tried again; `None` while closed.
    open_until_ms: Option<u64>,
    last_fault_ms: u64,
}

impl Breakers {
    pub(crate) fn absorb(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether the policy may be called: closed, or open for so long that a trial is due.
    pub(crate) fn allows(&self, circuit: &Circuit, now_ms: u64) -> bool {
        self.0
            .get(circuit)
            .and_then(|breaker| breaker.open_until_ms)
            .is_none_or(|until| until <= now_ms)
    }

    /// Counts what became of each policy that was called.
    pub(crate) fn record(&mut self, asked: &[Asked], now_ms: u64) {
        for Asked { circuit, outcome } in asked {
            match outcome {
                Outcome::Faulted => self.0.entry(circuit.clone()).or_default().fault(now_ms),
                Outcome::Answered | Outcome::Refused => drop(self.0.remove(circuit)),
            }
        }
    }

    pub(crate) fn forget(&mut self, now_ms: u64) {
        self.0.retain(|_, breaker| {
            let last = breaker.open_until_ms.unwrap_or(breaker.last_fault_ms);
            now_ms.saturating_sub(last) < FORGOTTEN_AFTER_MS
        });
    }
}

impl Breaker {
    /// Calls that were under way together when the breaker opened are one reason to open, not many.
    fn fault(&mut self, now_ms: u64) {
        self.consecutive_faults = self.consecutive_faults.saturating_add(1);
        self.last_fault_ms = now_ms;
        let open = self.open_until_ms.is_some_and(|until| until > now_ms);
        if self.consecutive_faults >= FAULTS_TO_OPEN && !open {
            let back_off = FIRST_BACK_OFF_MS.saturating_mul(1 << self.opened.min(16));
            self.open_until_ms = Some(now_ms.saturating_add(back_off.min(LONGEST_BACK_OFF_MS)));
            self.opened = self.opened.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circuit() -> Circuit {
        Circuit::new(&Digest("sha256:a".into()), 0, "{}")
    }

    fn faulted() -> Vec<Asked> {
        called(&circuit(), Outcome::Faulted)
    }

    fn answered() -> Vec<Asked> {
        called(&circuit(), Outcome::Answered)
    }

    fn called(circuit: &Circuit, outcome: Outcome) -> Vec<Asked> {
        vec![Asked {
            circuit: circuit.clone(),
            outcome,
        }]
    }

    /// Seconds that the breaker stays open after a fault at `now_ms`.
    fn open_for(breakers: &Breakers, now_ms: u64) -> u64 {
        (0..10_000)
            .find(|s| breakers.allows(&circuit(), now_ms + s * 1000))
            .unwrap()
    }

    #[test]
    fn three_faults_in_a_row_open_it_and_each_failed_trial_doubles_the_wait() {
        let mut breakers = Breakers::default();
        let mut now = 0;
        for _ in 0..2 {
            breakers.record(&faulted(), now);
            assert!(breakers.allows(&circuit(), now));
        }
        for wait in [60, 120, 240, 480, 960, 1920, 3600, 3600] {
            breakers.record(&faulted(), now);
            assert_eq!(open_for(&breakers, now), wait);
            now += wait * 1000;
        }
    }

    #[test]
    fn faults_of_one_moment_open_it_once() {
        let mut breakers = Breakers::default();
        for _ in 0..100 {
            breakers.record(&faulted(), 0);
        }
        assert_eq!(open_for(&breakers, 0), 60);
    }

    #[test]
    fn an_answer_closes_it_and_clears_the_count() {
        let mut breakers = Breakers::default();
        for call in [faulted(), faulted(), answered(), faulted(), faulted()] {
            breakers.record(&call, 0);
            assert!(breakers.allows(&circuit(), 0));
        }
        breakers.record(&faulted(), 0);
        breakers.record(&answered(), 60_000);
        assert_eq!(breakers, Breakers::default());
    }

    #[test]
    fn a_policy_that_is_bound_no_more_is_forgotten() {
        let mut breakers = Breakers::default();
        breakers.record(&faulted(), 0);
        breakers.forget(FORGOTTEN_AFTER_MS - 1);
        assert_ne!(breakers, Breakers::default());
        breakers.forget(FORGOTTEN_AFTER_MS);
        assert_eq!(breakers, Breakers::default());
    }

    #[test]
    fn with_other_settings_or_limits_a_policy_has_a_breaker_of_its_own() {
        let digest = Digest("sha256:a".into());
        let others = [
            Circuit::new(&digest, 1, "{}"),
            Circuit::new(&digest, 0, "{\"a\":1}"),
        ];
        let mut breakers = Breakers::default();
        for _ in 0..3 {
            breakers.record(&faulted(), 0);
        }
        assert!(!breakers.allows(&circuit(), 0));
        assert!(others.iter().all(|other| breakers.allows(other, 0)));
        breakers.record(&called(&others[0], Outcome::Answered), 0);
        assert!(!breakers.allows(&circuit(), 0), "an answer closes its own");
        let version = others[0].version().unwrap();
        assert_eq!((version.digest, version.terms), (digest, 1));
    }
}
