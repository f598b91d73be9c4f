//! One policy's place: what is wanted of it, what runs, and what its source gave last. Plain
//! values; who fetches and compiles tells it what came of it.

use std::collections::BTreeSet;

use tokio::task::AbortHandle;
use trimtab_core::policies::{Digest, Version};

use super::reason::Reason;
use super::table::{Entry, State};
use super::wanted::{Source, Wanted};
use crate::policy::Policy;

/// Work that ends with what holds it.
pub(super) struct Work(pub(super) AbortHandle);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a new wish changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    /// The entry, but not where it comes from.
    Entry,
    /// Begin anew with its source.
    Source,
}

/// What a source gave last, and what came of it.
struct Seen {
    digest: Digest,
    verdict: State,
}

pub(super) struct Slot {
    pub(super) wanted: Wanted,
    /// Which work may still report.
    pub(super) turn: u64,
    pub(super) work: Option<Work>,
    current: Option<Policy>,
    /// Whether the current version gave an accepted decision.
    is_proven: bool,
    last_good: Option<Policy>,
    /// What the current version took the place of, where it is not known to be good: whoever does not
    /// lead learns that only when its turn comes.
    before: Option<Policy>,
    state: State,
    resolved: Option<String>,
    seen: Option<Seen>,
}

impl Slot {
    pub(super) fn new(wanted: Wanted) -> Self {
        let state = first_state(&wanted.source);
        Self {
            wanted,
            turn: 0,
            work: None,
            current: None,
            is_proven: false,
            last_good: None,
            before: None,
            state,
            resolved: None,
            seen: None,
        }
    }

    pub(super) fn entry(&self) -> Entry {
        Entry {
            current: self.current.clone(),
            last_good: self.last_good.clone(),
            state: self.state.clone(),
            resolved: self.resolved.clone(),
        }
    }

    pub(super) fn want(&mut self, wanted: Wanted) -> Change {
        let is_source = self.wanted.source.is(&wanted.source);
        let is_edited = self.wanted.generation != wanted.generation;
        let is_pin = self.wanted.digest == wanted.digest;
        let is_limits = (self.wanted.limits, self.wanted.owner) == (wanted.limits, wanted.owner);
        self.wanted = wanted;
        if !is_limits {
            self.limit();
        }
        let is_retried = is_edited && self.state.reason().is_some_and(|it| it != Reason::Fetching);
        if is_source && is_pin && !is_retried {
            return if is_limits {
                Change::Nothing
            } else {
                Change::Entry
            };
        }
        // A verdict holds until somebody edits the object or the pin that it was made by.
        if is_edited || !is_pin {
            self.seen = None;
        }
        if !is_source {
            self.resolved = None;
        }
        self.state = first_state(&self.wanted.source);
        Change::Source
    }

    fn limit(&mut self) {
        let (limits, owner) = (self.wanted.limits, self.wanted.owner);
        let versions = [&mut self.current, &mut self.last_good, &mut self.before];
        for policy in versions.into_iter().flatten() {
            *policy = policy.with_limits(limits).owned_by(owner);
        }
    }

    /// The versions that are compiled.
    pub(super) fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.current.iter().chain(&self.last_good)
    }

    /// Digest of what the source gave last.
    pub(super) fn seen(&self) -> Option<&Digest> {
        self.seen.as_ref().map(|seen| &seen.digest)
    }

    /// What a remote reference led to.
    pub(super) fn resolve(&mut self, resolved: Option<String>) -> bool {
        let is_new = resolved.is_some() && self.resolved != resolved;
        if is_new {
            self.resolved = resolved;
        }
        is_new
    }

    /// The source gives what it gave before, so what came of it holds again.
    pub(super) fn repeat(&mut self) -> bool {
        let verdict = self.seen.as_ref().map(|seen| seen.verdict.clone());
        verdict.is_some_and(|verdict| self.stand(verdict))
    }

    /// The source gives nothing.
    pub(super) fn fail(&mut self, reason: Reason, message: impl ToString) -> bool {
        self.stand(State::failed(reason, message))
    }

    /// The source gave something that is not admitted.
    pub(super) fn refuse(&mut self, digest: Digest, reason: Reason, message: String) -> bool {
        let verdict = State::failed(reason, message);
        self.seen = Some(Seen {
            digest,
            verdict: verdict.clone(),
        });
        self.stand(verdict)
    }

    /// The source gave a policy, which runs from now on.
    pub(super) fn admit(&mut self, policy: &Policy) -> bool {
        let digest = policy.digest().clone();
        let is_current = self.current.as_ref().map(Policy::digest) == Some(&digest);
        if !is_current {
            let own = policy.with_limits(self.wanted.limits);
            let own = own.owned_by(self.wanted.owner);
            let before = self.current.replace(own);
            let was_good = self.last_good.as_ref().map(Policy::digest) == Some(&digest);
            if self.is_proven {
                self.last_good = before;
                self.before = None;
            } else {
                self.before = before;
                self.last_good.take_if(|_| was_good);
            }
            self.is_proven = was_good;
        }
        self.seen = Some(Seen {
            digest,
            verdict: State::Ready,
        });
        self.stand(State::Ready) || !is_current
    }

    /// The current version gave an accepted decision, if it is among these.
    pub(super) fn good(&mut self, versions: &BTreeSet<Version>) {
        let is_good = self.runs(versions).is_some();
        self.is_proven |= is_good;
        let was_good = |of: &mut Policy| versions.iter().any(|good| good.digest == *of.digest());
        if self.last_good.is_none() {
            self.last_good = self.before.take_if(was_good);
        }
    }

    /// The current version faulted too often, if it is among these: the last good one is back, or
    /// none. What was good for a call or two before it faulted does not count as the last good one.
    pub(super) fn quarantine(&mut self, versions: &BTreeSet<Version>) -> bool {
        let Some(digest) = self.runs(versions).cloned() else {
            return false;
        };
        self.current = self.last_good.take();
        self.is_proven = self.current.is_some();
        let back = self.current.as_ref().map_or_else(
            || "no version of it was good before".to_owned(),
            |policy| format!("{} is back, its last good version", policy.digest()),
        );
        let verdict = State::Quarantined {
            message: format!("{digest} faulted three times in its first ten calls; {back}"),
            digest: digest.clone(),
        };
        // Where the source went on to something else already, that is still what it gave last.
        if self.seen() != Some(&digest) && self.seen.is_some() {
            return true;
        }
        self.seen = Some(Seen {
            digest,
            verdict: verdict.clone(),
        });
        self.stand(verdict);
        true
    }

    fn runs(&self, versions: &BTreeSet<Version>) -> Option<&Digest> {
        let current = self.current.as_ref()?;
        versions
            .contains(&current.version())
            .then(|| current.digest())
    }

    fn stand(&mut self, state: State) -> bool {
        let is_new = self.state != state;
        self.state = state;
        is_new
    }
}

fn first_state(source: &Source) -> State {
    match source {
        Source::Missing { why } => State::failed(Reason::NotFound, why),
        Source::Builtin(_) | Source::File(_) | Source::Bytes(_) | Source::Remote(_) => {
            State::Fetching
        }
    }
}
