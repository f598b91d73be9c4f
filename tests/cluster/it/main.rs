//! What the harness promises, on a control plane of its own.

mod conflict;
mod control_plane;
mod decisions;
mod deploy;
mod doctor;
mod emulator;
mod faults;
mod fixtures;
mod keda;
mod kinds;
mod namespace;
mod observability;
mod oci;
mod operator;
mod pages;
mod policies;
mod prometheus;
mod rights;
mod scaling;
mod scenario;
mod wva;
