//! Log lines, as text or JSON, to standard error.

use std::io;

use anyhow::{Context as _, Result};
use tracing_subscriber::EnvFilter;

use super::config::{LogFormat, Logging};

/// What libraries say of every request is for their developers.
const QUIET: [&str; 3] = ["hyper=warn", "kube_client=warn", "tower=warn"];

/// The log, whose level can be changed.
pub(super) struct Log(Box<dyn Fn(EnvFilter) -> Result<()> + Send + Sync>);

impl Log {
    /// # Errors
    /// The level is no level.
    pub(super) fn set_level(&self, level: &str) -> Result<()> {
        (self.0)(filter(level)?)
    }
}

/// # Errors
/// The level is no level.
pub(super) fn start(logging: &Logging) -> Result<Log> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(&logging.level)?)
        .with_writer(io::stderr);
    Ok(match logging.format {
        LogFormat::Text => {
            let lines = lines.with_filter_reloading();
            let handle = lines.reload_handle();
            lines.init();
            Log(Box::new(move |filter| Ok(handle.reload(filter)?)))
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_filter_reloading();
            let handle = lines.reload_handle();
            lines.init();
            Log(Box::new(move |filter| Ok(handle.reload(filter)?)))
        }
    })
}

fn filter(level: &str) -> Result<EnvFilter> {
    let mut filter =
        EnvFilter::try_new(level).with_context(|| format!("logging.level: `{level}`"))?;
    for directive in QUIET {
        filter = filter.add_directive(directive.parse()?);
    }
    Ok(filter)
}
