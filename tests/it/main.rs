//! What crosses crates, in one binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "what fails here fails a test, and tables are for people"
)]

mod hostile;
mod model;
mod tidy;
