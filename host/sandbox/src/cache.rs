//! Compiled components on disk, from run to run.
//!
//! Compiled code is executed as it is, so nothing is read back but what this host wrote itself: the
//! directory must be one that only this user can write to, and every entry carries an HMAC under a
//! key that never leaves it, over the component's digest, the engine's fingerprint and the code.
//! Whatever does not fit (torn, changed, planted, of another engine) is as if it were not there.
//! What was not used for long is removed when something is written.

mod directory;
mod prune;
mod seal;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use fs_err as fs;
use wasmtime::Engine;
use wasmtime::component::Component;

pub use directory::CacheError;
use seal::{Authentic, Seal};

/// A directory of compiled components.
pub(crate) struct Cache {
    directory: PathBuf,
    seal: Seal,
    hits: AtomicU64,
    misses: AtomicU64,
    rejected: AtomicU64,
}

/// What the cache did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Components that were read back.
    pub hits: u64,
    /// Components that were not there.
    pub misses: u64,
    /// Entries that were there and not as this host wrote them; compiled anew.
    pub rejected: u64,
}

impl Cache {
    /// # Errors
    /// Where the directory cannot be made, or others could write to it.
    pub(crate) fn open(directory: &Path, engine: &Engine) -> Result<Self, CacheError> {
        directory::prepare(directory)?;
        let key = directory::key(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
            seal: Seal::new(key, engine),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
        })
    }

    pub(crate) fn counts(&self) -> CacheCounts {
        CacheCounts {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
        }
    }

    /// The compiled form of the component with this digest, if this host wrote it.
    pub(crate) fn load(&self, engine: &Engine, digest: &[u8; 32]) -> Option<Component> {
        let path = self.entry(digest);
        let opened = match fs::read(&path) {
            Ok(entry) => self.open_entry(engine, digest, &entry),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.misses.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            Err(error) => Err(error.to_string()),
        };
        match opened {
            Ok(component) => {
                self.hits.fetch_add(1, Ordering::Relaxed);
                prune::touch(&path, now());
                Some(component)
            }
            Err(why) => {
                self.rejected.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(path = %path.display(), why, "compiled policy ignored, compiling anew");
                None
            }
        }
    }

    fn open_entry(
        &self,
        engine: &Engine,
        digest: &[u8; 32],
        entry: &[u8],
    ) -> Result<Component, String> {
        let code = self
            .seal
            .open(digest, entry)
            .ok_or("it is not as this host wrote it")?;
        deserialize(engine, code).map_err(|error| format!("{error:#}"))
    }

    /// Keeps a compiled component. A failure costs a compilation next time, so it is only logged.
    pub(crate) fn store(&self, digest: &[u8; 32], component: &Component) {
        let path = self.entry(digest);
        let stored = component
            .serialize()
            .map_err(|error| format!("{error:#}"))
            .and_then(|code| {
                self.write(&path, digest, &code)
                    .map_err(|error| error.to_string())
            });
        match stored {
            Ok(()) => prune::prune(&self.directory, &path, now()),
            Err(why) => {
                tracing::warn!(path = %path.display(), why, "compiled policy not kept");
            }
        }
    }

    /// Written aside and renamed: a reader sees the old entry or the new one, never a part.
    fn write(&self, path: &Path, digest: &[u8; 32], code: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(prune::ASIDE)
            .tempfile_in(&self.directory)?;
        file.write_all(&self.seal.close(digest, code))?;
        file.persist(path)?;
        Ok(())
    }

    fn entry(&self, digest: &[u8; 32]) -> PathBuf {
        let name = format!("{}-{}", hex::encode(digest), self.seal.engine_fingerprint());
        self.directory.join(name).with_extension(prune::EXTENSION)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "dates files; no decision depends on it"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

#[expect(
    unsafe_code,
    reason = "there is no safe way to load compiled code; the seal vouches for it"
)]
fn deserialize(engine: &Engine, code: Authentic<'_>) -> wasmtime::Result<Component> {
    // SAFETY: `Authentic` is only made by `Seal::open`, from bytes that carry a valid HMAC under a
    // key that only this user can read: they are what `Component::serialize` gave to this host.
    unsafe { Component::deserialize(engine, code.bytes()) }
}

#[cfg(test)]
mod tests;
