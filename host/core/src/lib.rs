//! The tick as a pure function: a snapshot and the policies in, decisions with their explanations
//! out. Synchronous, without a clock and without I/O.

pub mod decision;
pub mod memory;
pub mod policies;
pub mod snapshot;
pub mod tick;

pub use trimtab_contract as contract;
