//! The analyzer from outside: pools as a host would describe them, and what must be said of them.

mod behaviour;
mod closed_loop;
mod fixture;
mod properties;
mod saturation;
mod situations;
