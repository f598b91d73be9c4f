//! The work on one policy for as long as it is wanted from one source: get it, have it judged, and
//! look again when there may be something new.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::backoff::Backoff;
use super::book::Book;
use super::candidate::Outcome;
use super::fetch::{Fetch, Fetched};
use super::reason::Reason;
use super::slot::Slot;
use super::wanted::{PolicyKey, Remote, Source};
use crate::builtin::{builtin, builtin_names};
use crate::directory::{self, Directory, Found, LookError, ReadError};
use crate::sandbox::Sandbox;

/// What all work shares.
pub(super) struct Shared {
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) book: Book,
    pub(super) directory: Option<Directory>,
    pub(super) fetch: Arc<dyn Fetch>,
    pub(super) refetch: Duration,
    pub(super) backoff: Backoff,
    pub(super) max_component_bytes: usize,
    pub(super) compiling: Arc<Semaphore>,
    pub(super) fetching: Semaphore,
    /// Components that were given to the sandbox.
    pub(super) compiled: AtomicU64,
    /// Files that were read.
    pub(super) files_read: AtomicU64,
}

/// The work on one policy. It may change the slot only while the turn is its own.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) shared: Arc<Shared>,
    pub(super) key: PolicyKey,
    pub(super) turn: u64,
}

impl Job {
    pub(super) fn change(&self, change: impl FnOnce(&mut Slot) -> bool) {
        self.shared.book.change(&self.key, self.turn, change);
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&Slot) -> T) -> Option<T> {
        self.shared.book.read(&self.key, self.turn, read)
    }

    pub(super) async fn run(self, source: Source) {
        match source {
            Source::Builtin(name) => match builtin(&name) {
                Some(bytes) => self.once(move || bytes).await,
                None => self.change(|slot| slot.fail(Reason::NotFound, no_builtin(&name))),
            },
            Source::Bytes(bytes) => self.once(move || Arc::clone(&bytes)).await,
            Source::File(path) => match &self.shared.directory {
                Some(directory) => self.follow(directory, path).await,
                None => self.change(|slot| {
                    slot.fail(Reason::NotFound, "this host has no policy directory")
                }),
            },
            Source::Remote(remote) => self.poll(&remote).await,
            Source::Missing { .. } => {}
        }
    }

    /// What is at hand is judged once.
    async fn once<B: AsRef<[u8]> + Send + 'static>(&self, bytes: impl Fn() -> B) {
        let mut failures = 0;
        loop {
            let bytes = bytes();
            if self.judge(None, move |_| Ok(bytes)).await == Outcome::Settled {
                return;
            }
            tokio::time::sleep(self.shared.backoff.after(failures)).await;
            failures += 1;
        }
    }

    /// What is in a file is judged whenever it is another.
    async fn follow(&self, directory: &Directory, path: PathBuf) {
        let mut changes = directory.changes();
        let (mut last, mut failures) = (None, 0);
        loop {
            changes.borrow_and_update();
            let max = self.shared.max_component_bytes;
            let look = directory.settled(&path, max, last.as_ref()).await;
            if last.as_ref() != Some(&look) {
                match self.judge_file(&path, &look).await {
                    Outcome::Settled => (last, failures) = (Some(look), 0),
                    Outcome::Moved => continue,
                    Outcome::Later => {
                        tokio::time::sleep(self.shared.backoff.after(failures)).await;
                        failures += 1;
                        continue;
                    }
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    async fn judge_file(&self, path: &Path, look: &Result<Found, LookError>) -> Outcome {
        match look {
            Ok(found) => {
                let (found, path) = (found.clone(), path.to_owned());
                self.judge(None, move |job| job.read_file(&path, &found))
                    .await
            }
            Err(error) => {
                self.change(|slot| slot.fail(reason_of(error), error));
                Outcome::Settled
            }
        }
    }

    fn read_file(&self, path: &Path, found: &Found) -> Result<Vec<u8>, Outcome> {
        self.shared.files_read.fetch_add(1, Ordering::Relaxed);
        match directory::read(found) {
            Ok(bytes) => Ok(bytes),
            Err(ReadError::Moved) => Err(Outcome::Moved),
            Err(error) => {
                let message = format!("`{}` cannot be read: {error}", path.display());
                self.change(|slot| slot.fail(Reason::FetchFailed, message));
                Err(Outcome::Later)
            }
        }
    }

    /// What a reference leads to is asked for again and again, unless it can be no other.
    async fn poll(&self, remote: &Remote) {
        let mut failures = 0;
        loop {
            let wait = match self.fetch(remote).await {
                Outcome::Settled if self.is_final(remote) => return,
                Outcome::Settled => {
                    failures = 0;
                    self.shared.refetch
                }
                Outcome::Moved | Outcome::Later => {
                    failures += 1;
                    self.shared.backoff.after(failures - 1)
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn fetch(&self, remote: &Remote) -> Outcome {
        // Held until the candidate is judged, so that few are in memory. Closed never.
        let Ok(_permit) = self.shared.fetching.acquire().await else {
            return Outcome::Later;
        };
        let known = self.read(|slot| slot.seen().cloned()).flatten();
        match self.shared.fetch.fetch(remote, known.as_ref()).await {
            Ok(Fetched::Unchanged { resolved }) => {
                self.settle(Some(resolved), Slot::repeat);
                Outcome::Settled
            }
            Ok(Fetched::Component { bytes, resolved }) => {
                self.judge(Some(resolved), move |_| Ok(bytes)).await
            }
            Err(error) => {
                self.change(|slot| slot.fail(error.reason, &error));
                Outcome::Later
            }
        }
    }

    /// Whether asking again can bring nothing else: the reference is a digest, or the component of
    /// the digest that is wanted is there.
    fn is_final(&self, remote: &Remote) -> bool {
        let is_pinned = |slot: &Slot| {
            let pin = slot.wanted.digest.as_ref();
            pin.is_some() && pin == slot.seen()
        };
        remote.is_pinned() || self.read(is_pinned).unwrap_or(true)
    }
}

fn reason_of(error: &LookError) -> Reason {
    match error {
        LookError::NotWithin { .. } | LookError::LeadsOut { .. } | LookError::NotAFile { .. } => {
            Reason::InvalidSource
        }
        LookError::NotFound { .. } | LookError::NoDirectory { .. } => Reason::NotFound,
        LookError::TooLarge { .. } => Reason::TooLarge,
        LookError::Io { .. } => Reason::FetchFailed,
    }
}

fn no_builtin(name: &str) -> String {
    let names: Vec<&str> = builtin_names().collect();
    format!(
        "no policy `{name}` is shipped inside; there are {}",
        names.join(", ")
    )
}
