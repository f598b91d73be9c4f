//! What became of each key of WVA's ConfigMaps.

use std::fmt;

use trimtab_sim::excerpt::excerpt;

use super::Map;

/// What became of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// And as what.
    Honoured(String),
    /// And why.
    Ignored(String),
    /// And what is right.
    Invalid(String),
}

/// One key and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) map: Map,
    /// Namespace of the map; `None` for the system's.
    pub(crate) namespace: Option<String>,
    /// Key of the map's data.
    pub(crate) entry: String,
    /// Key in that entry; `None` where the entry as a whole is meant.
    pub(crate) key: Option<String>,
    pub(crate) verdict: Verdict,
}

impl Verdict {
    pub(super) fn honoured(as_what: impl Into<String>) -> Self {
        Self::Honoured(as_what.into())
    }

    pub(super) fn ignored(why: impl Into<String>) -> Self {
        Self::Ignored(why.into())
    }

    pub(super) fn invalid(problem: impl Into<String>) -> Self {
        Self::Invalid(problem.into())
    }

    /// A key that the map does not have.
    pub(super) fn unknown(key: &str, known: &[&str]) -> Self {
        Self::Invalid(format!(
            "there is no key `{}` here; expected one of {}",
            excerpt(key),
            known.join(", ")
        ))
    }
}

impl Line {
    /// Where the key stands.
    pub(crate) fn place(&self) -> String {
        let mut place = self.map.name().to_owned();
        if let Some(namespace) = &self.namespace {
            place += &format!(" in namespace {namespace}");
        }
        place += &format!(", {}", excerpt(&self.entry));
        if let Some(key) = &self.key {
            place += &format!(", {}", excerpt(key));
        }
        place
    }

    /// What became of it.
    pub(crate) fn outcome(&self) -> String {
        match &self.verdict {
            Verdict::Honoured(as_what) => format!("honoured as {as_what}"),
            Verdict::Ignored(why) => format!("ignored: {why}"),
            Verdict::Invalid(problem) => format!("invalid: {problem}"),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.outcome())
    }
}
