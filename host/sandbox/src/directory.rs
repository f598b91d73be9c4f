//! The policy directory: files that are found beneath it, settled before they are read, and read
//! under a limit. Knows nothing of what a component is.
//!
//! Events only say that it is time to look. What a file is known by is its mark, and what it
//! holds by its digest, so an event that is missed costs no more than one period of polling.

mod look;
mod watch;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::AbortHandle;

pub(crate) use look::{Found, LookError, ReadError, read};

/// How long a file must stay as it is before it is read. Who writes a policy in place writes it in
/// one go; a gap of this length is a writer that is done.
const QUIET: Duration = Duration::from_millis(150);

/// What a look at a path found.
pub(crate) type Look = Result<Found, LookError>;

/// A directory that is watched.
pub(crate) struct Directory {
    root: PathBuf,
    /// Counts the times at which it was worth looking again.
    changes: tokio::sync::watch::Receiver<u64>,
    watching: AbortHandle,
}

impl Directory {
    /// Begins to watch; the directory need not be there yet. `poll` is the longest time until a
    /// change is noticed of which no event tells. Must be called within a tokio runtime.
    pub(crate) fn start(root: PathBuf, poll: Duration) -> Self {
        Self::with(root, poll, watch::open)
    }

    fn with(root: PathBuf, poll: Duration, open: watch::Open) -> Self {
        let (sender, changes) = tokio::sync::watch::channel(0);
        let watching = tokio::spawn(watch::supervise(root.clone(), poll, open, sender));
        Self {
            root,
            changes,
            watching: watching.abort_handle(),
        }
    }

    /// Told whenever it is worth looking again.
    pub(crate) fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Looks at a file until it stays as it is. One that is as it was at the `last` look is not
    /// waited for. A file of more than `max` bytes is refused by its metadata.
    pub(crate) async fn settled(&self, path: &Path, max: usize, last: Option<&Look>) -> Look {
        let mut seen = self.look(path, max).await;
        while last != Some(&seen) {
            tokio::time::sleep(QUIET).await;
            let now = self.look(path, max).await;
            if now == seen {
                break;
            }
            seen = now;
        }
        seen
    }

    /// A network's file system may keep who asks waiting, so no thread of the runtime does.
    async fn look(&self, path: &Path, max: usize) -> Look {
        let (root, path) = (self.root.clone(), path.to_owned());
        let looking = tokio::task::spawn_blocking(move || look::look(&root, &path, max));
        looking
            .await
            .unwrap_or_else(|error| Err(LookError::failed(Path::new("the file"), &error)))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.watching.abort();
    }
}
