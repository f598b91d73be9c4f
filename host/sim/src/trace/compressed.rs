//! Files that are no text yet: told by their first bytes.

/// First bytes of what traces come packed in.
const KNOWN: [(&[u8], &str); 6] = [
    (&[0x1f, 0x8b], "gzip"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "xz"),
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "zip"),
    (&[0x04, 0x22, 0x4d, 0x18], "lz4"),
];

/// What a file that starts like this is compressed with.
pub(super) fn with(start: &[u8]) -> Option<&'static str> {
    let found = KNOWN.iter().find(|(magic, _)| start.starts_with(magic));
    found.map(|(_, name)| *name)
}
