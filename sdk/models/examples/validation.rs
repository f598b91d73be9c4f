//! Prints how far the model, and WVA's, are from a simulation of the engine.
//!
//! `cargo run --release -p trimtab-models --example validation`
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::indexing_slicing,
    dead_code,
    unreachable_pub,
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
            println!(
                "{:4} {:4}/{:<4}  {:4.0} % {:7.2} | {:6.1} {:+4.0} {:+5.0}  | {:6.0} {:+4.0} {:+5.0}  | {:7.1} {:+4.0} | {:8.0} {:+4.0}",
                row.card,
                row.lengths.input_tokens,
                row.lengths.output_tokens,
                100.0 * row.share,
                row.rate,
                1e3 * row.itl,
                100.0 * row.itl_error,
                100.0 * row.plain_itl_error,
                1e3 * row.ttft,
                100.0 * row.ttft_error,
                100.0 * row.plain_ttft_error,
                1e3 * row.itl_at_p99,
                100.0 * row.itl_at_p99_error,
                1e3 * row.ttft_at_p99,
                100.0 * row.ttft_at_p99_error,
            );
        }
    }
}
