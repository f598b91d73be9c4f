//! One look at a file beneath the policy directory, and one reading of it.

use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use rustix::fs::OFlags;

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Where it is, without symbolic links.
    path: PathBuf,
    mark: Mark,
}

/// What changes with every writing and renaming. The time of change cannot be set by a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Mark {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Why a file is not one to read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LookError {
    #[error(
        "`{}` is not a path within the policy directory: write it relative, without `..`",
        .path.display()
    )]
    NotWithin { path: PathBuf },
    #[error(
        "`{}` leads out of the policy directory, to {}: put the file itself there",
        .path.display(), .target.display()
    )]
    LeadsOut { path: PathBuf, target: PathBuf },
    #[error("the policy directory has no `{}`", .path.display())]
    NotFound { path: PathBuf },
    #[error("the policy directory {} is not there", .root.display())]
    NoDirectory { root: PathBuf },
    #[error("`{}` is not a file", .path.display())]
    NotAFile { path: PathBuf },
    #[error("`{}` has {bytes} bytes, more than the {max} that are allowed", .path.display())]
    TooLarge {
        path: PathBuf,
        bytes: u64,
        max: usize,
    },
    #[error("`{}` cannot be looked at: {why}", .path.display())]
    Io { path: PathBuf, why: String },
}

impl LookError {
    pub(super) fn failed(path: &Path, why: &impl fmt::Display) -> Self {
        Self::Io {
            path: path.to_owned(),
            why: why.to_string(),
        }
    }
}

/// Why a file that was found was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// It changed since it was found, or while it was read.
    #[error("it is being written")]
    Moved,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Finds a file beneath `root`. Symbolic links may lead about within it, as a ConfigMap's volume
/// has them, and not out of it.
pub(super) fn look(root: &Path, path: &Path, max: usize) -> Result<Found, LookError> {
    let is_within = path
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !is_within || path.file_name().is_none() {
        return Err(LookError::NotWithin {
            path: path.to_owned(),
        });
    }
    let failed = |error: io::Error| {
        if is_absent(&error) {
            let path = path.to_owned();
            return LookError::NotFound { path };
        }
        LookError::failed(path, &error)
    };
    let root = root.canonicalize().map_err(|error| {
        if is_absent(&error) {
            let root = root.to_owned();
            return LookError::NoDirectory { root };
        }
        LookError::failed(root, &error)
    })?;
    let target = root.join(path).canonicalize().map_err(failed)?;
    if !target.starts_with(&root) {
        return Err(LookError::LeadsOut {
            path: path.to_owned(),
            target,
        });
    }
    let metadata = target.symlink_metadata().map_err(failed)?;
    judge(path, &metadata, max)?;
    Ok(Found {
        mark: Mark::of(&metadata),
        path: target,
    })
}

fn is_absent(error: &io::Error) -> bool {
    [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind())
}

fn judge(path: &Path, metadata: &Metadata, max: usize) -> Result<(), LookError> {
    let path = path.to_owned();
    if !metadata.is_file() {
        return Err(LookError::NotAFile { path });
    }
    let bytes = metadata.len();
    if usize::try_from(bytes).is_ok_and(|bytes| bytes <= max) {
        return Ok(());
    }
    Err(LookError::TooLarge { path, bytes, max })
}

/// Reads a file as it was found, never more than it had then.
///
/// # Errors
/// [`ReadError::Moved`] where it is not that file any more.
pub(crate) fn read(found: &Found) -> Result<Vec<u8>, ReadError> {
    let file = open(&found.path)?;
    // What took its place, by a link or otherwise, has another mark.
    let is_same = |file: &File| -> io::Result<bool> {
        let metadata = file.metadata()?;
        Ok(metadata.is_file() && Mark::of(&metadata) == found.mark)
    };
    if !is_same(&file)? {
        return Err(ReadError::Moved);
    }
    let expected = usize::try_from(found.mark.bytes).map_err(|_| ReadError::Moved)?;
    let mut bytes = Vec::with_capacity(expected);
    (&file).take(found.mark.bytes).read_to_end(&mut bytes)?;
    if bytes.len() != expected || !is_same(&file)? {
        return Err(ReadError::Moved);
    }
    Ok(bytes)
}

/// Waits for nobody to write into a pipe that took the file's place.
fn open(path: &Path) -> Result<File, ReadError> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    opened.map_err(|error| {
        if is_absent(&error) {
            return ReadError::Moved;
        }
        error.into()
    })
}
