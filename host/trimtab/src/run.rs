//! What the operator is told: its configuration, and what WVA's ConfigMaps say.

mod arguments;
mod config;
mod wva;
