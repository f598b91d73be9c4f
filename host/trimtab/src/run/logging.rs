//! Log lines, as text or JSON, to standard error; and traces, where a collector is named.

use std::{env, io};

use anyhow::{Context as _, Result};
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};
use trimtab_publish::traces::{Origin, Traces};

use super::config::{LogFormat, Logging, Otlp};

/// What libraries say of every request is for their developers. What Kubernetes' client says of one
/// that failed is told with more sense by whoever asked.
const QUIET: [&str; 4] = [
    "hyper=warn",
    "kube_client=off",
    "kube_runtime=off",
    "tower=warn",
];

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
    let (subscriber, log) = subscriber(logging, traces, io::stderr)?;
    subscriber.init();
    Ok(log)
}

fn subscriber<W>(
    logging: &Logging,
    traces: Option<&Traces>,
    writer: W,
) -> Result<(impl Subscriber + Send + Sync, Log)>
where
    W: for<'line> MakeWriter<'line> + Send + Sync + 'static,
{
    let (level, handle) = reload::Layer::new(filter(&logging.level)?);
    let lines = fmt::layer().with_writer(writer);
    let lines = match logging.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let subscriber = tracing_subscriber::registry()
        .with(lines.with_filter(level))
        .with(traces.map(Traces::layer));
    Ok((subscriber, Log(handle)))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value;
    use tempfile::NamedTempFile;

    use super::*;

    /// What is written while this is done under such a log.
    fn written(format: LogFormat, level: &str, what: impl FnOnce(&Log)) -> String {
        let file = NamedTempFile::new().unwrap();
        let lines = Arc::new(file.reopen().unwrap());
        let logging = Logging {
            format,
            level: level.to_owned(),
        };
        let (subscriber, log) = subscriber(&logging, None, lines).unwrap();
        tracing::subscriber::with_default(subscriber, || what(&log));
        fs_err::read_to_string(file.path()).unwrap()
    }

    #[test]
    fn a_json_line_has_the_fields_of_the_spans_around_it() {
        let text = written(LogFormat::Json, "info", |_| {
            let _tick = tracing::info_span!("tick").entered();
            let _pool = tracing::info_span!("pool", namespace = "prod", model = "m").entered();
            tracing::info!(variant = "a", "decided");
        });
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "decided");
        assert_eq!(line["variant"], "a");
        assert_eq!(line["spans"][0]["name"], "tick");
        assert_eq!(line["spans"][1]["namespace"], "prod");
        assert_eq!(line["spans"][1]["model"], "m");
    }

    #[test]
    fn a_level_that_is_changed_holds_from_then_on() {
        let text = written(LogFormat::Text, "info", |log| {
            let say = |what| tracing::debug!("{what}");
            say("first");
            log.set_level("debug").unwrap();
            say("second");
            log.set_level("warn").unwrap();
            say("third");
            assert!(log.set_level("a=b=c").is_err());
        });
        let said = ["first", "second", "third"].map(|word| text.contains(word));
        assert_eq!(said, [false, true, false], "{text}");
    }
}
