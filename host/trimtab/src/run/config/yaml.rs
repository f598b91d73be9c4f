//! Reads the configuration file.

use serde_json::{Map, Value};
use trimtab_sim::yaml;

use super::{Config, Problem};

/// What the file sets, and nothing else.
pub(super) fn read(text: &str) -> Result<Value, Problem> {
    if is_empty(text) {
        return Ok(Value::Object(Map::new()));
    }
    yaml::read::<Config>(text, Config::schema)?;
    Ok(yaml::value(text)?)
}

/// The configuration that a document is.
pub(super) fn whole(value: &Value) -> Result<Config, Problem> {
    Ok(yaml::of_value(value)?)
}

impl From<yaml::Problem> for Problem {
    fn from(found: yaml::Problem) -> Self {
        Self {
            key: found.path,
            problem: found.problem,
        }
    }
}

/// A file that says nothing, as a template gives where there is nothing to say.
fn is_empty(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    lines.all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}
