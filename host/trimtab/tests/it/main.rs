//! The built command, run as a user runs it.

mod bad_input;
mod command;
mod policy;
mod simulate;
