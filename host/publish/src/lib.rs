//! What others read of us: metrics and health over HTTP.

mod health;
pub mod http;
pub mod metrics;

pub use health::{Answer, Health};
