//! The vocabulary that host and policies share: plain data, generated from `wit/` by the build.
//!
//! Host and Rust policies use these same types, so a policy runs natively or sandboxed without
//! conversion. As JSON, keys and enum values are the WIT names (`kebab-case`); an absent key is a
//! missing measurement.

include!(concat!(env!("OUT_DIR"), "/types.rs"));

impl Workload {
    /// A workload of which nothing is known.
    pub const UNMEASURED: Self = Self {
        request_rate: None,
        input_tokens: None,
        output_tokens: None,
        prefix_hit_ratio: None,
        queued_requests: None,
        queued_bytes: None,
        ttft_mean: None,
        ttft_at_percentile: None,
        itl_mean: None,
        itl_at_percentile: None,
    };
}
