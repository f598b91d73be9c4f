//! The model at a given rate agrees with the simulation.

use trimtab_models::Spread;

use crate::validation::{Row, rows};

#[track_caller]
fn check(row: &Row, what: &str, error: f64, most: f64) {
    assert!(
        error.abs() <= most,
        "{what} off by {:+.1} %: {row}",
        100.0 * error
    );
}

#[test]
fn figures_agree_where_all_requests_are_alike() {
    for row in rows(Spread::NONE, 40_000.0) {
        check(&row, "ITL", row.itl_error, 0.06);
        check(&row, "TTFT", row.ttft_error, 0.08);
        check(&row, "ITL at p99", row.itl_at_p99_error, 0.12);
        check(&row, "TTFT at p99", row.ttft_at_p99_error, 0.25);
    }
}

#[test]
fn figures_agree_where_lengths_vary() {
    for row in rows(Spread::CONVERSATION, 60_000.0) {
        check(&row, "ITL", row.itl_error, 0.06);
        check(&row, "TTFT", row.ttft_error, 0.08);
        check(&row, "ITL at p99", row.itl_at_p99_error, 0.15);
        check(&row, "TTFT at p99", row.ttft_at_p99_error, 0.15);
    }
}
