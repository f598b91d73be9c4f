//! Log lines, as text or JSON, to standard error; and traces, where a collector is named.

use std::{env, io};

use anyhow::{Context as _, Result};
use tokio::runtime::Handle;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};
use trimtab_publish::traces::{Origin, Traces};

use super::config::{LogFormat, Logging, Otlp};

/// What libraries say of every request is for their developers.
const QUIET: [&str; 3] = ["hyper=warn", "kube_client=warn", "tower=warn"];

/// The log, whose level can be changed.
pub(super) struct Log(reload::Handle<EnvFilter, Registry>);

impl Log {
    /// # Errors
    /// The level is no level.
    pub(super) fn set_level(&self, level: &str) -> Result<()> {
        Ok(self.0.reload(filter(level)?)?)
    }
}

/// # Errors
/// The level is no level.
pub(super) fn start(logging: &Logging, traces: Option<&Traces>) -> Result<Log> {
    let (level, handle) = reload::Layer::new(filter(&logging.level)?);
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match logging.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(level))
        .with(traces.map(Traces::layer))
        .init();
    Ok(Log(handle))
}

/// # Errors
/// The collector's address is none.
pub(super) fn traces(otlp: &Otlp, runtime: &Handle) -> Result<Option<Traces>> {
    let Some(endpoint) = &otlp.endpoint else {
        return Ok(None);
    };
    let origin = Origin {
        version: env!("CARGO_PKG_VERSION"),
        namespace: env::var("POD_NAMESPACE").ok(),
        pod: env::var("POD_NAME").ok(),
    };
    let traces = Traces::start(endpoint, &origin, runtime)
        .with_context(|| format!("otlp.endpoint: `{endpoint}`"))?;
    Ok(Some(traces))
}

fn filter(level: &str) -> Result<EnvFilter> {
    let mut filter =
        EnvFilter::try_new(level).with_context(|| format!("logging.level: `{level}`"))?;
    for directive in QUIET {
        filter = filter.add_directive(directive.parse()?);
    }
    Ok(filter)
}
