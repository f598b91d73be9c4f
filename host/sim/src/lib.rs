//! A simulated fleet that serves request traces, driven by the same engine as a real one.

mod allot;
pub mod baselines;
pub mod capacity;
pub mod catalogue;
pub mod controller;
mod engine;
mod events;
pub mod excerpt;
mod fleet;
pub mod generate;
mod ledger;
pub mod live;
mod measure;
pub mod mix;
pub mod outcome;
mod quantile;
mod random;
mod router;
pub mod run;
pub mod scenario;
pub mod spec;
#[cfg(test)]
mod testing;
pub mod trace;
pub mod tried;
pub mod yaml;
