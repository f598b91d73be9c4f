//! A simulated fleet that serves request traces, driven by the same engine as a real one.

pub mod controller;
pub mod outcome;
pub mod spec;
