//! The models against published vectors, a simulation, and properties that always hold.
#![cfg(test)]

mod conformance;
mod properties;
mod simulator;
mod sizing;
mod steady_state;
mod tracking;
mod validation;
