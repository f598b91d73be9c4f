//! A field's place in the scenario file, and checks that name it.

use std::fmt::Display;

use super::ScenarioError;
use crate::trace::TraceError;

/// Names further off than this share of likeness are not offered.
const LIKENESS: f64 = 0.7;

/// Where a value stands: the scenario and the field's path in it.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    scenario: &'a str,
    path: String,
}

impl<'a> Place<'a> {
    pub(super) fn root(scenario: &'a str) -> Self {
        Self {
            scenario,
            path: String::new(),
        }
    }

    /// A key of the object here.
    pub(super) fn key(&self, key: &str) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self {
            scenario: self.scenario,
            path: format!("{}{dot}{key}", self.path),
        }
    }

    /// An element of the list here.
    pub(super) fn index(&self, index: usize) -> Self {
        Self {
            scenario: self.scenario,
            path: format!("{}[{index}]", self.path),
        }
    }

    pub(super) fn error(&self, problem: impl Into<String>) -> ScenarioError {
        ScenarioError::Field {
            name: self.scenario.to_owned(),
            path: self.path.clone(),
            problem: problem.into(),
        }
    }

    pub(super) fn trace_error(&self, source: TraceError) -> ScenarioError {
        ScenarioError::Trace {
            name: self.scenario.to_owned(),
            path: self.path.clone(),
            source,
        }
    }

    /// A finite number above 0, under `key`.
    pub(super) fn positive(&self, key: &str, value: f64) -> Result<f64, ScenarioError> {
        self.key(key)
            .hold(value > 0.0 && value.is_finite(), value, "a number above 0")?;
        Ok(value)
    }

    /// A finite number from 0 on, under `key`.
    pub(super) fn not_negative(&self, key: &str, value: f64) -> Result<f64, ScenarioError> {
        self.key(key).hold(
            value >= 0.0 && value.is_finite(),
            value,
            "a number from 0 on",
        )?;
        Ok(value)
    }

    /// A whole number from 1 on, under `key`.
    pub(super) fn at_least_one(&self, key: &str, value: u32) -> Result<u32, ScenarioError> {
        self.key(key)
            .hold(value > 0, value, "a whole number from 1 on")?;
        Ok(value)
    }

    /// Refuses `value`, which stands here, where it is not `good`.
    pub(super) fn hold(
        &self,
        good: bool,
        value: impl Display,
        wanted: &str,
    ) -> Result<(), ScenarioError> {
        if good {
            Ok(())
        } else {
            Err(self.error(format!("is {value}; expected {wanted}")))
        }
    }

    /// Refuses a name that is already taken by an earlier element of the list here.
    pub(super) fn unique<'b>(
        &self,
        names: impl IntoIterator<Item = &'b str>,
    ) -> Result<(), ScenarioError> {
        let mut seen = Vec::new();
        for (index, name) in names.into_iter().enumerate() {
            let place = self.index(index).key("name");
            place.hold(!name.is_empty(), "empty", "a name")?;
            if let Some(first) = seen.iter().position(|earlier| *earlier == name) {
                return Err(place.error(format!(
                    "`{name}` is the name of {} too; expected a name of its own",
                    self.index(first).path
                )));
            }
            seen.push(name);
        }
        Ok(())
    }

    /// The error for a name that is not one of `known`, which the closest of them is offered with.
    pub(super) fn unknown<'b>(
        &self,
        name: &str,
        known: impl IntoIterator<Item = &'b str>,
    ) -> ScenarioError {
        let known: Vec<&str> = known.into_iter().collect();
        let likeness =
            |other: &str| strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
        let nearest = known
            .iter()
            .map(|other| (likeness(other), other))
            .filter(|(likeness, _)| *likeness > LIKENESS)
            .max_by(|one, other| one.0.total_cmp(&other.0));
        let hint = nearest.map_or_else(String::new, |(_, other)| {
            format!(" did you mean `{other}`?")
        });
        self.error(format!(
            "`{name}` is not known;{hint} known: {}",
            known.join(", ")
        ))
    }
}
