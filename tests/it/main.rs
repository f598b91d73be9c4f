//! What crosses crates, in one binary.

mod hostile;
