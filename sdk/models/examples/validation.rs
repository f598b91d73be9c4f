//! Prints how far the model, and WVA's, are from a simulation of the engine.
//!
//! `cargo run --release -p trimtab-models --example validation`
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::indexing_slicing,
    dead_code,
    reason = "a table for people, over fixtures that are made for tests"
)]

#[path = "../tests/it/simulator.rs"]
mod simulator;
#[path = "../tests/it/validation.rs"]
mod validation;

use trimtab_models::Spread;

fn main() {
    for (title, spread) in [
        ("fixed lengths", Spread::NONE),
        ("log-normal lengths", Spread::CONVERSATION),
    ] {
        println!("\n{title}; errors in %, times in ms");
        println!(
            "card  in/out     load  rate/s |    ITL  off  plain |   TTFT  off  plain | ITL p99  off | TTFT p99  off"
        );
        for row in validation::rows(spread, 200_000.0) {
            println!("{row}");
        }
    }
}
