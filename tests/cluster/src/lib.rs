//! The end-to-end harness: a real control plane and Prometheus on loopback, and a simulated fleet
//! that stands behind the cluster's pods.

pub mod binaries;
mod certificates;
pub mod control_plane;
mod http;
mod kubeconfig;
mod ports;
pub mod process;
mod scratch;
pub mod wait;

pub use control_plane::{ControlPlane, Options};
