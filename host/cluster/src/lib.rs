//! Kubernetes: watches into one in-memory index, and what is written back.

mod accelerator;
pub mod actuation;
pub mod checkpoint;
pub mod config;
pub mod config_maps;
pub mod crd;
pub mod delegation;
mod engine;
pub mod events;
mod gpus;
mod index;
mod inventory;
pub mod lease;
mod objects;
pub mod own_pod;
pub mod policies;
pub mod policy_status;
pub mod pull_secrets;
pub mod refusal;
pub mod requests;
pub mod rights;
pub mod scale;
pub mod served;
pub mod status;
pub mod tolerance;
pub mod view;
mod watch;
pub mod workload;

pub use gpus::UNRESOLVED;
pub use index::Key;
pub use index::claim::{Claimant, Registration, TargetKey, Way};
pub use watch::{BinaryData, Cluster, Held};
