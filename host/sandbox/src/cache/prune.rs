//! Keeps the cache from growing for ever: what was not used for long goes, and the oldest of what
//! is too many.
//!
//! A file's time of modification is when it was last used. Other processes may prune at the same
//! time: a file that is gone already is no error, and one that is being read stays readable.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fs_err as fs;

/// Most compiled components kept, of about 2 MB each.
pub(super) const MOST_ENTRIES: usize = 64;

/// Longest that one is kept without use.
pub(super) const UNUSED: Duration = Duration::from_secs(30 * 24 * 3600);

/// A file that was written aside and not renamed is left from a process that died: no write takes
/// this long.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// Extension of the entries' names.
pub(super) const EXTENSION: &str = "compiled";

/// What the names of files that are written aside begin with.
pub(super) const ASIDE: &str = ".aside-";

/// Removes what is too old or too many, never `kept`. A failure costs disk space, so it is only
/// logged.
pub(super) fn prune(directory: &Path, kept: &Path, now: SystemTime) {
    let files = match fs::read_dir(directory) {
        Ok(files) => files,
        Err(error) => {
            tracing::warn!(%error, "old compiled policies not removed");
            return;
        }
    };
    let mut entries: Vec<(Duration, PathBuf)> = Vec::new();
    for file in files.flatten() {
        let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file);
        let Some(used) = metadata.and_then(|metadata| metadata.modified().ok()) else {
            continue;
        };
        // A time to come counts as now.
        let unused = now.duration_since(used).unwrap_or_default();
        let path = file.path();
        let is_entry = path
            .extension()
            .is_some_and(|extension| extension == EXTENSION);
        if is_entry && path != kept {
            entries.push((unused, path));
        } else if file.file_name().to_string_lossy().starts_with(ASIDE) && unused > ABANDONED {
            remove(&path);
        }
    }
    entries.sort();
    for (rank, (unused, path)) in (2..).zip(&entries) {
        if rank > MOST_ENTRIES || *unused > UNUSED {
            remove(path);
        }
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Ok(()) => tracing::debug!(path = %path.display(), "old compiled policy removed"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, "old compiled policy not removed"),
    }
}

/// Marks an entry as used now. Where that fails it only goes sooner.
pub(super) fn touch(path: &Path, now: SystemTime) {
    let touched = std::fs::File::open(path).and_then(|file| file.set_modified(now));
    if let Err(error) = touched {
        tracing::debug!(path = %path.display(), %error, "use of a compiled policy not noted");
    }
}
