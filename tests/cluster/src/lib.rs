//! The end-to-end harness: a real control plane, Prometheus, KEDA and a registry on loopback, and a
//! simulated fleet that stands behind the cluster's pods.

pub mod api_service;
pub mod binaries;
mod certificates;
pub mod control_plane;
pub mod emulator;
pub mod fixtures;
mod http;
pub mod keda;
mod kubeconfig;
pub mod namespace;
pub mod operator;
pub mod ports;
pub mod process;
pub mod prometheus;
pub mod proxy;
pub mod registry;
pub mod scratch;
pub mod simulation;
pub mod wait;

pub use api_service::ApiService;
pub use control_plane::{ControlPlane, Options};
pub use emulator::Emulator;
pub use keda::Keda;
pub use namespace::{Namespace, in_namespace};
pub use operator::Operator;
pub use prometheus::{Prometheus, PrometheusOptions};
pub use proxy::Proxy;
pub use registry::{Registry, RegistryOptions};
