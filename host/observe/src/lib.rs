//! Measurements of pools from Prometheus, in a constant number of queries a tick.
//!
//! [`names`] says which metric of which engine means what, [`queries`] turns that into PromQL,
//! [`pace`] says which of these a tick asks, [`client`] asks, and [`measure`] makes of the answers
//! what policies are given. All but the client is plain and synchronous: time and answers come in as
//! arguments.

pub mod answer;
pub mod client;
pub mod config;
pub mod measure;
pub mod names;
pub mod pace;
mod parse;
pub mod probe;
pub mod queries;

pub use answer::{Answer, Answers, QueryError, QueryStats, Sample};
pub use client::Client;
pub use config::{ConfigError, PrometheusConfig};
pub use measure::Measurer;
pub use pace::Pace;
pub use probe::Probe;
pub use queries::{Queries, Windows};
