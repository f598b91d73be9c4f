//! How a policy is named on the command line and in scenarios.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use trimtab_sandbox::{Policy, Sandbox, builtin, builtin_names};

/// `builtin:NAME`, or the path of a component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reference {
    Builtin(String),
    File(PathBuf),
}

impl Reference {
    /// Reads, verifies and compiles the component.
    pub(crate) fn load(&self, sandbox: &Sandbox) -> Result<Policy> {
        let read;
        let bytes = match self {
            Self::Builtin(name) => match builtin(name) {
                Some(bytes) => bytes,
                None => bail!(
                    "no policy `{name}` is built in; there are {}",
                    builtin_names().collect::<Vec<_>>().join(", ")
                ),
            },
            Self::File(path) => {
                read = fs_err::read(path).context("policy cannot be read")?;
                read.as_slice()
            }
        };
        sandbox
            .load(bytes)
            .with_context(|| format!("policy `{self}` is refused"))
    }
}

impl FromStr for Reference {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.strip_prefix("builtin:") {
            Some(name) => Self::Builtin(name.to_owned()),
            None => Self::File(PathBuf::from(text)),
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(name) => write!(f, "builtin:{name}"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}
