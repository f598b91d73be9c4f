//! The end-to-end harness: a real control plane and Prometheus on loopback, and a simulated fleet
//! that stands behind the cluster's pods.

pub mod binaries;
mod certificates;
pub mod control_plane;
pub mod emulator;
pub mod fixtures;
mod http;
mod kubeconfig;
pub mod namespace;
pub mod operator;
pub mod ports;
pub mod process;
pub mod prometheus;
pub mod proxy;
pub mod scratch;
pub mod simulation;
pub mod wait;

pub use control_plane::{ControlPlane, Options};
pub use emulator::Emulator;
pub use namespace::{Namespace, in_namespace};
pub use operator::Operator;
pub use prometheus::{Prometheus, PrometheusOptions};
pub use proxy::Proxy;
