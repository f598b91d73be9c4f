//! What others read of us: metrics and health over HTTP, what HPA and KEDA scale by, and traces.

pub mod desired;
pub mod external_metrics;
mod health;
pub mod http;
pub mod metrics;
pub mod scaler;
pub mod tls;
pub mod traces;

pub use health::{Answer, Health};
