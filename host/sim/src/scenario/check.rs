//! A field's place in the scenario file, and checks that name it.

use std::fmt::{self, Display};

use super::ScenarioError;
use super::bounds::Bounds;
use crate::excerpt::{excerpt, number};
use crate::trace::TraceError;

/// Names further off than this share of likeness are not offered.
const LIKENESS: f64 = 0.7;

/// What a field may hold.
pub(super) trait Number: Copy {
    fn as_f64(self) -> f64;
}

impl Number for f64 {
    fn as_f64(self) -> f64 {
        self
    }
}

impl Number for u32 {
    fn as_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Number for u64 {
    /// The bounds of counts lie far below where this is no longer exact.
    fn as_f64(self) -> f64 {
        self as f64
    }
}

/// Where a value stands: the scenario and the field's path in it, or an option of the command.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    /// `None` for an option.
    scenario: Option<&'a str>,
    path: String,
}

/// As errors begin.
impl Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.scenario {
            write!(f, "{name}: ")?;
        }
        f.write_str(&self.path)
    }
}

impl<'a> Place<'a> {
    pub(super) fn root(scenario: &'a str) -> Self {
        Self {
            scenario: Some(scenario),
            path: String::new(),
        }
    }

    /// An option of the command, with its dashes.
    pub(super) fn option(name: &str) -> Self {
        Self {
            scenario: None,
            path: name.to_owned(),
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
        let (path, problem) = (self.path.clone(), problem.into());
        match self.scenario {
            Some(name) => ScenarioError::Field {
                name: name.to_owned(),
                path,
                problem,
            },
            None => ScenarioError::Option { path, problem },
        }
    }

    pub(super) fn trace_error(&self, source: TraceError) -> ScenarioError {
        let path = self.to_string();
        ScenarioError::Trace { path, source }
    }

    /// A number within its bounds, under `key`.
    pub(super) fn within<N: Number>(
        &self,
        key: &str,
        bounds: Bounds,
        value: N,
    ) -> Result<N, ScenarioError> {
        self.key(key).bounded(bounds, value)
    }

    /// A number within its bounds, which stands here.
    pub(super) fn bounded<N: Number>(&self, bounds: Bounds, value: N) -> Result<N, ScenarioError> {
        let shown = value.as_f64();
        self.hold(bounds.contain(shown), number(shown), &bounds.to_string())?;
        Ok(value)
    }

    /// The same of a number that may be left out.
    pub(super) fn within_if_set<N: Number>(
        &self,
        key: &str,
        bounds: Bounds,
        value: Option<N>,
    ) -> Result<Option<N>, ScenarioError> {
        let checked = value.map(|value| self.within(key, bounds, value));
        checked.transpose()
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

    /// Refuses what cannot be printed as a name here.
    pub(super) fn named(&self, name: &str) -> Result<(), ScenarioError> {
        self.hold(!name.is_empty(), "empty", "a name")?;
        self.hold(
            !name.contains(char::is_control),
            format!("`{}`", excerpt(name)),
            "a name without control characters",
        )
    }

    /// Refuses a name that is already taken by an earlier element of the list here.
    pub(super) fn unique<'b>(
        &self,
        names: impl IntoIterator<Item = &'b str>,
    ) -> Result<(), ScenarioError> {
        let mut seen = Vec::new();
        for (index, name) in names.into_iter().enumerate() {
            let place = self.index(index).key("name");
            place.named(name)?;
            if let Some(first) = seen.iter().position(|earlier| *earlier == name) {
                return Err(place.error(format!(
                    "`{}` is the name of {} too; expected a name of its own",
                    excerpt(name),
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
            "`{}` is not known;{hint} known: {}",
            excerpt(name),
            known.join(", ")
        ))
    }
}
