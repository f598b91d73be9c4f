//! The maths that policies share: queueing, tracking, forecasting, capacity.
//!
//! Two models of a replica: [`plain`] is WVA's queue, kept for its published vectors; [`queue`] is
//! what sizes ([`sizing`]), tells percentiles ([`tail`]) and is tracked ([`tracking`]). The second
//! is to second order what continuous batching does (`steady`), and is held against a simulation of
//! it in the tests; `cargo run --release -p trimtab-models --example validation` prints the table.
//!
//! Units are seconds, requests per second and tokens. Nothing here knows a clock, a policy or
//! WebAssembly; the same arguments give the same answer.

pub mod accelerators;
pub mod chain;
mod distribution;
pub mod error;
mod filter;
mod first_token;
pub mod forecast;
mod gaps;
pub mod hysteresis;
pub mod iteration;
pub mod matrix;
pub mod model_name;
pub mod plain;
pub mod pooling;
pub mod queue;
mod search;
pub mod sizing;
mod steady;
pub mod tail;
pub mod tracking;
mod waiting;
mod work;

pub use error::ModelError;
pub use iteration::{Batch, Iteration, Lengths, Role, Spread};
pub use queue::{Operation, Replica};
pub use sizing::{Binding, Sized, Targets, size};
pub use tail::{Quantiles, Tail};
pub use tracking::{Confidence, Observation, Tracker, Verdict};
