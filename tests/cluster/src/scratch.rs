//! Private directories that do not outlive the test process by more than one run.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The lock in a directory that is in use.
const LOCK: &str = ".in-use";

/// A directory that is removed on drop, unless a panic is on its way. One that was left behind,
/// by a killed process or in a static, is removed when the next is made.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// Held, and let go by the kernel whichever way the process ends.
    _lock: File,
}

impl Scratch {
    /// # Errors
    /// Where it cannot be made.
    pub fn new(kind: &str) -> anyhow::Result<Self> {
        let parent = std::env::temp_dir().join("trimtab-cluster-tests");
        fs_err::create_dir_all(&parent)?;
        // One process at a time makes and sweeps, so that none sweeps what is not yet locked.
        let making = File::create(parent.join(LOCK)).context("lock of scratch directories")?;
        making.lock().context("lock of scratch directories")?;
        sweep(&parent)?;
        let path = parent.join(format!("{kind}-{}", random_name()?));
        fs_err::create_dir(&path)?;
        let lock = File::create(path.join(LOCK)).context("lock of a scratch directory")?;
        lock.lock().context("lock of a scratch directory")?;
        Ok(Self { path, _lock: lock })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // What cannot be removed now is swept by the next.
            let _ = fs_err::remove_dir_all(&self.path);
        }
    }
}

/// Eight letters and digits that no other test has.
pub(crate) fn random_name() -> anyhow::Result<String> {
    Ok(format!(
        "{:08x}",
        getrandom::u32().context("random numbers")?
    ))
}

/// Removes directories whose lock nobody holds.
fn sweep(parent: &Path) -> anyhow::Result<()> {
    for entry in fs_err::read_dir(parent)? {
        let path = entry?.path();
        let Ok(lock) = File::open(path.join(LOCK)) else {
            continue;
        };
        if lock.try_lock().is_ok() {
            fs_err::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_use_survives_the_sweep_and_a_left_one_does_not() {
        let kept = Scratch::new("test").unwrap();
        let left = kept.path().with_file_name("test-left-behind");
        fs_err::create_dir_all(&left).unwrap();
        File::create(left.join(LOCK)).unwrap();
        let other = Scratch::new("test").unwrap();
        assert!(kept.path().is_dir() && other.path().is_dir());
        assert!(!left.exists());
        let path = other.path().to_owned();
        drop(other);
        assert!(!path.exists());
    }
}
