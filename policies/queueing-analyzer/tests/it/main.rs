//! The analyzer from outside: pools as a host would describe them, and what must be said of them.

mod fixture;
mod situations;
