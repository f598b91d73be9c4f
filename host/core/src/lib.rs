//! The tick as a pure function: a snapshot and the policies in, decisions with their explanations
//! out. Synchronous, without a clock and without I/O.

mod analyze;
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
pub mod snapshot;
mod state;
pub mod tick;
pub mod wake;

pub use guard::shape;
pub use trimtab_contract as contract;
