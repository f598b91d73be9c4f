//! What crosses crates: hostile guests, published vectors, the command.
