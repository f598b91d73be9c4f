//! The vocabulary that host and policies share: plain data, generated from `wit/` by the build.
//!
//! Host and Rust policies use these same types, so a policy runs natively or sandboxed without
//! conversion. As JSON, keys and enum values are the WIT names (`kebab-case`); an absent key is a
//! missing measurement.

include!(concat!(env!("OUT_DIR"), "/types.rs"));
