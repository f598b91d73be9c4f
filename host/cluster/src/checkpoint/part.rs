//! One part of a checkpoint as a ConfigMap's data, and what can be wrong with it.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use sha2::{Digest as _, Sha256};
use trimtab_core::memory::Memory;

/// Format of a part. Another one is set aside, as whoever wrote it knows it better.
const FORMAT: &str = "1";
/// Most bytes that a part may unpack to.
const LARGEST_UNPACKED: u64 = 256 * 1024 * 1024;

pub(super) struct Part {
    pub(super) memory: Memory,
    pub(super) digest: String,
}

/// Why a part cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    #[error("its format is `{0}`; this version reads `{FORMAT}`")]
    Format(String),
    #[error("it has no `{0}`")]
    Missing(&'static str),
    #[error("its bytes are not those that were written: their SHA-256 differs")]
    Digest,
    #[error("it cannot be unpacked: {0}")]
    Unpack(String),
    #[error("it is no state: {0}")]
    State(String),
}

type Texts = BTreeMap<String, String>;
type Bytes = BTreeMap<String, ByteString>;

/// A ConfigMap's `data` and `binaryData`.
pub(super) fn fields(digest: &str, bytes: ByteString) -> (Texts, Bytes) {
    let data = [
        ("format".to_owned(), FORMAT.to_owned()),
        ("sha256".to_owned(), digest.to_owned()),
    ];
    (data.into(), [("memory".to_owned(), bytes)].into())
}

impl Part {
    pub(super) fn read(object: &ConfigMap) -> Result<Self, Damage> {
        let text = |key| object.data.as_ref().and_then(|data| data.get(key));
        let format = text("format").ok_or(Damage::Missing("format"))?;
        if format != FORMAT {
            return Err(Damage::Format(format.clone()));
        }
        let digest = text("sha256").ok_or(Damage::Missing("sha256"))?;
        let bytes = object.binary_data.as_ref();
        let bytes = bytes.and_then(|data| data.get("memory"));
        let ByteString(bytes) = bytes.ok_or(Damage::Missing("memory"))?;
        if *digest != self::digest(bytes) {
            return Err(Damage::Digest);
        }
        Ok(Self {
            memory: decode(bytes)?,
            digest: digest.clone(),
        })
    }
}

/// All parts of a memory, each with its digest; as many of pools as its size wants, in powers of two,
/// so that with more parts pools move to new ones only.
pub(super) fn encode_all(
    memory: &Memory,
    target_bytes: usize,
    most_parts: usize,
) -> Vec<(String, Vec<u8>)> {
    let size = serde_json::to_vec(memory).map_or(0, |json| json.len());
    let count = size.div_ceil(target_bytes).next_power_of_two();
    let count = count.clamp(1, most_parts);
    let parts = memory.split(count);
    let encoded = parts.iter().map(encode);
    encoded.map(|bytes| (digest(&bytes), bytes)).collect()
}

/// Writing to memory does not fail; were it to, an empty part would be what is read back.
fn encode(memory: &Memory) -> Vec<u8> {
    let json = serde_json::to_vec(memory).unwrap_or_default();
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(&json).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

fn decode(bytes: &[u8]) -> Result<Memory, Damage> {
    let mut json = Vec::new();
    let unpacked = ZlibDecoder::new(bytes)
        .take(LARGEST_UNPACKED)
        .read_to_end(&mut json);
    unpacked.map_err(|error| Damage::Unpack(error.to_string()))?;
    serde_json::from_slice(&json).map_err(|error| Damage::State(error.to_string()))
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn memory() -> Memory {
        let known = |quantity: &str| {
            json!({
                "model": "m", "accelerator": "H100", "gpus-per-replica": 1, "engine": null,
                "quantity": quantity, "value": 1.5, "source": "live", "learned-at": 7
            })
        };
        serde_json::from_value(json!({
            "knowledge": {"m": [known("a"), known("b")]},
            "pools": {"n/a": {"seen-ms": 1}, "n/b": {"seen-ms": 2}, "n/c": {"seen-ms": 3}},
        }))
        .unwrap()
    }

    fn config_maps(memory: &Memory, target_bytes: usize) -> Vec<ConfigMap> {
        let parts = encode_all(memory, target_bytes, 8);
        let config_map = |(digest, bytes): (String, Vec<u8>)| {
            let (data, binary_data) = fields(&digest, ByteString(bytes));
            ConfigMap {
                data: Some(data),
                binary_data: Some(binary_data),
                ..ConfigMap::default()
            }
        };
        parts.into_iter().map(config_map).collect()
    }

    fn absorbed(config_maps: &[ConfigMap]) -> Memory {
        let mut memory = Memory::default();
        for object in config_maps {
            memory.absorb(Part::read(object).unwrap().memory);
        }
        memory
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        for target_bytes in [1, 100, 1_000_000] {
            let written = config_maps(&memory(), target_bytes);
            assert_eq!(absorbed(&written), memory());
        }
        assert_eq!(
            config_maps(&memory(), 1).len(),
            9,
            "eight parts of pools at most"
        );
    }

    #[test]
    fn the_same_memory_gives_the_same_bytes() {
        assert_eq!(encode_all(&memory(), 100, 8), encode_all(&memory(), 100, 8));
    }

    #[test]
    fn each_kind_of_damage_is_told() {
        let whole = config_maps(&memory(), 1_000_000).remove(0);
        let damaged = |change: &dyn Fn(&mut ConfigMap)| {
            let mut object = whole.clone();
            change(&mut object);
            Part::read(&object).err()
        };
        let set = |object: &mut ConfigMap, key: &str, value: &str| {
            let data = object.data.as_mut().unwrap();
            data.insert(key.to_owned(), value.to_owned());
        };
        let bytes = |object: &mut ConfigMap, bytes: Vec<u8>| {
            let digest = digest(&bytes);
            let (data, binary_data) = fields(&digest, ByteString(bytes));
            (object.data, object.binary_data) = (Some(data), Some(binary_data));
        };
        assert_eq!(damaged(&|_| {}), None);
        assert_eq!(
            damaged(&|object| set(object, "format", "2")),
            Some(Damage::Format("2".to_owned()))
        );
        assert_eq!(
            damaged(&|object| object.data = None),
            Some(Damage::Missing("format"))
        );
        assert_eq!(
            damaged(&|object| object.binary_data = None),
            Some(Damage::Missing("memory"))
        );
        assert_eq!(
            damaged(&|object| set(object, "sha256", "00")),
            Some(Damage::Digest)
        );
        let unpack = damaged(&|object| bytes(object, b"no zlib".to_vec()));
        assert!(matches!(unpack, Some(Damage::Unpack(_))), "{unpack:?}");
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"{\"pools\": 1}").unwrap();
        let packed = encoder.finish().unwrap();
        let state = damaged(&|object| bytes(object, packed.clone()));
        assert!(matches!(state, Some(Damage::State(_))), "{state:?}");
    }
}
