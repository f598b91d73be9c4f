//! The directory that only this user can write to, and the key in it.

use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::seal::KEY_BYTES;

/// The key's file in the cache directory.
const KEY: &str = "key";

/// Write permission of the group and of all others.
const OTHERS_WRITE: u32 = 0o022;

/// Any permission of the group and of all others.
const OTHERS: u32 = 0o077;

/// Why a cache directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    #[error("{} cannot be used", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is not a directory", .path.display())]
    NotADirectory { path: PathBuf },
    #[error("{} belongs to user {owner}, not to user {user} who runs this: compiled code in it cannot be trusted", .path.display())]
    Foreign {
        path: PathBuf,
        owner: u32,
        user: u32,
    },
    #[error("{} has mode {mode:o}, so others can change or read what is in it: `chmod go= {}`", .path.display(), .path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{} is not a key of {KEY_BYTES} bytes: remove the directory, and it is made anew", .path.display())]
    NoKey { path: PathBuf },
    #[error("the system gives no random bytes for the key of the cache")]
    Random(#[source] getrandom::Error),
}

/// Makes the directory if it is not there, and makes sure that it is ours alone.
pub(super) fn prepare(directory: &Path) -> Result<(), CacheError> {
    let failed = |source| CacheError::Io {
        path: directory.to_owned(),
        source,
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(failed)?;
    let metadata = std::fs::symlink_metadata(directory).map_err(failed)?;
    if !metadata.is_dir() {
        return Err(CacheError::NotADirectory {
            path: directory.to_owned(),
        });
    }
    ours(directory, &metadata, OTHERS_WRITE)
}

/// The key, made by the first who asks.
pub(super) fn key(directory: &Path) -> Result<[u8; KEY_BYTES], CacheError> {
    let path = directory.join(KEY);
    let failed = |source| CacheError::Io {
        path: path.clone(),
        source,
    };
    if !path.try_exists().map_err(failed)? {
        make_key(directory, &path)?;
    }
    let metadata = std::fs::symlink_metadata(&path).map_err(failed)?;
    ours(&path, &metadata, OTHERS)?;
    let bytes = fs::read(&path).map_err(failed)?;
    bytes.try_into().map_err(|_| CacheError::NoKey { path })
}

/// Several processes may start at once: the first file under the name stays, whole.
fn make_key(directory: &Path, path: &Path) -> Result<(), CacheError> {
    let failed = |source| CacheError::Io {
        path: path.to_owned(),
        source,
    };
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(CacheError::Random)?;
    // Made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    file.write_all(&key).map_err(failed)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(error.error)),
    }
}

fn ours(path: &Path, metadata: &std::fs::Metadata, forbidden: u32) -> Result<(), CacheError> {
    let user = rustix::process::geteuid().as_raw();
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    if owner != user {
        return Err(CacheError::Foreign {
            path: path.to_owned(),
            owner,
            user,
        });
    }
    if mode & forbidden != 0 {
        return Err(CacheError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}
