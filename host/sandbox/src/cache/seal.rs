//! Binds compiled code to this host's key, to the component that it comes from and to the engine.

use std::hash::{Hash as _, Hasher};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;

/// Length of the HMAC that an entry begins with.
const TAG_BYTES: usize = 32;

/// Length of a key: one block of the hash, the longest that is used as it is.
pub(super) const KEY_BYTES: usize = 64;

/// What the HMAC is for, so that it can never be taken for another's under the same key.
const PURPOSE: &[u8] = b"trimtab compiled policy 1";

/// The key and the engine that entries are sealed for.
pub(super) struct Seal {
    key: [u8; KEY_BYTES],
    engine: [u8; 32],
}

/// Bytes that this host sealed itself.
pub(super) struct Authentic<'a>(&'a [u8]);

impl Authentic<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        self.0
    }
}

impl Seal {
    pub(super) fn new(key: [u8; KEY_BYTES], engine: &Engine) -> Self {
        let mut fingerprint = Fingerprint(Sha256::new());
        engine
            .precompile_compatibility_hash()
            .hash(&mut fingerprint);
        Self {
            key,
            engine: fingerprint.0.finalize().into(),
        }
    }

    /// Names the engine's version and settings.
    pub(super) fn engine_fingerprint(&self) -> String {
        hex::encode(self.engine)
    }

    /// The entry for compiled `code`: its HMAC, then the code.
    pub(super) fn close(&self, digest: &[u8; 32], code: &[u8]) -> Vec<u8> {
        let tag = self.mac(digest, code).finalize().into_bytes();
        [tag.as_slice(), code].concat()
    }

    /// The code in an entry, if it is one that this host closed for this component and engine.
    pub(super) fn open<'a>(&self, digest: &[u8; 32], entry: &'a [u8]) -> Option<Authentic<'a>> {
        let (tag, code) = entry.split_at_checked(TAG_BYTES)?;
        self.mac(digest, code).verify_slice(tag).ok()?;
        Some(Authentic(code))
    }

    /// The parts before the code have fixed lengths, so no two inputs run together.
    fn mac(&self, digest: &[u8; 32], code: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new(&self.key.into());
        mac.update(PURPOSE);
        mac.update(digest);
        mac.update(&self.engine);
        mac.update(code);
        mac
    }
}

/// Collects what is hashed; the engine gives its fingerprint in no other way.
struct Fingerprint(Sha256);

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest: [u8; 32] = self.0.clone().finalize().into();
        digest
            .iter()
            .take(8)
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}
