//! What the index keeps, and of whom.
