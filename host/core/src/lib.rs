//! The tick as a pure function: a snapshot and the policies in, decisions with their explanations
//! out. Synchronous, without a clock and without I/O.

mod analyze;
pub mod binding;
mod breaker;
pub mod decision;
mod draft;
pub mod experiment;
pub mod fleet;
mod guard;
mod knowledge;
mod ladder;
pub mod memory;
mod optimize;
pub mod policies;
mod probation;
pub mod shadow;
pub mod snapshot;
mod state;
pub mod tick;
pub mod wake;

pub use guard::shape;
pub use trimtab_contract as contract;
