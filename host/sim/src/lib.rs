//! A simulated fleet that serves request traces, driven by the same engine as a real one.

pub mod catalogue;
pub mod controller;
pub mod generate;
pub mod outcome;
pub mod spec;
pub mod trace;
