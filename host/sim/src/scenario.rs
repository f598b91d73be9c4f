//! Scenario files: read, checked, and resolved into what a simulation runs on.

mod bounds;
mod check;
mod choices;
mod defaults;
mod error;
pub mod file;
mod fleet;
mod for_trace;
mod resolve;
mod schema;
mod start;
mod workload;

use std::path::{Path, PathBuf};

pub use choices::{Choices, PolicyChoice, PoolChoices, SwapChoice};
pub use error::ScenarioError;
use file::{PolicyEntry, ScenarioFile};
pub use resolve::Overrides;
pub use schema::schema;

use crate::yaml;

/// What runs without arguments.
pub const BUILT_IN: &str = include_str!("../scenarios/built-in.yaml");

/// Scenarios that have a name instead of a file.
const NAMED: [(&str, &str); 3] = [
    ("built-in", BUILT_IN),
    ("day", include_str!("../scenarios/day.yaml")),
    ("trial", include_str!("../scenarios/trial.yaml")),
];

/// A scenario, not yet resolved.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub file: ScenarioFile,
    /// What errors call it: the file's path, or its built-in name.
    name: String,
    /// Where relative paths start.
    directory: PathBuf,
}

impl Scenario {
    /// Two models, three accelerators, a day in two hours, and a burst.
    ///
    /// # Errors
    /// None, as long as a test of this crate reads it.
    pub fn built_in() -> Result<Self, ScenarioError> {
        Self::parse("built-in", BUILT_IN, Path::new(""))
    }

    /// A built-in scenario by its name, or a file.
    ///
    /// # Errors
    /// [`ScenarioError`] where there is no such scenario, or it is not of the format.
    pub fn open(reference: &str) -> Result<Self, ScenarioError> {
        if let Some(text) = Self::text(reference) {
            return Self::parse(reference, text, Path::new(""));
        }
        let path = Path::new(reference);
        let text = fs_err::read_to_string(path).map_err(|source| {
            if source.kind() == std::io::ErrorKind::NotFound {
                let known = Self::names().collect();
                return ScenarioError::Unknown {
                    name: reference.to_owned(),
                    known,
                };
            }
            ScenarioError::Read {
                file: path.to_owned(),
                source,
            }
        })?;
        Self::parse(reference, &text, path.parent().unwrap_or(Path::new("")))
    }

    /// Of the built-in scenarios.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMED.iter().map(|(name, _)| *name)
    }

    /// The YAML of the built-in scenario with this name.
    #[must_use]
    pub fn text(name: &str) -> Option<&'static str> {
        let mut named = NAMED.iter();
        named
            .find(|(known, _)| *known == name)
            .map(|(_, text)| *text)
    }

    /// From YAML. `name` is what errors call it; relative paths start at `directory`.
    ///
    /// # Errors
    /// [`ScenarioError::Format`] with the field's path, line and column.
    pub fn parse(name: &str, text: &str, directory: &Path) -> Result<Self, ScenarioError> {
        let file = yaml::read(text, schema).map_err(|found| ScenarioError::Format {
            name: name.to_owned(),
            path: found.path,
            problem: found.problem,
        })?;
        Ok(Self {
            file,
            name: name.to_owned(),
            directory: directory.to_owned(),
        })
    }

    /// The analyzer of every pool that names none.
    #[must_use]
    pub fn analyzer(&self) -> PolicyChoice {
        self.choice(
            "analyzer",
            &self.file.policies.analyzer,
            "builtin:queueing-analyzer",
        )
    }

    /// The optimizer of every pool that names none.
    #[must_use]
    pub fn optimizer(&self) -> PolicyChoice {
        self.choice(
            "optimizer",
            &self.file.policies.optimizer,
            "builtin:cost-optimizer",
        )
    }

    fn choice(&self, role: &str, entry: &PolicyEntry, otherwise: &str) -> PolicyChoice {
        let named = entry.policy.as_deref().unwrap_or(otherwise);
        let place = self.named().key("policies").key(role);
        place.choice(named, &entry.settings)
    }
}

#[cfg(test)]
mod tests;
