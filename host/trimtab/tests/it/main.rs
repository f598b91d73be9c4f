//! The built command, run as a user runs it.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails, in what tests share too"
)]

mod bad_input;
mod command;
mod policy;
mod simulate;
mod trying;
