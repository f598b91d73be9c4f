//! The registry of policies: told what is wanted, it fetches, verifies and compiles beside what
//! runs, and offers a table that a tick reads once.
//!
//! What runs is replaced only by what was admitted, and every change is one store of one pointer:
//! a reader never waits and never sees a half of it. The same digest is compiled once, for however
//! many policies. Knows nothing of pools or Kubernetes, and of registries only [`Fetch`].

mod backoff;
mod book;
mod candidate;
mod fetch;
mod keep;
mod reason;
mod slot;
mod table;
mod wanted;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use trimtab_core::policies::Version;

use crate::directory::Directory;
use crate::error::MAX_COMPONENT_BYTES;
use crate::sandbox::Sandbox;
pub use backoff::Backoff;
use book::Book;
pub use fetch::{Fetch, FetchError, Fetched};
use keep::{Job, Shared};
pub use reason::Reason;
use slot::{Slot, Work};
pub use table::{Entry, State, Table};
pub use wanted::{PolicyKey, Remote, Source, Wanted};

/// How a registry works.
#[derive(Clone)]
pub struct RegistryConfig {
    /// The policy directory; it need not be there yet. `None` refuses policies from files.
    pub directory: Option<PathBuf>,
    /// Longest time until a change in the policy directory is noticed of which no event tells.
    pub poll: Duration,
    /// Asked for what is remote.
    pub fetch: Arc<dyn Fetch>,
    /// How often references that may lead to something else, tags, are asked for again.
    pub refetch: Duration,
    /// How long to wait after failures that may pass.
    pub backoff: Backoff,
    /// Candidates that are compiled at a time; at least one. Each is in memory meanwhile.
    pub compilations: usize,
    /// Remote sources that are asked at a time; at least one. What each gives is in memory until it
    /// is judged.
    pub fetches: usize,
    /// Largest component, in bytes; never more than the sandbox takes.
    pub max_component_bytes: usize,
}

impl RegistryConfig {
    /// No directory, polled twice a second where there is one; tags asked for each minute; one
    /// compilation at a time and two fetches.
    #[must_use]
    pub fn new(fetch: Arc<dyn Fetch>) -> Self {
        Self {
            directory: None,
            poll: Duration::from_millis(500),
            fetch,
            refetch: Duration::from_secs(60),
            backoff: Backoff::default(),
            compilations: 1,
            fetches: 2,
            max_component_bytes: MAX_COMPONENT_BYTES,
        }
    }
}

/// Keeps the policies that are wanted at hand. Its work ends when it is dropped.
pub struct Registry {
    shared: Arc<Shared>,
    runtime: Handle,
}

impl Registry {
    /// Begins with an empty table. Must be called within a tokio runtime with a clock.
    #[must_use]
    pub fn start(sandbox: Arc<Sandbox>, config: RegistryConfig) -> Arc<Self> {
        let poll = config.poll;
        let directory = config.directory.map(|root| Directory::start(root, poll));
        let shared = Shared {
            sandbox,
            book: Book::new(),
            directory,
            fetch: config.fetch,
            refetch: config.refetch,
            backoff: config.backoff,
            max_component_bytes: config.max_component_bytes.min(MAX_COMPONENT_BYTES),
            compiling: Arc::new(Semaphore::new(config.compilations.max(1))),
            fetching: Semaphore::new(config.fetches.max(1)),
            compiled: AtomicU64::new(0),
            files_read: AtomicU64::new(0),
        };
        Arc::new(Self {
            shared: Arc::new(shared),
            runtime: Handle::current(),
        })
    }

    /// Says what is wanted, all of it. Called once a tick: where nothing changed it costs a
    /// comparison. What is wanted no longer is gone from the table when this returns, new limits
    /// hold, and what is new is there as [`State::Fetching`].
    pub fn want(&self, wanted: BTreeMap<PolicyKey, Wanted>) {
        self.shared
            .book
            .want(wanted, |key, slot| self.begin(key, slot));
    }

    /// Every policy as it stands now. A tick asks once.
    #[must_use]
    pub fn table(&self) -> Arc<Table> {
        self.shared.book.table()
    }

    /// Told the serial of each new table.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.shared.book.changed()
    }

    /// These gave an accepted decision. Called after each tick: what is current becomes the last
    /// good version once another takes its place.
    pub fn good(&self, versions: &BTreeSet<Version>) {
        self.shared.book.good(versions);
    }

    /// These faulted three times in their first ten calls. Where one of them is current, the last
    /// good version is current again when this returns, or none where there was none, until the
    /// source gives another digest or the generation changes.
    pub fn quarantine(&self, versions: &BTreeSet<Version>) {
        self.shared
            .book
            .change_all(|slot| slot.quarantine(versions));
    }

    /// Components that were given to the sandbox to compile since the start.
    #[must_use]
    pub fn compiled(&self) -> u64 {
        self.shared.compiled.load(Ordering::Relaxed)
    }

    fn begin(&self, key: &PolicyKey, slot: &mut Slot) {
        let job = Job {
            shared: Arc::clone(&self.shared),
            key: key.clone(),
            turn: slot.turn,
        };
        let source = slot.wanted.source.clone();
        let work = self.runtime.spawn(job.run(source));
        // What it takes the place of ends here.
        slot.work = Some(Work(work.abort_handle()));
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.shared.book.close();
    }
}
