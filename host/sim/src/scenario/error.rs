//! Why a scenario is refused.

use std::io;
use std::path::PathBuf;

use crate::trace::TraceError;

#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    #[error("scenario {} cannot be read", file.display())]
    Read {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Not YAML, or not of the format. `path` is empty where the whole file is meant.
    #[error("{name}{}: {problem}", at(path))]
    Format {
        name: String,
        path: String,
        problem: String,
    },
    /// Of the format, and still not possible.
    #[error("{name}: {path}: {problem}")]
    Field {
        name: String,
        path: String,
        problem: String,
    },
    /// An option of the command that cannot be; `path` is its name.
    #[error("{path}: {problem}")]
    Option { path: String, problem: String },
    /// `path` is the option, or the scenario and the field in it.
    #[error("{path}: the trace is refused")]
    Trace {
        path: String,
        #[source]
        source: TraceError,
    },
    /// Neither a file nor a built-in.
    #[error(
        "scenario `{name}` is neither a file nor built in; built in are: {}",
        known.join(", ")
    )]
    Unknown {
        name: String,
        known: Vec<&'static str>,
    },
}

fn at(path: &str) -> String {
    if path.is_empty() || path == "." {
        String::new()
    } else {
        format!(": {path}")
    }
}
