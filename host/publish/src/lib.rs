//! What others read of us: metrics and health over HTTP, and traces.

mod health;
pub mod http;
pub mod metrics;
pub mod traces;

pub use health::{Answer, Health};
