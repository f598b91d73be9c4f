//! The operator: sees a cluster, decides, and shows what it decided.

mod actuating;
mod arguments;
pub(crate) mod clock;
pub(crate) mod config;
mod cycle;
pub(crate) mod inherited;
mod leader;
mod logging;
mod operator;
pub(crate) mod policies;
mod reloading;
mod review;
mod serving;
mod shutdown;
mod watched;
pub(crate) mod wiring;
pub(crate) mod wva;

use std::env;

use anyhow::{Context as _, Result};

pub(crate) use self::arguments::RunArguments;
use self::config::{Config, PoolEntry, Setting, Sources, unknown_variables};
use self::inherited::Sought;
use crate::arguments::CacheArguments;
use crate::cache;
use crate::output::Output;

/// Runs until it is told to stop.
///
/// # Errors
/// The configuration cannot be, or what it names cannot be had.
pub(crate) fn run(arguments: &RunArguments, cache: &CacheArguments) -> Result<Output> {
    let config = load(arguments, file(arguments)?.as_deref(), &[])?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("threads cannot be had")?;
    let traces = logging::traces(&config.otlp, runtime.handle())?;
    let log = logging::start(&config.logging, traces.as_ref())?;
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for (name, nearest) in unknown_variables(names) {
        tracing::warn!(name, nearest, "a variable of the environment sets nothing");
    }
    let sandbox = cache::sandbox(cache)?;
    let ended = runtime.block_on(operator::operate(arguments, sandbox, &log));
    if let Some(traces) = traces {
        traces.end();
    }
    // A name that is being looked up for a collector would keep the process from ending.
    runtime.shutdown_background();
    ended?;
    Ok(Output::answer(String::new()))
}

/// The JSON Schema of the configuration file.
pub(crate) fn schema() -> Result<Output> {
    let schema = serde_json::to_string_pretty(&Config::schema())?;
    Ok(Output::answer(schema + "\n"))
}

/// The configuration that an operator would have here, with what WVA's ConfigMaps say of pools.
///
/// # Errors
/// The configuration cannot be.
pub(crate) async fn configuration(
    arguments: &RunArguments,
    clients: &wiring::Clients,
) -> Result<(Config, Vec<PoolEntry>)> {
    let text = file(arguments)?;
    let config = load(arguments, text.as_deref(), &[])?;
    let sought = Sought::of(&config, &clients.namespace);
    // Where they cannot be read there are none, as for the operator.
    let Ok((said, _)) = inherited::read(&clients.asking, &sought).await else {
        return Ok((config, Vec::new()));
    };
    let config = load(arguments, text.as_deref(), &said.settings)?;
    Ok((config, said.pools))
}

/// What the configuration file says; `None` where none is named.
fn file(arguments: &RunArguments) -> Result<Option<String>> {
    let path = arguments.config.as_ref();
    Ok(path.map(fs_err::read_to_string).transpose()?)
}

/// The configuration; `file` is its file's text, `wva` what WVA's ConfigMaps say, its weakest
/// layer.
fn load(arguments: &RunArguments, file: Option<&str>, wva: &[Setting]) -> Result<Config> {
    let path = arguments.config.as_ref();
    let name = path.map(|path| path.display().to_string());
    let flags = arguments.settings()?;
    Config::load(&Sources {
        wva,
        file: name.as_deref().zip(file),
        environment: &|name| env::var(name).ok(),
        flags: &flags,
    })
}
