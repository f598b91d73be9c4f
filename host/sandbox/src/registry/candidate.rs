//! From a candidate's bytes to a version that runs, or to why it does not: on a thread of its own,
//! of low priority, one for each permit. What the bytes were is forgotten with the thread.

use std::fmt::Display;
use std::sync::atomic::Ordering;
use std::thread;

use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;
use trimtab_core::policies::{Digest, FaultKind};

use super::keep::Job;
use super::reason::Reason;
use super::slot::Slot;
use crate::error::LoadError;

/// What came of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The slot says so; the same bytes would come to the same.
    Settled,
    /// It changed meanwhile: look again.
    Moved,
    /// Nothing can be said of it now: wait before trying again.
    Later,
}

/// Compiling keeps a core busy for seconds where a policy is big: beside it a tick gets three times
/// the time, and without a tick nothing is lost.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

impl Job {
    /// Waits for a permit, then judges what `bytes` gives on a thread, or says what came of it
    /// instead.
    pub(super) async fn judge<B: AsRef<[u8]>>(
        &self,
        resolved: Option<String>,
        bytes: impl FnOnce(&Self) -> Result<B, Outcome> + Send + 'static,
    ) -> Outcome {
        // Closed never.
        let Ok(permit) = self.shared.compiling.clone().acquire_owned().await else {
            return Outcome::Later;
        };
        let (done, outcome) = oneshot::channel();
        let job = self.clone();
        let work = move || {
            be_nice();
            let weigh = |bytes: B| job.weigh(bytes.as_ref(), resolved);
            let outcome = bytes(&job).map_or_else(|outcome| outcome, weigh);
            // Whoever waited may be gone.
            let _ = done.send(outcome);
            drop(permit);
        };
        let thread = thread::Builder::new().name("policy-compile".to_owned());
        if let Err(error) = thread.spawn(work) {
            let message = format!("there is no thread to compile it on: {error}");
            self.change(|slot| slot.fail(Reason::FetchFailed, message));
            return Outcome::Later;
        }
        outcome.await.unwrap_or_else(|_| {
            let message = "the compiler gave up on it; see the log";
            self.change(|slot| slot.fail(Reason::NotAComponent, message));
            Outcome::Settled
        })
    }

    fn weigh(&self, bytes: &[u8], resolved: Option<String>) -> Outcome {
        let digest = Digest(format!("sha256:{}", hex::encode(Sha256::digest(bytes))));
        let wanted = self.read(|slot| (slot.seen() == Some(&digest), slot.wanted.digest.clone()));
        let Some((is_seen, pin)) = wanted else {
            return Outcome::Settled;
        };
        if is_seen {
            self.settle(resolved, Slot::repeat);
            return Outcome::Settled;
        }
        if let Some(pin) = pin.filter(|pin| *pin != digest) {
            let message = format!("its digest is {digest}, wanted is {pin}");
            return self.refuse(digest, resolved, Reason::DigestMismatch, message);
        }
        let (length, max) = (bytes.len(), self.shared.max_component_bytes);
        if length > max {
            let message = format!("it has {length} bytes, more than the {max} that are allowed");
            return self.refuse(digest, resolved, Reason::TooLarge, message);
        }
        self.compile(bytes, digest, resolved)
    }

    fn compile(&self, bytes: &[u8], digest: Digest, resolved: Option<String>) -> Outcome {
        let book = &self.shared.book;
        let mut policy = book.compiled(&digest);
        if policy.is_none() {
            self.shared.compiled.fetch_add(1, Ordering::Relaxed);
            match self.shared.sandbox.load(bytes) {
                // Another thread may have been faster: then that one is shared.
                Ok(loaded) => policy = book.compiled(&digest).or(Some(loaded)),
                Err(error) if is_passing(&error) => {
                    self.settle(resolved, |slot| slot.fail(error.reason(), &error));
                    return Outcome::Later;
                }
                Err(error) => {
                    return self.refuse(digest, resolved, error.reason(), error.to_string());
                }
            }
        }
        if let Some(policy) = policy {
            self.settle(resolved, |slot| slot.admit(&policy));
        }
        Outcome::Settled
    }

    fn refuse(
        &self,
        digest: Digest,
        resolved: Option<String>,
        reason: Reason,
        message: impl Display,
    ) -> Outcome {
        self.settle(resolved, |slot| {
            slot.refuse(digest, reason, message.to_string())
        });
        Outcome::Settled
    }

    /// What came of it and what it resolved to are shown at once.
    pub(super) fn settle(&self, resolved: Option<String>, change: impl FnOnce(&mut Slot) -> bool) {
        self.change(|slot| {
            let is_resolved = slot.resolve(resolved);
            change(slot) || is_resolved
        });
    }
}

/// A machine that is busy with something else lets a deadline pass.
fn is_passing(error: &LoadError) -> bool {
    matches!(error, LoadError::Describe { fault, .. } if fault.kind == FaultKind::Deadline)
}

fn be_nice() {
    // Elsewhere this would slow the whole process down.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "a policy is compiled at full priority");
    }
}
