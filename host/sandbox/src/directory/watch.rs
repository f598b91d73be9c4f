//! Says when it is worth looking again: on events where they can be had, and every period anyway.
//!
//! Polling alone would do, only later: it is also what remains where no event comes, as from
//! another machine's writes to a network's file system, or where the system grants no more watches.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, watch};

/// Shortest time from one look to the next, however many events there are.
const GATHER: Duration = Duration::from_millis(100);

/// What makes a watcher of a directory. It reports for as long as it is kept.
pub(super) type Open = fn(&Path, Arc<Events>) -> notify::Result<RecommendedWatcher>;

/// What a watcher reports.
#[derive(Default)]
pub(super) struct Events {
    arrived: Notify,
    /// The directory itself moved or is gone, or events were lost: watch it anew.
    is_stale: AtomicBool,
}

impl Events {
    fn report(&self, root: &Path, event: notify::Result<Event>) {
        match event {
            Ok(event) if !is_change(event.kind) => return,
            Ok(event) => {
                if event.need_rescan() || is_end_of(root, &event) {
                    self.is_stale.store(true, Ordering::Relaxed);
                }
            }
            Err(error) => tracing::debug!(%error, "an event of the policy directory was lost"),
        }
        self.arrived.notify_one();
    }
}

/// Our own reading is reported too, and must not make us look.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

fn is_end_of(root: &Path, event: &Event) -> bool {
    let ends = matches!(
        event.kind,
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
    );
    ends && event.paths.iter().any(|path| path == root)
}

/// Watches the directory and all beneath it. Links are not followed: what they may lead to lies
/// within the directory, and is watched there.
pub(super) fn open(root: &Path, events: Arc<Events>) -> notify::Result<RecommendedWatcher> {
    let watched = root.to_owned();
    let config = Config::default().with_follow_symlinks(false);
    let report = move |event| events.report(&watched, event);
    let mut watcher = RecommendedWatcher::new(report, config)?;
    watcher.watch(root, RecursiveMode::Recursive)?;
    Ok(watcher)
}

/// Counts `changes` up whenever it is worth looking, until it is aborted.
pub(super) async fn supervise(
    root: PathBuf,
    poll: Duration,
    open: Open,
    changes: watch::Sender<u64>,
) {
    let events = Arc::new(Events::default());
    let mut watched = Watched::default();
    loop {
        if events.is_stale.swap(false, Ordering::Relaxed) {
            watched = Watched::default();
        }
        watched = watched.renewed(root.clone(), open, &events).await;
        changes.send_modify(|looks| *looks += 1);
        tokio::time::sleep(GATHER).await;
        // An elapsed period is as good a reason as an event.
        let rest = poll.saturating_sub(GATHER);
        let _ = tokio::time::timeout(rest, events.arrived.notified()).await;
    }
}

/// What is watched now.
#[derive(Default)]
struct Watched {
    /// Where the root really is, with device and inode; `None` while it is not there.
    place: Option<(PathBuf, u64, u64)>,
    /// `None` also where it cannot be watched.
    watcher: Option<RecommendedWatcher>,
}

impl Watched {
    /// The same, or the directory that took its place.
    async fn renewed(self, root: PathBuf, open: Open, events: &Arc<Events>) -> Self {
        let events = Arc::clone(events);
        let renewing = tokio::task::spawn_blocking(move || {
            let place = place_of(&root);
            if place == self.place {
                return self;
            }
            // Ends before the next begins, so that its watches are free again.
            drop(self.watcher);
            let watcher = place.as_ref().and_then(|(path, ..)| {
                let opened = open(path, events);
                opened.map_err(|error| unwatched(path, &error)).ok()
            });
            Self { place, watcher }
        });
        renewing.await.unwrap_or_default()
    }
}

fn unwatched(path: &Path, error: &notify::Error) {
    let path = path.display();
    tracing::warn!(%path, %error, "the policy directory cannot be watched; it is polled");
}

fn place_of(root: &Path) -> Option<(PathBuf, u64, u64)> {
    let path = root.canonicalize().ok()?;
    let metadata = path.metadata().ok().filter(std::fs::Metadata::is_dir)?;
    Some((path, metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use notify::event::{CreateKind, RemoveKind};

    use super::*;

    /// Whether this event makes us look.
    fn wakes(kind: EventKind, path: &str) -> (bool, bool) {
        let events = Events::default();
        let event = Event::new(kind).add_path(path.into());
        events.report(Path::new("/policies"), Ok(event));
        let has_arrived = events.arrived.notified().now_or_never().is_some();
        (has_arrived, events.is_stale.load(Ordering::Relaxed))
    }

    #[test]
    fn our_own_reading_does_not_make_us_look() {
        for access in [
            AccessKind::Open(AccessMode::Any),
            AccessKind::Close(AccessMode::Read),
        ] {
            let woken = wakes(EventKind::Access(access), "/policies/a.wasm");
            assert_eq!(woken, (false, false));
        }
        let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
        assert_eq!(wakes(written, "/policies/a.wasm"), (true, false));
        let created = EventKind::Create(CreateKind::File);
        assert_eq!(wakes(created, "/policies/a.wasm"), (true, false));
    }

    #[test]
    fn the_end_of_the_directory_itself_makes_us_watch_anew() {
        let removed = EventKind::Remove(RemoveKind::Folder);
        assert_eq!(wakes(removed, "/policies/team"), (true, false));
        assert_eq!(wakes(removed, "/policies"), (true, true));
    }

    #[test]
    fn an_error_makes_us_look() {
        let events = Events::default();
        events.report(
            Path::new("/policies"),
            Err(notify::Error::generic("overflow")),
        );
        assert!(events.arrived.notified().now_or_never().is_some());
    }
}
