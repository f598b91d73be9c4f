//! Kubernetes: watches into one in-memory index, and what is written back.

mod accelerator;
pub mod config;
mod engine;
mod gpus;
mod index;
mod inventory;
mod objects;
pub mod view;

pub use gpus::UNRESOLVED;
pub use index::claim::{Claimant, TargetKey, Way};
