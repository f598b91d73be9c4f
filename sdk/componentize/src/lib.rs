//! Turns a policy crate into a component: cargo builds the core module, then the component encoding
//! is wrapped round it, so that no tool besides cargo is needed.

pub mod build_script;
mod compile;
mod encode;

pub use compile::build;
pub use encode::encode;

/// What policies are compiled for: bare WebAssembly, without WASI, so there is nothing to import.
pub const TARGET: &str = "wasm32-unknown-unknown";
