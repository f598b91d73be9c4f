//! Log lines, as text or JSON, to standard error.

use std::io;

use anyhow::{Context as _, Result};
use tracing_subscriber::EnvFilter;

use super::config::{LogFormat, Logging};

/// What libraries say of every request is for their developers.
const QUIET: [&str; 3] = ["hyper=warn", "kube_client=warn", "tower=warn"];

/// # Errors
/// The level is no level.
pub(super) fn start(logging: &Logging) -> Result<()> {
    let mut filter = EnvFilter::try_new(&logging.level)
        .with_context(|| format!("logging.level: `{}`", logging.level))?;
    for directive in QUIET {
        filter = filter.add_directive(directive.parse()?);
    }
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    match logging.format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}
