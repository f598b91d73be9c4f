//! The operator: sees a cluster, decides, and shows what it decided.

mod arguments;
mod clock;
mod config;
mod cycle;
mod leader;
mod logging;
mod operator;
mod policies;
mod shutdown;
mod wiring;
mod wva;

use std::env;

use anyhow::{Context as _, Result};

pub(crate) use self::arguments::RunArguments;
use self::config::{Config, Sources};
use crate::arguments::CacheArguments;
use crate::cache;
use crate::output::Output;

/// Runs until it is told to stop.
///
/// # Errors
/// The configuration cannot be, or what it names cannot be had.
pub(crate) fn run(arguments: &RunArguments, cache: &CacheArguments) -> Result<Output> {
    let config = load(arguments)?;
    logging::start(&config.logging)?;
    let sandbox = cache::sandbox(cache)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("threads cannot be had")?;
    runtime.block_on(operator::operate(config, arguments, &sandbox))?;
    Ok(Output::answer(String::new()))
}

/// The configuration without what WVA's ConfigMaps say, which only the cluster tells.
fn load(arguments: &RunArguments) -> Result<Config> {
    let text = match &arguments.config {
        Some(path) => Some((path, fs_err::read_to_string(path)?)),
        None => None,
    };
    let name = text.as_ref().map(|(path, _)| path.display().to_string());
    let file = name
        .as_deref()
        .zip(text.as_ref().map(|(_, text)| text.as_str()));
    let flags = arguments.settings()?;
    Config::load(&Sources {
        file,
        environment: &|name| env::var(name).ok(),
        flags: &flags,
        ..Sources::default()
    })
}
