//! The maths that policies share: queueing, tracking, forecasting, capacity.
//!
//! Units are seconds, requests per second and tokens. Nothing here knows a clock, a policy or
//! WebAssembly; the same arguments give the same answer.

pub mod accelerators;
pub mod error;
pub mod hysteresis;
pub mod iteration;
pub mod matrix;
pub mod model_name;
pub mod queue;
pub mod sizing;
pub mod tail;
pub mod tracking;

pub use error::ModelError;
pub use iteration::{Batch, Iteration, Lengths, Role, Spread};
pub use queue::{Operation, Replica};
pub use sizing::{Binding, Sized, Targets, size};
pub use tail::{Quantiles, Tail};
pub use tracking::{Confidence, Observation, Tracker, Verdict};
