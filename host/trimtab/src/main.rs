//! The command: arguments, wiring, tables.

fn main() {}
